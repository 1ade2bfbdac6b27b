//! The encryption of a link: the outcome of CCP, and the data path that follows from it
//!
//! | module | content |
//! |---|---|
//! | `agreed` | the outcome of CCP, and the policies that a link may have for it |
//! | `data_path` | the way of packets: encrypted, in the clear, or closed |
//! | `cipher` | MPPE in both directions, stateless or not |
//! | `wrong_key` | the signs that the two ends have different keys |

pub(crate) mod agreed;
pub(crate) mod cipher;
pub(crate) mod data_path;
pub(crate) mod wrong_key;
