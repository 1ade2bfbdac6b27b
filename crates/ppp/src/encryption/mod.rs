//! The encryption of a link: what CCP agreed on, and how packets go because of it

pub(crate) mod agreed;
pub(crate) mod cipher;
pub(crate) mod data_path;
pub(crate) mod wrong_key;
