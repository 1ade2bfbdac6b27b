//! The deciders: machines without tasks, clock and randomness
//!
//! `now` and chance come in; actions and the next deadline come out. So thousands of hours of them run in a test.
//!
//! | module | decides |
//! |---|---|
//! | `site`, `phase` | what a site does next |
//! | `backoff` | how long a site waits after a failure |
//! | `health` | nothing: facts of a site for people, which no dial depends on |
//! | `ledger`, `login`, `accepted_logins` | whether a login may be tried: refusals are counted over all sites |
//! | `dial` | nothing: the words for dials that the others share |
//! | `scheduler`, `bucket` | which site dials next, and when |
//! | `server` | who of a server's sites dials after the server has failed |
//! | `rollout` | which tunnels are dialled anew after a change, and when that has to pause |
//! | `outage` | whether this machine or its network is at fault |
//! | `simulation` | nothing: a test of all of them at once |
//! | `twins` | whether sites with one login get into each other's way |

pub(crate) mod accepted_logins;
pub(crate) mod backoff;
mod bucket;
pub(crate) mod dial;
pub(crate) mod health;
pub(crate) mod ledger;
pub(crate) mod login;
mod outage;
pub(crate) mod phase;
pub(crate) mod rollout;
pub(crate) mod scheduler;
mod server;
#[cfg(test)]
mod simulation;
pub(crate) mod site;
pub(crate) mod twins;
