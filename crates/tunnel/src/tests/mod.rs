//! A client and a server against each other, and each against silence and noise, in virtual time

mod connect;
mod gre;
mod gre_behavior;
mod hang_up;
mod limits;
mod login;
mod ordered;
mod packets;
pub(crate) mod pair;
mod proof;
mod refused;
mod short_payloads;
mod strangers;
mod totality;
