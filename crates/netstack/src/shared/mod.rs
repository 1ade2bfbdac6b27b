//! The state that all protocols of a stack share

pub(crate) mod time;
