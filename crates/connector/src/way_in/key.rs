//! The key of a listener in the table

use std::collections::BTreeMap;

use super::way::{ListenKey, Way};

/// The key of a listener in the table
///
/// Port 0 may be asked for several times. Such a listener is known again by where it leads: a port that the system chose
/// never leads elsewhere after a reload, since a program may have learnt it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) listen: ListenKey,
    /// Empty unless the port is 0
    pub(super) leads_to: String,
    /// The place among those that are equal in all else
    pub(super) nth: usize,
}

impl Key {
    /// Returns the key of a listener, as the first of those that are equal
    pub(super) fn of(way: &Way) -> Self {
        let listen = way.key();
        let leads_to = match way {
            _ if !listen.is_chosen_by_system() => String::new(),
            Way::Forward { .. } => way.to_string(),
            Way::Proxy(proxy) => format!("{way} to {}", proxy.sites),
        };
        Self { listen, leads_to, nth: 0 }
    }

    /// Returns the line of a listener on port 0, which is the same after a restart
    pub(super) fn line(&self) -> Option<String> {
        if self.leads_to.is_empty() {
            return None;
        }
        Some(match self.nth {
            0 => self.leads_to.clone(),
            nth => format!("{} #{nth}", self.leads_to),
        })
    }

    /// Returns the port that was chosen for it, if it is on port 0
    pub(super) fn port_in(&self, ports: &BTreeMap<String, u16>) -> Option<u16> {
        ports.get(&self.line()?).copied()
    }

    /// Returns the key of the listener at a place that is not port 0
    pub(super) fn named(listen: &ListenKey) -> Self {
        Self { listen: listen.clone(), leads_to: String::new(), nth: 0 }
    }
}
