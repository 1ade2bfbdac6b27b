//! What the servers' side can tell about a tunnel that should have lived

use crate::lab::{Building, Journal, Lab};

/// Asks the guest, and reads its log from the beginning of the run on
#[derive(Debug, Clone)]
pub(super) struct Witness {
    lab: Lab,
    journal: Journal,
}

impl Witness {
    pub(super) fn new(lab: &Lab) -> Self {
        Self { lab: lab.clone(), journal: lab.journal() }
    }

    /// What the processes, sockets and lines of `building` do now, and what its servers logged lately
    pub(super) async fn testimony(&self, building: Building) -> String {
        let asked = self.lab.shell(&questions(building)).await;
        let guest = asked.unwrap_or_else(|error| format!("the guest tells nothing: {error}"));
        let lines = building.lines(&self.journal);
        let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("{guest}\nthe building's log, its end:\n{log}\n")
    }
}

/// For each pptpctrl and pppd: process, state and parent, how long it has run and how long it was kept from running
/// (nanoseconds), and the functions of the kernel in which it waits
///
/// A pppd has its client's inner address in its command line, and is the child of that client's pptpctrl. One that was
/// kept from running for long tells of the guest: `lab/pause-bearer` says of one way to that.
fn questions(building: Building) -> String {
    let number = building.number();
    let each = r#"case "$(cat /proc/$p/comm)" in pptpctrl|pppd)
        echo "$p $(cut -d' ' -f3,4 /proc/$p/stat) $(cat /proc/$p/schedstat) $(tr -s '\0 ' ' ' </proc/$p/cmdline)"
        echo "  $(sed -E 's/^\[<0>\] ([^+]*).*/\1/' /proc/$p/stack | head -12 | tr '\n' ' ')";;
    esac"#;
    let inside = "cat /proc/net/raw; ss -tniH; tc -s qdisc show dev eth0";
    format!(
        "for p in $(ip netns pids b{number}); do {each}; done; \
         ip netns exec b{number} sh -c '{inside}'; \
         tc -s qdisc show dev o{number}; ip -br link show o{number}; uptime"
    )
}

/// This many lines of the building's log are shown
const LOG_LINES: usize = 80;
