//! Whoever is on the way, or knows addresses and Call ID, and sends what is forged; and users whose own code fails

mod attacker;
mod handles;
mod neighbours;
mod off_path;
mod on_path;
mod plaintext;
mod spoofed;
mod stress;
mod unreachable;
mod wakers;
