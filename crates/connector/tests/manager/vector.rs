//! A password that another implementation of HPKE has sealed: `vector.py` writes `vector.json`

use pptp::Password;
use pptp_connector::{
    seal::{Bound, PrivateKey, Sealed},
    settings::Insecure,
};
use serde_json::Value;

#[test]
fn what_another_implementation_has_sealed_is_opened() {
    let vector: Value = serde_json::from_str(include_str!("vector.json")).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap();
    let key: PrivateKey = text("private_key").parse().unwrap();
    assert_eq!(key.public().to_string(), text("public_key"));
    let weaker = [Insecure::Pap, Insecure::NoEncryption];
    let site = text("site").parse().unwrap();
    let bound = Bound::new(&site, text("server"), text("user"), weaker);
    assert_eq!(String::from_utf8(bound.aad()).unwrap(), text("aad"));
    let sealed: Sealed = text("sealed").parse().unwrap();
    assert!(sealed.open(&key, &bound) == Ok(Password::new(text("password"))));
    let other = Bound::new(&site, text("server"), text("user"), [Insecure::Pap]);
    assert!(sealed.open(&key, &other).is_err());
}
