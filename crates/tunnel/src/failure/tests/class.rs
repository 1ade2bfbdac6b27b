//! The class of each failure

use super::{
    super::Class::{self, Busy, Configuration, Credentials, Host, Network, Operator, OwnDeed},
    *,
};

/// The classes that failures of this name have, in the order of the table
fn classes() -> Vec<(&'static str, &'static [Class])> {
    vec![
        ("GreBlocked", &[Network, Network, Network]),
        ("ConnectTimeout", &[Network]),
        ("GreFromElsewhere", &[Operator]),
        ("GreUnsupported", &[Operator]),
        ("Closed", &[OwnDeed]),
        ("NotPptp", &[Operator]),
        ("NoControlReply", &[Network]),
        ("VersionUnsupported", &[Operator]),
        ("ControlRefused", &[Busy, Busy, Operator, Busy]),
        ("NoCallReply", &[Network]),
        ("CallRefused", &[Busy, Busy, Busy, Operator]),
        ("CallDisconnected", &[Network]),
        ("StoppedByPeer", &[Busy]),
        ("ControlEchoTimeout", &[Network]),
        ("Recognized", &[Network]),
        ("ConnectionLost", &[Network]),
        ("LostSync", &[Network]),
        ("ControlOutOfPhase", &[Network]),
        ("AnswersUnread", &[Network]),
        #[cfg(feature = "server")]
        ("NoControlRequest", &[Network]),
        #[cfg(feature = "server")]
        ("CallCleared", &[Network]),
        ("AuthFailed", &[Credentials; 8]),
        ("ServerNotAuthentic", &[Configuration]),
        ("AuthProtocolRefused", &[Operator; 3]),
        ("AuthProtocolWithdrawn", &[Operator]),
        ("AuthProtocolWithoutKeys", &[Operator]),
        ("EncryptionUnavailable", &[Operator; 2]),
        ("EncryptionDemanded", &[Operator]),
        ("EncryptionLost", &[Network]),
        ("Undecryptable", &[Network]),
        ("WrongKey", &[Operator]),
        ("NothingPasses", &[Network]),
        ("NoAddress", &[Busy]),
        ("AddressChanged", &[Busy]),
        ("Loopback", &[Network]),
        ("EchoTimeout", &[Network]),
        ("NegotiationTimeout", &[Network; 5]),
        ("NoAgreement", &[Operator]),
        ("TerminatedByPeer", &[Network]),
        ("RejectedProtocol", &[Operator; 2]),
        ("RejectedCode", &[Operator]),
        ("EndlessRenegotiation", &[Network]),
    ]
}

#[test]
fn every_failure_has_its_class() {
    let mut found: Vec<(&'static str, Vec<Class>)> = Vec::new();
    for (failure, ..) in table() {
        match found.last_mut().filter(|(name, _)| *name == failure.name()) {
            Some((_, classes)) => classes.push(failure.class()),
            None => found.push((failure.name(), vec![failure.class()])),
        }
    }
    let expected: Vec<_> =
        classes().into_iter().map(|(name, classes)| (name, classes.to_vec())).collect();
    assert_eq!(found, expected);
}

/// A packet that this machine's kernel refuses to send is a matter of this machine
#[test]
fn gre_that_the_kernel_refuses_is_this_hosts() {
    let send_error = Some("Operation not permitted".to_owned());
    let failure = Failure::GreBlocked { after: Duration::from_secs(10), heard: false, send_error };
    assert_eq!(failure.class(), Host);
}

#[test]
fn what_is_not_to_be_dialled_again_is_of_a_class_that_says_so() {
    for (failure, ..) in table() {
        let (class, retry, name) = (failure.class(), failure.retry(), failure.name());
        assert_eq!(class == OwnDeed, retry == OnRequest, "{name}");
        assert!(class != Configuration || retry == Never, "{name}");
        assert!(retry != Never || matches!(class, Configuration | Credentials), "{name}");
        let pause = failure.retry_after().unwrap_or(Duration::MAX);
        assert!(class != Credentials || pause >= Duration::from_mins(10), "{name}: no lock-out");
        assert!(class != Busy || pause >= Duration::from_secs(30), "{name}");
    }
}

/// Servers say it of an earlier session too, and an hour locks no account
#[test]
fn error_691_is_tried_again_after_an_hour_and_a_disabled_account_is_not() {
    let login = |code| {
        let message = String::new();
        Failure::from(LinkFailure::AuthFailed { code, retry: false, message })
    };
    for code in [0, 1, 691] {
        let failure = login(code);
        let expected = (Later, Some(Duration::from_hours(1)));
        assert_eq!((failure.retry(), failure.retry_after()), expected, "{code}");
        assert!(failure.advice().contains("an earlier session of this user"), "{code}");
    }
    for code in [647, 648, 649, 709] {
        assert_eq!(login(code).retry(), Never, "{code}");
    }
    assert_eq!(login(646).retry_after(), Some(Duration::from_mins(10)));
}

#[test]
fn classes_have_distinct_names() {
    let names: BTreeSet<_> = Class::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), Class::ALL.len());
}
