//! Sites that are not up, in groups of one server and one failure

use std::collections::BTreeMap;

use super::view::{FailureView, GroupView};

/// Sites that are not up, in groups of one server and one failure
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<(String, String), GroupView>,
    sites: usize,
}

impl Groups {
    /// Adds a site that should be up and is not; sites come in the order of their names
    pub(super) fn add(
        &mut self,
        site: &str,
        server: &str,
        failure: FailureView,
        next_dial_seconds: Option<u64>,
    ) {
        self.sites = self.sites.saturating_add(1);
        let key = (server.to_owned(), failure.name.clone());
        let group = self.groups.entry(key).or_insert_with(|| GroupView {
            server: server.to_owned(),
            failure,
            next_dial_seconds,
            ..GroupView::default()
        });
        group.count = group.count.saturating_add(1);
        if group.sites.len() < MAX_NAMES {
            group.sites.push(site.to_owned());
        }
        group.next_dial_seconds = match (group.next_dial_seconds, next_dial_seconds) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Returns the number of sites
    pub(super) const fn sites(&self) -> usize {
        self.sites
    }

    /// Returns the groups: the largest first, then those for which a person has to act; and how many are left out
    pub(super) fn into_groups(self) -> (Vec<GroupView>, usize) {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.count), urgency(&group.failure)));
        let left_out = groups.len().saturating_sub(MAX_GROUPS);
        groups.truncate(MAX_GROUPS);
        (groups, left_out)
    }
}

/// Returns a number that is lower if a person has to act
fn urgency(failure: &FailureView) -> u8 {
    match failure.class.as_str() {
        "configuration" | "host" => 0,
        "credentials" => 1,
        "operator" => 2,
        _ => 3,
    }
}

/// The names that are told of a group
const MAX_NAMES: usize = 10;

/// The groups that are told
const MAX_GROUPS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(name: &str, class: &str) -> FailureView {
        FailureView { name: name.into(), class: class.into(), ..FailureView::default() }
    }

    #[test]
    fn sites_of_one_server_and_one_failure_are_one_group() {
        let mut groups = Groups::default();
        for number in 0..300_u64 {
            let failure = failure("TcpRefused", "network");
            groups.add(&format!("b{number}"), "farm2", failure, Some(500 - number));
        }
        groups.add("c1", "farm2", failure("AuthFailed", "credentials"), None);
        groups.add("c2", "farm3", failure("TcpRefused", "network"), Some(1));
        assert_eq!(groups.sites(), 302);
        let (groups, left_out) = groups.into_groups();
        let told: Vec<_> = groups
            .iter()
            .map(|it| {
                (it.server.as_str(), it.failure.name.as_str(), it.count, it.next_dial_seconds)
            })
            .collect();
        let expected = [
            ("farm2", "TcpRefused", 300, Some(201)),
            ("farm2", "AuthFailed", 1, None),
            ("farm3", "TcpRefused", 1, Some(1)),
        ];
        assert_eq!((told.as_slice(), left_out), (&expected[..], 0));
        assert_eq!(groups[0].sites.len(), 10);
    }

    #[test]
    fn the_number_of_groups_has_a_bound() {
        let mut groups = Groups::default();
        for number in 0..510 {
            groups.add("b", &format!("s{number}"), failure("TcpRefused", "network"), None);
        }
        let (groups, left_out) = groups.into_groups();
        assert_eq!((groups.len(), left_out), (500, 10));
    }
}
