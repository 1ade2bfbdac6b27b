//! What a fuzzer drives, and what has to hold whatever it sends
//!
//! One module a target, each with a function `target` that takes any octets and panics when
//! something does not hold that has to. `fuzz/fuzz_targets` hands them to libFuzzer, and the tests
//! here to the seeds of `fuzz/seeds` on any compiler.
//!
//! [`heap`] counts what a machine holds for the whole process: one target runs at a time.

pub mod api;
pub mod auth;
pub mod ccp;
pub mod clear;
pub mod client;
pub mod configuration;
pub mod control;
pub mod dns;
pub mod eap;
pub mod failure;
pub mod gre;
pub mod heap;
pub mod http_proxy;
pub mod ipcp;
pub mod ipv6cp;
pub mod knxnetip;
pub mod lcp;
pub mod link;
pub mod mppe;
pub mod netstack;
pub mod packets;
pub mod record;
pub mod script;
pub mod socks5;

/// A target by its name, which its seeds' folder and its binary have too
pub type Target = (&'static str, fn(&[u8]));

/// All targets
pub const TARGETS: [Target; 21] = [
    ("api", api::target),
    ("auth", auth::target),
    ("ccp", ccp::target),
    ("clear", clear::target),
    ("client", client::target),
    ("configuration", configuration::target),
    ("control", control::target),
    ("dns", dns::target),
    ("eap", eap::target),
    ("failure", failure::target),
    ("gre", gre::target),
    ("http_proxy", http_proxy::target),
    ("ipcp", ipcp::target),
    ("ipv6cp", ipv6cp::target),
    ("knxnetip", knxnetip::target),
    ("lcp", lcp::target),
    ("mppe_stateful", mppe::stateful),
    ("mppe_stateless", mppe::stateless),
    ("netstack", netstack::target),
    ("record", record::target),
    ("socks5", socks5::target),
];
