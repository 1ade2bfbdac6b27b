//! The JSON objects of changes through the API

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::{ListenerView, ReloadView, SiteView};

/// The effect of a change of sites: `PUT` and `DELETE /v1/sites/NAME`, `PUT /v1/sites`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangedView {
    /// A stream of events from here on has what the change has led to
    pub as_of: String,
    /// The version of the set of sites that were made through the API, by now
    pub version: String,
    /// The effect
    pub changes: ReloadView,
    /// The forwards of the sites in the request, with the ports that are bound
    pub forwards: Vec<ListenerView>,
    /// The site, if the request is about one that is there
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteView>,
}

/// The public key with which passwords are sealed: `GET /v1/key`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Its name, with which each sealed password begins
    pub id: String,
    /// The 32 octets in Base64
    pub public_key: String,
    /// The algorithms of HPKE (RFC 9180 §7): KEM, KDF, AEAD
    pub suite: (u16, u16, u16),
    /// The `info` of HPKE
    pub info: String,
    /// The form of the `aad` of HPKE: JSON without spaces
    pub aad: String,
}
