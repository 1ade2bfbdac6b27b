//! The control interface, and the commands that ask it

mod commands;
mod limits;
mod metrics;
mod routes;
mod world;
