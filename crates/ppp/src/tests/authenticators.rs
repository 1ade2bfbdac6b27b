//! A client against authenticators that follow a script, most of them bad

mod chap;
mod eap;
mod pap;

use std::time::Duration;

use pptp_mschap::{
    AuthenticatorResponse, HashName, Password, PasswordEncoding, challenge_hash, md5_response,
    nt_response,
};

use super::script::{MPPE_128, Script, Sent};
use crate::{
    AuthenticationProtocol, ClientConfig, Discard, Event, Failure, Phase, Protocol, Questions,
    frame,
    wire::packet::{ChapValue, Code, Packet},
};

const CHALLENGE: [u8; 16] = [0x5B; 16];
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn config() -> ClientConfig {
    let mut config = ClientConfig::new(r"CORP\User", Password::new("clientPass"));
    config.authentication.insecure_mschap_v1 = true;
    config.authentication.insecure_chap_md5 = true;
    config.authentication.insecure_pap = true;
    config.authentication.accept_first_offer = true;
    config.encryption.demand = crate::EncryptionDemand::InsecureAllow;
    config
}

/// A client that has agreed to this protocol
fn agreed(value: &[u8]) -> Script {
    agreed_with(config(), value)
}

pub(super) fn agreed_with(config: ClientConfig, value: &[u8]) -> Script {
    let mut script = Script::with(config);
    let length = u8::try_from(value.len() + 2).unwrap();
    let request = [&[1, 4, 5, 0x78, 3, length], value].concat();
    script.send(frame::LCP, Code::ConfigureRequest, 0, &request);
    let sent = script.sent();
    let request = sent.iter().find(|it| it.protocol == frame::LCP && it.code == 1).unwrap();
    script.send(frame::LCP, Code::ConfigureAck, request.id, &request.data);
    assert_eq!(script.link.phase(), Phase::Authentication);
    // Packets that were sent before LCP's answer do not matter, except the first one of PAP.
    script
}

fn v2() -> Script {
    agreed(&[0xC2, 0x23, 0x81])
}

fn v1() -> Script {
    agreed(&[0xC2, 0x23, 0x80])
}

fn eap() -> Script {
    agreed(&[0xC2, 0x27])
}

fn chap_value(value: &[u8], name: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    ChapValue { value, name }.emit(&mut data);
    data
}

fn challenge(script: &mut Script, id: u8, value: &[u8]) -> Sent {
    script.receive(frame::CHAP, 1, id, &chap_value(value, b""));
    script.sent().pop().expect("a Response")
}

fn proof(response: &[u8], challenge: &[u8; 16]) -> String {
    let hash = Password::new("clientPass").nt_hash(PasswordEncoding::Utf16);
    let chap = ChapValue::parse(response).unwrap();
    let peer = chap.value[..16].try_into().unwrap();
    let response = chap.value[24..48].try_into().unwrap();
    let challenge = challenge_hash(&peer, challenge, chap.name, HashName::StripDomain);
    assert_eq!(nt_response(&challenge, &hash), response);
    AuthenticatorResponse::new(&hash, &response, &challenge).to_string()
}

/// Only what LCP agreed on has a say
#[test]
fn protocols_that_were_not_agreed_on_are_ignored() {
    let all = [frame::PAP, frame::CHAP, frame::EAP];
    for (value, own) in [
        (&[0xC0, 0x23][..], frame::PAP),
        (&[0xC2, 0x23, 0x05], frame::CHAP),
        (&[0xC2, 0x23, 0x80], frame::CHAP),
        (&[0xC2, 0x23, 0x81], frame::CHAP),
        (&[0xC2, 0x27], frame::EAP),
    ] {
        for protocol in all.into_iter().filter(|protocol| *protocol != own) {
            let mut script = agreed(value);
            script.sent();
            for code in 0..8 {
                let outcome = script.try_receive(protocol, code, 1, &[1, 0, 0, 0]);
                assert_eq!(outcome, Err(Discard::OutOfPhase), "{protocol:04x} {code}");
            }
            assert_eq!(script.sent(), []);
        }
    }
    let mut script = Script::up();
    for protocol in [frame::PAP, frame::EAP] {
        assert_eq!(script.try_receive(protocol, 1, 1, &[1]), Err(Discard::OutOfPhase));
    }
    assert_eq!(script.sent(), []);
}
