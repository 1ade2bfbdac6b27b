//! An owner without a carrier (interface first, bodies to come)
#![allow(missing_docs, unused_variables, clippy::todo, clippy::unused_async, clippy::unused_self)]

use std::time::Instant;

use pptp_packet::Egress;

use crate::{Net, StackConfig};

#[derive(Debug)]
pub struct Local {}

#[derive(Debug)]
pub struct LocalLink {}

impl Local {
    #[allow(clippy::new_ret_no_self)]
    pub fn new(config: StackConfig) -> (Net, LocalLink) {
        todo!()
    }
}

impl LocalLink {
    pub fn handle_ip(&self, now: Instant, packet: &[u8]) {
        todo!()
    }
    pub async fn ready(&self) {
        todo!()
    }
    pub fn turn(&self, now: Instant, out: &mut impl Egress) {
        todo!()
    }
}
