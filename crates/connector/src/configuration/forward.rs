//! The forwards of a site

use std::net::{IpAddr, Ipv4Addr};

use pptp_fleet::SiteName;
use pptp_knxnetip::relay::Endpoint;

use super::{
    keys::{ForwardKeys, SiteKeys},
    loopback::Address,
    problem::{Place, Problems},
    reader::Found,
    values::{ForwardKind, HpaiWord},
};
use crate::{
    settings::{Clients, ForwardSettings, Listen, Protocol},
    target::Host,
};

/// Makes the forwards of a site, each with the place of its `listen`
pub(super) fn forwards(
    name: &SiteName,
    keys: &SiteKeys,
    address: &Address<'_>,
    problems: &mut Problems,
) -> Option<Vec<(ForwardSettings, Place)>> {
    let Some(all) = &keys.forward else { return Some(Vec::new()) };
    // all are looked at, so that the problem of the third is told along with that of the first
    let built: Vec<_> =
        all.value.iter().map(|forward| build(name, (keys, address), forward, problems)).collect();
    built.into_iter().collect()
}

fn build(
    name: &SiteName,
    (keys, address): (&SiteKeys, &Address<'_>),
    forward: &Found<ForwardKeys>,
    problems: &mut Problems,
) -> Option<(ForwardSettings, Place)> {
    let (forward, whole) = (&forward.value, &forward.place);
    let Some(to) = &forward.to else {
        if !forward.wrong.contains(&"to") {
            problems.error(whole, "`to` of a forward is missing", None);
        }
        return None;
    };
    if forward.wrong.contains(&"listen") {
        return None;
    }
    let (listen, place) = listen(name, address, forward, problems)?;
    let protocol = protocol(forward, to.value.kind, problems)?;
    check_listen(&listen, protocol, &place, problems)?;
    check_multicast(keys, &to.value.target.host, &to.place, problems)?;
    let clients = forward.clients.as_ref();
    let settings = ForwardSettings {
        listen,
        clients: clients.map_or(Clients::All, |it| Clients::Networks(it.value.clone())),
        target: to.value.target.clone(),
        protocol,
        max_clients: super::count(
            forward.connections.as_ref().map(|it| it.value.0),
            DEFAULT_CLIENTS,
        ),
    };
    Some((settings, place))
}

/// Returns the place where clients are accepted, and its own place in the file
fn listen(
    name: &SiteName,
    address: &Address<'_>,
    forward: &ForwardKeys,
    problems: &mut Problems,
) -> Option<(Listen, Place)> {
    let to = forward.to.as_ref()?;
    let at_port =
        |address: Ipv4Addr| Listen::Ip((IpAddr::V4(address), to.value.target.port).into());
    match (&forward.listen, address) {
        (Some(listen), _) => Some((listen.value.clone(), listen.place.clone())),
        (None, Address::Own(own)) => Some((at_port(own.value), own.place.clone())),
        (None, Address::Dealt(address)) => Some((at_port(*address), to.place.clone())),
        (None, Address::Told) => None,
        (None, Address::None) => {
            let help = format!(
                "write it here, or `address = \"127.…\"` in [site.{name}], or [loopback] for all sites"
            );
            problems.error(&to.place, "`listen` of this forward is missing", help);
            None
        }
    }
}

fn check_listen(
    listen: &Listen,
    protocol: Protocol,
    place: &Place,
    problems: &mut Problems,
) -> Option<()> {
    let (message, help) = match (listen, protocol) {
        (Listen::Unix(_), Protocol::Udp { .. }) => ("a UDP forward has no unix socket", None),
        (Listen::Unix(_), Protocol::Knx { .. }) => ("a KNX forward has no unix socket", None),
        (Listen::Ip(address), Protocol::Knx { .. }) if address.is_ipv6() => {
            ("a KNX forward listens on IPv4: KNXnet/IP has no other addresses", None)
        }
        (Listen::Ip(address), _) if address.ip().is_multicast() => (NO_MULTICAST, Some(UNICAST)),
        _ => return Some(()),
    };
    problems.error(place, message, help.map(str::to_owned));
    None
}

/// Tells of a target that is a multicast group, also by a name of `hosts`
fn check_multicast(
    keys: &SiteKeys,
    host: &Host,
    place: &Place,
    problems: &mut Problems,
) -> Option<()> {
    let is_multicast = match host {
        Host::Address(address) => address.is_multicast(),
        Host::Name(name) => keys.hosts.as_ref().is_some_and(|hosts| {
            let mut named = hosts.value.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name));
            named.any(|(_, address)| address.is_multicast())
        }),
    };
    if is_multicast {
        problems.error(place, NO_MULTICAST, UNICAST.to_owned());
        return None;
    }
    Some(())
}

fn protocol(forward: &ForwardKeys, kind: ForwardKind, problems: &mut Problems) -> Option<Protocol> {
    check_kind(forward, kind, problems)?;
    let idle = forward.idle.as_ref().map(|idle| idle.value.0);
    Some(match (kind, Protocol::UDP) {
        (ForwardKind::Udp, Protocol::Udp { idle: default, .. }) => {
            let any_source = forward.any_source.as_ref().is_some_and(|it| it.value);
            Protocol::Udp { idle: idle.unwrap_or(default), any_source }
        }
        (ForwardKind::Knx, _) => {
            let hpai = match forward.hpai.as_ref().map(|it| it.value) {
                None | Some(HpaiWord::Auto) => Endpoint::Auto,
                Some(HpaiWord::True) => Endpoint::True,
                Some(HpaiWord::Zero) => Endpoint::Zero,
            };
            let remote_configuration =
                forward.remote_configuration.as_ref().is_some_and(|it| it.value);
            Protocol::Knx { hpai, remote_configuration }
        }
        _ => Protocol::Tcp { idle },
    })
}

/// Tells of keys that belong to another kind of forward
fn check_kind(forward: &ForwardKeys, kind: ForwardKind, problems: &mut Problems) -> Option<()> {
    let (is_udp, is_knx) = (kind == ForwardKind::Udp, kind == ForwardKind::Knx);
    let any_source = forward.any_source.as_ref().map(|it| &it.place);
    let hpai = forward.hpai.as_ref().map(|it| &it.place);
    let remote_configuration = forward.remote_configuration.as_ref().map(|it| &it.place);
    let idle = forward.idle.as_ref().map(|it| &it.place);
    let mut is_good = true;
    for (place, belongs, message) in [
        (any_source, is_udp, "`any_source` belongs to a UDP forward"),
        (hpai, is_knx, "`hpai` belongs to a KNX forward"),
        (remote_configuration, is_knx, "`remote_configuration` belongs to a KNX forward"),
        (idle, !is_knx, "a KNX forward has no `idle`: KNXnet/IP has its own time, 120 s"),
    ] {
        if let Some(place) = place.filter(|_| !belongs) {
            problems.error(place, message, None);
            is_good = false;
        }
    }
    is_good.then_some(())
}

/// Clients of a forward at a time
const DEFAULT_CLIENTS: usize = 256;

const NO_MULTICAST: &str =
    "multicast does not cross PPP: KNX routing (224.0.23.12) is not forwarded";

const UNICAST: &str =
    "write the address of a gateway that offers tunnelling: to = \"knx:192.168.1.3\"";
