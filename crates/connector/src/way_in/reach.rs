//! The way to a target: the site's lease, the name's address, the connection

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use pptp::net::{TcpOptions, TcpStream};
use pptp_fleet::{Lease, Site};

use super::refusal::{ConnectFailure, Refusal};
use crate::{directory::SiteFacts, target::Target};

/// A connection to a target, and the lease that keeps its site up
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) remote: TcpStream,
    pub(super) target: SocketAddrV4,
    pub(super) lease: Lease,
}

/// Waits for the site, looks the name up in it, and connects
///
/// The name is looked up once, and `may_reach` is asked about the address that is dialled.
///
/// # Errors
/// The site is not up in time, the name is unknown, no address of it is allowed, or the connect fails.
pub(super) async fn connect(
    site: &Site,
    facts: &SiteFacts,
    target: &Target,
    may_reach: impl Fn(SocketAddrV4) -> bool,
) -> Result<Reached, Refusal> {
    let lease = lease(site, facts).await?;
    let mut refusal = None;
    for target in addresses(&lease, site, facts, target).await? {
        if !may_reach(target) {
            let site = site.name().clone();
            refusal = refusal.or(Some(Refusal::TargetNotAllowed { site, target }));
            continue;
        }
        let options = TcpOptions::default().connect_timeout(CONNECT_TIMEOUT);
        match lease.tcp_connect_with(target, options).await {
            Ok(remote) => return Ok(Reached { remote, target, lease }),
            Err(error) => {
                let failed = Refusal::connect(site.name(), target, &error);
                let goes_on = matches!(
                    failed,
                    Refusal::Connect {
                        kind: ConnectFailure::Refused | ConnectFailure::Unreachable,
                        ..
                    }
                );
                refusal = Some(failed);
                if !goes_on {
                    break;
                }
            }
        }
    }
    Err(refusal.unwrap_or_else(|| unknown(site, target, "no address")))
}

/// Waits for a site's tunnel, as long as its clients wait
pub(super) async fn lease(site: &Site, facts: &SiteFacts) -> Result<Lease, Refusal> {
    site.tunnel(facts.wait).await.map_err(Refusal::not_up)
}

/// Returns the addresses of a target, at most [`MAX_ADDRESSES`]: of the site's `hosts`, else of its own DNS
pub(super) async fn addresses(
    lease: &Lease,
    site: &Site,
    facts: &SiteFacts,
    target: &Target,
) -> Result<Vec<SocketAddrV4>, Refusal> {
    let found = facts.resolve(lease, &target.host).await;
    let addresses = found.map_err(|error| {
        if pptp::TunnelError::from_io(&error).is_some() {
            let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, target.port);
            return Refusal::connect(site.name(), nowhere, &error);
        }
        unknown(site, target, &error.to_string())
    })?;
    let port = target.port;
    let addresses = addresses.into_iter().take(MAX_ADDRESSES);
    Ok(addresses.map(|address| SocketAddrV4::new(address, port)).collect())
}

fn unknown(site: &Site, target: &Target, error: &str) -> Refusal {
    let (site, name) = (site.name().clone(), target.host.to_string());
    Refusal::Name { site, name, error: error.to_owned() }
}

/// The time that a target may take to answer: as long as Linux asks (`tcp_syn_retries`)
///
/// The client has a time limit of its own, and may know that its target is slow or busy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);

/// Addresses of one name that are tried
const MAX_ADDRESSES: usize = 4;
