//! Tests of the relay: a bench that plays clients and a device

mod begin;
mod bench;
mod connections;
mod endings;
mod random;
mod reach;
