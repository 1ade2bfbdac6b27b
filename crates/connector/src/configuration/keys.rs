//! The keys of a configuration: its reader, its reference and its schema come of these lines

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use ipnet::IpNet;
use pptp_fleet::Probe;

use super::{
    access_values::{Date, Hashes, RoleWord, Sha256},
    label::LabelName,
    reader::{Found, section},
    values::{
        ConnectWord, EncodingWord, ForwardTarget, HpaiWord, LoopbackNetwork, MetricsSitesWord,
        Mode, Number, PasswordKey, SelectorTerm, Time,
    },
};
use crate::settings::{Insecure, Listen, ServerPattern, TargetRule};

section! {
    /// The keys of a site; `[defaults]` and templates have them too, but for `template` and `address`
    SiteKeys {
        /// The template whose keys this site has, unless it says otherwise
        template: String,
        /// The PPTP server: host or host:port; a name is resolved anew at each dial
        server: String,
        /// The user at the server
        user: String,
        /// The password, or better its place
        password: PasswordKey,
        /// Labels, by which proxies and commands choose the site
        labels: BTreeMap<String, String>,
        /// Names of its hosts, which come before the site's own DNS
        hosts: BTreeMap<String, Ipv4Addr>,
        /// When it is dialled: always, for the first client (and hung up after `idle`), or by `up` alone
        connect: ConnectWord = "\"always\"",
        /// The time without a client after which an on-demand site is hung up
        idle: Time<10, 86_400> = "\"10m\"",
        /// False: it is not dialled at all
        enabled: bool = "true",
        /// The time that a client waits for the site if it is not up
        wait: Time<0, 600> = "\"10s\"",
        /// True: other sites have the same server and user on purpose, and the server allows them all at a time
        share_login: bool = "false",
        /// The weaker logins and encryptions that it agrees to
        insecure: Vec<Insecure> = "[]",
        /// The largest PPP payload asked of the server, in octets
        mru: Number<576, 1500> = "1400",
        /// The silence after which the tunnel is given up and dialled anew
        dead_after: Time<10, 3600> = "\"70s\"",
        /// The time that a dial may take in all
        connect_timeout: Time<1, 600> = "\"30s\"",
        /// The inner address to ask for; the server may give another
        inner_address: Ipv4Addr,
        /// True: the server is asked for DNS servers
        request_dns: bool = "true",
        /// The host name to send to the server; some choose a group by it
        client_host_name: String,
        /// The phone number to send to the server
        phone_number: String,
        /// The form in which the password is hashed; Windows and RFC 2759 have UTF-16
        password_encoding: EncodingWord = "\"utf-16\"",
        /// True: the server is asked to leave out parts of PPP's header
        header_compression: bool = "false",
        /// False: the tunnel does not find out by itself that no packet passes
        path_proof: bool = "true",
        /// The device behind it that is asked now and then whether it is there; it reports, and nothing is dialled anew
        probe: Probe,
        /// The address at which its forwards without `listen` listen, at the port of their target
        address: Ipv4Addr = "one of `[loopback]`, if that is there",
        /// Local ports that lead to one target behind the site each
        forward: Vec<Found<ForwardKeys>> = "[]",
    }
}

/// The keys that only a site itself may have: neither `[defaults]` nor a template
pub(super) const SITE_ONLY: [&str; 2] = ["template", "address"];

section! {
    /// A local port that leads to one target behind a site
    ForwardKeys {
        /// The place where clients are accepted; port 0 is one that the system chooses, and `show` tells it
        listen: Listen = "`address` and the port of the target",
        /// The target: its host is an address, a name of `hosts`, or a name of the site's own DNS
        to: ForwardTarget,
        /// The networks of the clients that may use it; needed if it can be reached from other machines
        clients: Vec<IpNet> = "all that reach it",
        /// Connections, or UDP clients, at a time
        connections: Number<1, 65_535> = "256",
        /// TCP: the silence after which a connection is reset. UDP: the silence after which a client is forgotten
        idle: Time<1, 604_800> = "TCP: none; UDP: \"5m\"",
        /// UDP: true: answers of any host of the site are passed, not only the target's
        any_source: bool = "false",
        /// KNX: our endpoint in frames to the device: true, zero (NAT mode), or auto: the device is asked
        hpai: HpaiWord = "\"auto\"",
        /// KNX: true: clients may readdress, restart and reset a device, for which it asks no login
        remote_configuration: bool = "false",
    }
}

section! {
    /// A SOCKS or HTTP proxy into the sites
    ProxyKeys {
        /// The place of a SOCKS 5 proxy
        socks: Listen,
        /// The place of an HTTP proxy
        http: Listen,
        /// The sites that may be reached; one name alone: clients need not name the site
        sites: Vec<SelectorTerm> = "[\"*\"]",
        /// The targets that may be reached, asked about the address after a name was resolved
        targets: Vec<TargetRule> = "[\"*\"]",
        /// The end of names that have the site before it: `192.168.1.3.b17.pptp.internal`
        suffix: String = "\"pptp.internal\"",
        /// The networks of the clients that may use it; needed if it can be reached from other machines
        clients: Vec<IpNet> = "all that reach it",
        /// Connections at a time
        connections: Number<1, 65_535> = "256",
        /// The logins, one of which a client has to have; its user is then NAME or NAME+SITE
        login: Vec<Found<LoginKeys>> = "[]",
        /// True: a proxy that can be reached from other machines asks for no login
        insecure_open: bool = "false",
    }
}

section! {
    /// A login of a proxy
    LoginKeys {
        /// Its name
        name: String,
        /// SHA-256 of its password, which has to be a random one: nothing slows a search down
        sha256: Sha256,
        /// The sites that it may reach, of those that the proxy may
        sites: Vec<SelectorTerm> = "[\"*\"]",
    }
}

section! {
    /// The unix socket of the commands `show`, `up`, `reload` …; a change needs a restart
    ControlKeys {
        /// Its path
        socket: String = "\"/run/pptp-connector/control.sock\"",
        /// Its mode; who may open it may do everything
        mode: Mode = "\"0660\"",
        /// Its group
        group: String = "the process's",
    }
}

section! {
    /// A further listener of the control interface: a unix socket, or a port of TCP with tokens
    ApiKeys {
        /// The path of a unix socket; who may open it has `role`
        unix: String,
        /// The socket's mode, as in `chmod`
        mode: Mode = "\"0600\"",
        /// The socket's group
        group: String = "the process's",
        /// What who may open the socket may do
        role: RoleWord,
        /// The sites for which the role counts; all others are not there
        sites: Vec<SelectorTerm> = "[\"*\"]",
        /// The targets that may be reached behind them
        targets: Vec<TargetRule> = "[\"*\"]",
        /// The address and port of a TCP listener
        listen: SocketAddr,
        /// The networks of the clients that may use the port; needed off loopback
        clients: Vec<IpNet> = "all that reach it",
        /// The names by which clients call the port, beside addresses and `localhost`: that of a TLS proxy before it
        hosts: Vec<String> = "[]",
        /// True: tokens and answers may cross the network in the clear; needed off loopback
        insecure_plaintext: bool = "false",
        /// The tokens, one of which a client of the port has to have
        token: Vec<Found<TokenKeys>> = "[]",
    }
}

section! {
    /// A token of the control interface; `pptp-connector token NAME` makes one and prints these lines
    TokenKeys {
        /// Its name, for the log
        name: String,
        /// SHA-256 of the token; two while it is changed
        sha256: Hashes,
        /// What who has it may do
        role: RoleWord,
        /// The sites for which the role counts; all others are not there
        sites: Vec<SelectorTerm> = "[\"*\"]",
        /// The targets that may be reached behind them
        targets: Vec<TargetRule> = "[\"*\"]",
        /// The time from which on it is refused
        expires: Date = "never",
    }
}

section! {
    /// The bounds of what may be made through the control interface; they bind what a request says, not what a template of
    /// this file says
    ApiSitesKeys {
        /// The networks in which forwards may listen
        listen: Vec<IpNet> = "[\"127.0.0.0/8\"]",
        /// True: weaker logins and encryptions may be agreed to
        insecure: bool = "false",
        /// The servers that may be dialled; `*` stands for any characters
        servers: Vec<ServerPattern> = "[\"*\"]",
    }
}

section! {
    /// The metrics for Prometheus; the control socket has them without a word here
    MetricsKeys {
        /// The address at which a scraper finds `/metrics`, `/livez` and `/readyz`, and nothing else
        listen: SocketAddr = "none: the control socket alone has them",
        /// The networks of the scrapers that may use it; needed if it can be reached from other machines
        clients: Vec<IpNet> = "all that reach it",
        /// Names under which scrapers ask for it, beside addresses and `localhost`
        hosts: Vec<String> = "[]",
        /// The sites that have series of their own: all, those that have a problem now, or none
        sites: MetricsSitesWord = "\"all\"",
        /// Labels of sites that become labels of `pptp_site_info`
        labels: Vec<Found<LabelName>> = "[]",
    }
}

section! {
    /// The limits of the process
    LimitKeys {
        /// Dials a second, over all sites
        dial_rate: Number<1, 1000> = "50",
        /// Connections of clients at a time, over all listeners
        connections: Number<1, 1_000_000> = "4096",
        /// The time for hanging up all sites at the end
        shutdown: Time<1, 60> = "\"12s\"",
    }
}

section! {
    /// The network that carries the tunnels; a change needs a restart
    OuterKeys {
        /// The device to which the outer sockets are bound
        device: String,
        /// The address from which servers are dialled
        local_address: Ipv4Addr,
        /// The mark of outer packets; needs `CAP_NET_ADMIN`
        fwmark: Number<1, { u32::MAX }>,
        /// Drivers, each with a raw socket and a thread of its own
        drivers: Number<1, 4> = "1",
        /// The receive buffer of each raw socket, in octets
        receive_buffer: Number<65_536, 1_073_741_824>,
    }
}

section! {
    /// Loopback addresses for the sites without an `address` that have forwards without `listen`
    LoopbackKeys {
        /// The network of which each of them gets an address, which stays its own
        network: LoopbackNetwork,
    }
}

section! {
    /// The top level of the file
    TopKeys {
        /// Patterns of further files, relative to this one; they hold `[site.*]` and `[template.*]` only
        include: Vec<Found<String>> = "[]",
        /// The folder of what outlives the process: accepted logins, addresses, and the last good configuration
        state: String = "none: nothing outlives it",
        /// The unix socket of the commands
        control: ControlKeys,
        /// Further listeners of the control interface
        api: Vec<Found<ApiKeys>> = "[]",
        /// The bounds of what may be made through the control interface
        api_sites: ApiSitesKeys,
        /// SOCKS and HTTP proxies
        proxy: Vec<Found<ProxyKeys>> = "[]",
        /// The metrics for Prometheus
        metrics: MetricsKeys,
        /// The limits of the process
        limits: LimitKeys,
        /// The network that carries the tunnels
        outer: OuterKeys,
        /// Loopback addresses for the sites without one of their own
        loopback: LoopbackKeys,
        /// Keys that every site has, unless its template or the site itself says otherwise
        defaults: SiteKeys,
        /// Templates: keys for the sites that name them
        template: Templates,
        /// The sites
        site: Sites,
    }
}

section! {
    /// The top level of an included file
    IncludedKeys {
        /// Templates: keys for the sites that name them
        template: Templates,
        /// The sites
        site: Sites,
    }
}

section! {
    /// The top level of the file of a site that was made through the control interface
    KeptKeys {
        /// Who has made it
        by: String,
        /// When
        at: String,
        /// The ports that were chosen for its listeners on port 0
        ports: BTreeMap<String, Number<1, 65_535>>,
        /// The site
        site: Sites,
    }
}

/// `[template.*]`: the place of each name, and its keys
#[derive(Debug, Clone, Default)]
pub(super) struct Templates(pub(super) Vec<(Found<String>, SiteKeys)>);

/// `[site.*]`: the place of each name, and its keys, boxed since they take some KiB and are moved around
#[derive(Debug, Clone, Default)]
pub(super) struct Sites(pub(super) Vec<(Found<pptp_fleet::SiteName>, Box<SiteKeys>)>);
