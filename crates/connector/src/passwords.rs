//! Passwords of many sites, some at a time

use pptp::Password;
use pptp_fleet::{Secret, SiteFailure, SiteName};
use tokio::task::JoinSet;

/// Fetches the passwords of sites, some at a time, and returns them in the order of the names
pub(crate) async fn fetch_all(
    sites: Vec<(SiteName, Secret)>,
) -> Vec<(SiteName, Result<Password, SiteFailure>)> {
    let (mut fetches, mut fetched) = (JoinSet::new(), Vec::new());
    for (name, secret) in sites {
        if fetches.len() >= AT_ONCE {
            // a panic in one has its own message
            fetched.extend(fetches.join_next().await.and_then(Result::ok));
        }
        fetches.spawn(async move { (name, secret.password().await) });
    }
    while let Some(one) = fetches.join_next().await {
        fetched.extend(one.ok());
    }
    fetched.sort_by(|(one, _), (other, _)| one.cmp(other));
    fetched
}

/// The passwords that are fetched at a time
const AT_ONCE: usize = 16;
