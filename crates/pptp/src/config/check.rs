//! The check of a configuration, as far as that is possible before the dial

use std::{borrow::Cow, time::Duration};

use pptp_tunnel::{
    AuthenticationPolicy, ControlQuirks, EncryptionDemand, EncryptionPolicy, Recorder, Reordering,
};

use super::TunnelConfig;
use crate::{connect::network::split_port, error::Failure};

impl TunnelConfig {
    /// Checks whether a tunnel can be dialled with this, as far as that is possible before the dial
    ///
    /// # Errors
    /// The first option that cannot be used. [`Client::connect`](crate::Client::connect) fails with the same, at
    /// once.
    pub fn check(&self) -> Result<(), Failure> {
        split_port(&self.server)?;
        let pptp_tunnel::Config { link, recorder, reordering, .. } = &self.machine;
        let ControlQuirks { host_name, phone_number, .. } = &self.own_texts;
        let fits = |text: &Option<Cow<'_, str>>| text.as_ref().is_none_or(|text| text.len() <= 64);
        let AuthenticationPolicy { insecure_pap, insecure_chap_md5, .. } = link.authentication;
        let options = [
            ("user", "a name of 1 to 255 octets", matches!(link.user.len(), 1..=255)),
            ("mru", "576 to 1500 octets", matches!(link.mru, 576..=1500)),
            ("control_echo", WANTED_CONTROL_ECHO, self.has_reasonable_control_echo()),
            ("connect_timeout", "some time", !self.connect_timeout.is_zero()),
            ("flight_recorder", "65,536 octets at most", *recorder <= MAX_RECORDER),
            ("client_host_name", WANTED_TEXT, fits(host_name)),
            ("phone_number", WANTED_TEXT, fits(phone_number)),
            ("insecure_pap", WANTED_ENCRYPTION, !insecure_pap || self.may_be_clear()),
            ("insecure_pap", WANTED_PASSWORD, !insecure_pap || self.fits_pap()),
            ("insecure_chap_md5", WANTED_ENCRYPTION, !insecure_chap_md5 || self.may_be_clear()),
            ("reorder_buffer", WANTED_REORDERING, is_reasonable(*reordering)),
            ("insecure_encryption", WANTED_DEMAND, !self.refuses_what_it_weakens()),
        ];
        let wrong = options.into_iter().find(|(_, _, usable)| !usable);
        wrong.map_or(Ok(()), |(option, wanted, _)| Err(Failure::InvalidOption { option, wanted }))
    }

    /// Returns true if the control connection's Echo-Requests neither flood a server nor outlive every line
    fn has_reasonable_control_echo(&self) -> bool {
        let timeouts = self.machine.control.timeouts;
        let may_be = Duration::from_secs(1)..=Duration::from_hours(24);
        may_be.contains(&timeouts.echo_idle) && may_be.contains(&timeouts.echo_reply)
    }

    fn may_be_clear(&self) -> bool {
        self.machine.link.encryption.demand != EncryptionDemand::Require
    }

    fn fits_pap(&self) -> bool {
        let link = &self.machine.link;
        link.password.octets(link.password_encoding).len() <= 255
    }

    /// Returns true if MPPE is refused, and is at the same time allowed to be weak
    fn refuses_what_it_weakens(&self) -> bool {
        let encryption = self.machine.link.encryption;
        let demand = encryption.demand;
        let unweakened = EncryptionPolicy { demand, ..EncryptionPolicy::default() };
        demand == EncryptionDemand::InsecureDeny && encryption != unweakened
    }
}

const WANTED_CONTROL_ECHO: &str = "an interval and a patience of 1 s to 24 h each";

const WANTED_ENCRYPTION: &str = "encryption that is not required, since it leaves no keys for any,";
const WANTED_PASSWORD: &str = "a password of at most 255 octets";
/// Returns true if the frames that wait take little memory, and little time from those that follow
fn is_reasonable(Reordering { depth, max_wait }: Reordering) -> bool {
    depth <= 1024 && max_wait <= Duration::from_secs(10)
}

const WANTED_REORDERING: &str = "at most 1024 frames and 10 s";
const WANTED_DEMAND: &str = "a demand that does not refuse what other options allow";

const MAX_RECORDER: usize = Recorder::MAX_CAPACITY;

/// RFC 2637 §2.1 and §2.7
const WANTED_TEXT: &str = "a text of at most 64 octets";

#[cfg(test)]
mod tests {
    use pptp_tunnel::{KeyStrength, StatefulReset};

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn what_cannot_be_dialled_is_told_before() {
        let good = TunnelConfig::new("server:99", "user", "");
        assert_eq!(good.check(), Ok(()));
        let refusing = good.clone().insecure_encryption(EncryptionDemand::InsecureDeny);
        assert_eq!(refusing.check(), Ok(()));
        let usable = [
            good.clone().insecure_mschap_v1(),
            good.clone().eap(false),
            good.clone().control_echo(Duration::from_secs(1), Duration::from_hours(24)),
            refusing.clone().insecure_pap(),
            refusing.clone().insecure_chap_md5(),
        ];
        for config in usable {
            assert_eq!(config.check(), Ok(()));
        }
        let wrong = vec![
            (TunnelConfig::new("server", "", ""), "user"),
            (good.clone().mru(575), "mru"),
            (good.clone().mru(1501), "mru"),
            (good.clone().connect_timeout(Duration::ZERO), "connect_timeout"),
            (good.clone().control_echo(Duration::ZERO, MINUTE), "control_echo"),
            (good.clone().control_echo(MINUTE, Duration::from_millis(999)), "control_echo"),
            (good.clone().control_echo(Duration::MAX, MINUTE), "control_echo"),
            (good.clone().control_echo(MINUTE, Duration::MAX), "control_echo"),
            (good.clone().flight_recorder(65_537), "flight_recorder"),
            (good.clone().client_host_name("x".repeat(65)), "client_host_name"),
            (good.clone().reorder_buffer(1025, Duration::ZERO), "reorder_buffer"),
            (good.clone().phone_number("1".repeat(65)), "phone_number"),
            (good.clone().insecure_pap(), "insecure_pap"),
            (
                TunnelConfig::new("server", "user", "x".repeat(256))
                    .insecure_pap()
                    .insecure_encryption(EncryptionDemand::InsecureAllow),
                "insecure_pap",
            ),
            (good.insecure_chap_md5(), "insecure_chap_md5"),
            (refusing.clone().insecure_least_key(KeyStrength::Bits40), "insecure_encryption"),
            (refusing.insecure_stateful_mppe(StatefulReset::Linux), "insecure_encryption"),
        ];
        for (config, name) in wrong {
            let failure = config.check().unwrap_err();
            assert!(matches!(failure, Failure::InvalidOption { option, .. } if option == name));
        }
        let server = TunnelConfig::new("server:x", "user", "");
        assert!(matches!(server.check(), Err(Failure::InvalidServer { .. })));
        let server = TunnelConfig::new("[::1]", "user", "");
        assert!(matches!(server.check(), Err(Failure::OuterIpv6 { .. })));
    }

    #[test]
    fn the_password_is_in_no_debug_output() {
        let config = TunnelConfig::new("server", "user", "hunter2");
        assert!(!format!("{config:?} {config:#?}").contains("hunter2"));
    }
}
