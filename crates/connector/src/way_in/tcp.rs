//! A client of a TCP forward

use pptp_fleet::SiteName;

use super::{
    client::{Client, ClientStream},
    listener::Listener,
    pass::Passage,
    reach,
    refusal::Refusal,
};
use crate::settings::{ForwardSettings, Protocol};

/// Connects a client to the target of a forward, and passes octets until both have ended
///
/// A client that cannot be forwarded is reset: it must not take the connection for one that the target has closed.
pub(super) async fn serve<S: ClientStream>(
    listener: &Listener,
    client: Client<S>,
    name: &SiteName,
    forward: &ForwardSettings,
) {
    let origin = client.origin();
    let mut passage = Passage::new(client);
    let connect = async {
        let site = listener.directory.site(name.as_str());
        let (site, facts) = site.ok_or_else(|| Refusal::NoSuchSite(name.to_string()))?;
        reach::connect(&site, &facts, &forward.target, |_| true).await
    };
    let reached = passage.wait_for(connect).await;
    match reached.unwrap_or_else(|| Err(Refusal::Gone(format!("{name} {}", forward.target)))) {
        Ok(reached) => {
            let stop = listener.until_forbidden(|way| way.clients().may_use(origin.ip()));
            let idle = match forward.protocol {
                Protocol::Tcp { idle } => idle,
                Protocol::Udp { .. } | Protocol::Knx { .. } => None,
            };
            if let Err(error) = passage.run(reached.remote, &listener.counters, idle, stop).await {
                tracing::debug!(
                    "{name}: the connection of {origin} to {} broke: {error}",
                    reached.target
                );
            }
            drop(reached.lease);
        }
        Err(refusal) => listener.refuse(origin, &refusal),
    }
}
