//! The obstacles to PPTP on this machine, as its kernel tells them in files

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::finding::{Finding, Step, Verdict};

/// A machine's `/proc` and `/sys`, or a tree that looks like them
#[derive(Debug, Clone)]
pub(super) struct Host {
    root: PathBuf,
}

impl Host {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Everything there is to say before anything is dialled
    pub(super) fn findings(&self) -> [Finding; 4] {
        [
            self.other_sockets(),
            self.kernel_modules(),
            self.connection_tracking(),
            self.reverse_path_filter(),
        ]
    }

    /// The kernel hands each GRE datagram to every raw GRE socket of the machine
    fn other_sockets(&self) -> Finding {
        let step = Step::OtherSockets;
        let Some(table) = self.read("proc/self/net/raw") else {
            return Finding::skipped(step, "/proc/net/raw cannot be read");
        };
        let own = self.own_sockets();
        let others = table.lines().skip(1).filter_map(gre_socket).filter(|it| !own.contains(it));
        match others.count() {
            0 => passed(step, "no other program has a raw socket for GRE".into()),
            count => warned(
                step,
                format!("{count} raw GRE sockets of other programs get a copy of every datagram"),
                "end other PPTP clients to the same server: ss --raw --processes names them",
            ),
        }
    }

    fn kernel_modules(&self) -> Finding {
        if !self.tells_modules() {
            return Finding::skipped(Step::KernelModules, "the kernel's modules cannot be read");
        }
        let there: Vec<_> = ["pptp", "ip_gre"].into_iter().filter(|it| self.has(it)).collect();
        if there.is_empty() {
            let seen = "neither pptp nor ip_gre is loaded: the kernel leaves GRE alone";
            return passed(Step::KernelModules, seen.into());
        }
        warned(
            Step::KernelModules,
            format!("loaded: {}", there.join(", ")),
            "harmless as long as no kernel tunnel leads to the same server: ip tunnel and \
             /proc/net/pppox name those there are",
        )
    }

    /// Without the helper, a rule that lets in what is established does not know the server's GRE
    fn connection_tracking(&self) -> Finding {
        let step = Step::ConnectionTracking;
        let tracked = self.read("proc/sys/net/netfilter/nf_conntrack_count");
        let tracked = tracked.and_then(|count| count.trim().parse::<u64>().ok());
        let helper = self.has("nf_conntrack_pptp");
        match tracked {
            None if !self.tells_modules() => {
                Finding::skipped(step, "the kernel's modules cannot be read")
            }
            None if !self.has("nf_conntrack") => {
                passed(step, "connections are not tracked here".into())
            }
            None | Some(0) => passed(step, "nothing is tracked here at the moment".into()),
            Some(count) if helper => passed(
                step,
                format!("{count} connections are tracked, and the PPTP helper is loaded"),
            ),
            Some(count) => warned(
                step,
                format!("{count} connections are tracked, without the PPTP helper"),
                "a packet filter that lets in what is established or related drops the server's \
                 GRE: let IP protocol 47 in, or load nf_conntrack_pptp and give it TCP port 1723",
            ),
        }
    }

    fn reverse_path_filter(&self) -> Finding {
        let step = Step::ReversePathFilter;
        let Ok(folder) = fs::read_dir(self.root.join(IPV4_CONF)) else {
            return Finding::skipped(step, "the devices' settings cannot be read");
        };
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut devices: Vec<_> =
            names.filter(|name| !["all", "default", "lo"].contains(&name.as_str())).collect();
        devices.sort();
        let all = self.filter_of("all");
        let strict: Vec<_> =
            devices.iter().filter(|name| self.filter_of(name).max(all) == STRICT_FILTER).collect();
        match (strict.first(), devices.len()) {
            (Some(first), 2..) => warned(
                step,
                format!(
                    "strict on {} of {} devices, {first} among them",
                    strict.len(),
                    devices.len()
                ),
                format!(
                    "if the server's packets come in by another device than ours leave by: \
                     sysctl net.ipv4.conf.{first}.rp_filter=2"
                ),
            ),
            (Some(first), _) => passed(step, format!("strict, and {first} is the only device")),
            (None, _) => passed(step, "not strict on any device".into()),
        }
    }

    /// GRE to `server` that connection tracking has seen no answer to
    pub(super) fn unreplied_gre(&self, server: Ipv4Addr) -> usize {
        let table = self.read("proc/net/nf_conntrack").unwrap_or_default();
        let destination = format!(" dst={server} ");
        let lines =
            table.lines().filter(|line| line.contains(" gre ") && line.contains(&destination));
        lines.filter(|line| line.contains("[UNREPLIED]")).count()
    }

    /// 0 off, 1 strict, 2 loose; the larger of a device's and that of all counts
    fn filter_of(&self, device: &str) -> u8 {
        let setting = self.read(&format!("{IPV4_CONF}/{device}/rp_filter"));
        setting.and_then(|it| it.trim().parse().ok()).unwrap_or_default()
    }

    fn tells_modules(&self) -> bool {
        self.root.join("proc/modules").is_file() || self.root.join("sys/module").is_dir()
    }

    /// Returns true if a module is loaded, or built in with something to show
    fn has(&self, module: &str) -> bool {
        let modules = self.read("proc/modules").unwrap_or_default();
        modules.lines().any(|line| line.split(' ').next() == Some(module))
            || self.root.join("sys/module").join(module).is_dir()
    }

    /// The numbers of this process's sockets
    fn own_sockets(&self) -> BTreeSet<u64> {
        let folder = fs::read_dir(self.root.join("proc/self/fd"));
        let links =
            folder.into_iter().flatten().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter_map(|link| socket_number(&link)).collect()
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// The folder of the devices' settings
const IPV4_CONF: &str = "proc/sys/net/ipv4/conf";
/// RFC 3704 §2.2
const STRICT_FILTER: u8 = 1;
/// The port of a raw socket is its protocol: 47
const GRE_PORT: &str = ":002F";

/// The number of a raw GRE socket, from its line in `/proc/net/raw`
fn gre_socket(line: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    fields.nth(1).filter(|address| address.ends_with(GRE_PORT))?;
    fields.nth(7)?.parse().ok()
}

/// From `socket:[4711]`
fn socket_number(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn passed(step: Step, seen: String) -> Finding {
    Finding::new(step, Verdict::Passed, Duration::ZERO, seen)
}

fn warned(step: Step, seen: String, advice: impl Into<String>) -> Finding {
    Finding::new(step, Verdict::Warned, Duration::ZERO, seen).advise(advice)
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        os::unix::fs::symlink,
        process,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    /// A made-up machine, gone when dropped
    struct Tree(PathBuf);

    impl Tree {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            Self(std::env::temp_dir().join(format!("pptp-doctor-{}-{number}", process::id())))
        }

        fn file(self, path: &str, content: &str) -> Self {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            self
        }

        fn socket(self, number: u64) -> Self {
            let folder = self.0.join("proc/self/fd");
            fs::create_dir_all(&folder).unwrap();
            symlink(format!("socket:[{number}]"), folder.join(number.to_string())).unwrap();
            self
        }

        fn filter(self, device: &str, setting: u8) -> Self {
            self.file(&format!("{IPV4_CONF}/{device}/rp_filter"), &format!("{setting}\n"))
        }

        fn find(&self, step: Step) -> (Verdict, String) {
            let findings = Host::new(&self.0).findings();
            let finding = findings.into_iter().find(|finding| finding.step == step).unwrap();
            let told = format!("{} {}", finding.seen, finding.advice.unwrap_or_default());
            (finding.verdict, told)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const RAW: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when
   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8212 2 0 5
  47: 00000000:002F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8213 2 0 0
  47: 0100007F:002F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8214 2 0 0
";

    #[test]
    fn raw_gre_sockets_of_others_are_counted_and_our_own_are_not() {
        let tree = Tree::new().file("proc/self/net/raw", RAW).socket(8213).socket(99);
        let (verdict, told) = tree.find(Step::OtherSockets);
        assert_eq!(verdict, Verdict::Warned);
        assert!(told.starts_with("1 raw GRE sockets") && told.contains("ss --raw"), "{told}");
        let tree = tree.socket(8214);
        assert_eq!(tree.find(Step::OtherSockets).0, Verdict::Passed);
        assert_eq!(Tree::new().find(Step::OtherSockets).0, Verdict::Skipped);
    }

    #[test]
    fn the_kernels_own_pptp_and_gre_are_named() {
        let tree =
            Tree::new().file("proc/modules", "nf_tables 1 0 - Live\nip_gre 32768 0 - Live\n");
        let (verdict, told) = tree.find(Step::KernelModules);
        assert_eq!(verdict, Verdict::Warned);
        assert!(told.starts_with("loaded: ip_gre "), "{told}");
        let tree = tree.file("sys/module/pptp/refcnt", "0");
        assert!(tree.find(Step::KernelModules).1.starts_with("loaded: pptp, ip_gre"));
        let tree = Tree::new().file("proc/modules", "ip_gre_of_another_kind 1 0 - Live\n");
        assert_eq!(tree.find(Step::KernelModules).0, Verdict::Passed);
        assert_eq!(Tree::new().find(Step::KernelModules).0, Verdict::Skipped);
    }

    #[test]
    fn connection_tracking_without_its_helper_is_warned_of_where_it_tracks() {
        let count = "proc/sys/net/netfilter/nf_conntrack_count";
        assert_eq!(Tree::new().find(Step::ConnectionTracking).0, Verdict::Skipped);
        let tree = Tree::new().file("proc/modules", "");
        assert_eq!(tree.find(Step::ConnectionTracking).0, Verdict::Passed);
        let tree = Tree::new().file("proc/modules", "nf_conntrack 1 0 - Live\n").file(count, "0\n");
        assert_eq!(tree.find(Step::ConnectionTracking).0, Verdict::Passed);
        let tree = tree.file(count, "12\n");
        let (verdict, told) = tree.find(Step::ConnectionTracking);
        assert_eq!(verdict, Verdict::Warned);
        assert!(told.contains("12 connections") && told.contains("nf_conntrack_pptp"), "{told}");
        let tree = tree.file("proc/modules", "nf_conntrack_pptp 1 0 - Live\n");
        assert_eq!(tree.find(Step::ConnectionTracking).0, Verdict::Passed);
    }

    #[test]
    fn gre_without_an_answer_is_counted_for_the_server_alone() {
        let line = |destination, state| {
            format!(
                "ipv4 2 gre 47 29 timeout=30, stream_timeout=180 src=10.0.0.1 dst={destination} \
                 srckey=0x0 dstkey=0x1 {state} src={destination} dst=10.0.0.1 srckey=0x1 dstkey=0x0\n"
            )
        };
        let table = [
            line("192.0.2.1", "[UNREPLIED]"),
            line("192.0.2.1", "[ASSURED]"),
            line("192.0.2.11", "[UNREPLIED]"),
        ];
        let tree = Tree::new().file("proc/net/nf_conntrack", &table.concat());
        assert_eq!(Host::new(&tree.0).unreplied_gre(Ipv4Addr::new(192, 0, 2, 1)), 1);
        assert_eq!(Host::new("/nowhere").unreplied_gre(Ipv4Addr::LOCALHOST), 0);
    }

    #[test]
    fn a_strict_reverse_path_filter_matters_where_there_are_two_ways() {
        let tree = Tree::new().filter("all", 0).filter("lo", 1).filter("eth0", 1);
        assert_eq!(tree.find(Step::ReversePathFilter).0, Verdict::Passed);
        let tree = tree.filter("eth1", 2);
        let (verdict, told) = tree.find(Step::ReversePathFilter);
        assert_eq!(verdict, Verdict::Warned);
        assert!(
            told.contains("strict on 1 of 2") && told.contains("conf.eth0.rp_filter=2"),
            "{told}"
        );
        let tree = tree.filter("eth0", 0);
        assert_eq!(tree.find(Step::ReversePathFilter).0, Verdict::Passed);
        let tree = tree.filter("eth1", 0).filter("all", 1);
        assert!(tree.find(Step::ReversePathFilter).1.contains("strict on 2 of 2"));
        assert_eq!(Tree::new().find(Step::ReversePathFilter).0, Verdict::Skipped);
    }

    #[test]
    fn this_machine_is_looked_at_without_harm() {
        for finding in Host::new("/").findings() {
            assert!(!finding.seen.is_empty(), "{finding}");
        }
    }
}
