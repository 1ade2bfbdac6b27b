//! A manager and a daemon: sites that are made through the API, roles, sealed passwords

mod events;
mod example;
mod kill;
mod roles;
mod secrets;
mod sites;
mod vector;
mod world;
