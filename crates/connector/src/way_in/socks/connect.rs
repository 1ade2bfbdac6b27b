//! CONNECT: a connection to a target (RFC 1928 §4)

use std::net::{Ipv4Addr, SocketAddr};

use pptp_socks5::{Host, Reply, Target};
use tokio::io::AsyncWriteExt;

use super::answer;
use crate::{
    settings::{ProxyKind, ProxySettings},
    target::InvalidTarget,
    way_in::{
        access::{self, Grant, Guest},
        client::ClientStream,
        listener::Listener,
        names,
        pass::Passage,
        reach::{self, Reached},
        refusal::Refusal,
    },
};

/// Connects a client to its target, and passes octets until both have ended
pub(super) async fn serve<S: ClientStream>(
    listener: &Listener,
    mut passage: Passage<S>,
    proxy: &ProxySettings,
    guest: &Guest,
    target: &Target,
) {
    let origin = passage.client.origin();
    let reached = passage.wait_for(connect(listener, proxy, guest, target)).await;
    let reached = reached.unwrap_or_else(|| Err(Refusal::Gone(target.to_string())));
    let (reached, grant) = match reached {
        Ok(reached) => reached,
        Err(refusal) => return answer::refuse(listener, passage, origin, &refusal).await,
    };
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let bound = reached.remote.local_addr().unwrap_or(nowhere);
    let reply = Reply::Succeeded(bound).emit();
    let replied = passage.client.write_all(&reply).await;
    if replied.is_err() {
        return;
    }
    let holds = |proxy: &ProxySettings| grant.holds(proxy, &listener.directory);
    let stop = listener.until_proxy_forbids(origin, ProxyKind::Socks, holds);
    if let Err(error) = passage.run(reached.remote, &listener.counters, None, stop).await {
        tracing::debug!("the connection of {origin} to {target} broke: {error}");
    }
    drop(reached.lease);
}

async fn connect(
    listener: &Listener,
    proxy: &ProxySettings,
    guest: &Guest,
    target: &Target,
) -> Result<(Reached, Grant), Refusal> {
    let host = match &target.host {
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => return Err(InvalidTarget::Ipv6(address.to_string()).into()),
        Host::Name(name) => name.clone(),
    };
    let wanted = names::destination(proxy, guest.site.as_deref(), &host, target.port)?;
    let (site, facts, grant) = guest.site(proxy, &listener.directory, &wanted.site)?;
    let may_reach = |target| access::may_reach(proxy, target);
    let reached = reach::connect(&site, &facts, &wanted.target, may_reach).await?;
    let target = reached.target;
    Ok((reached, grant.to(target)))
}
