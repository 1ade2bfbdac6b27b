//! Whoever is on the way, or knows addresses and Call ID, and sends what is forged

mod attacker;
mod neighbours;
mod off_path;
mod on_path;
mod plaintext;
mod spoofed;
