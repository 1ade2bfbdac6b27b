//! What the end-to-end tests share, and the README's program, which is compiled as it stands there.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
