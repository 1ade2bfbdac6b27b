//! The doctor

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
};
use pptp::doctor::{Doctor, Target};
use pptp_fleet::{Caller, Fleet, Lease, Site, SiteName, SiteState};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{Api, Examination, stream_place};
use crate::{
    api::{
        access::{Caller as ApiCaller, forbidden},
        problem::Problem,
        query::DoctorQuery,
        stream,
        view::FindingView,
    },
    directory::SiteFacts,
};

/// Examines a site; a finding a line
///
/// A site that is up is examined on its tunnel: a second dial would end the first one at many servers. Another site is
/// dialled with its own configuration, and does not dial by itself meanwhile.
pub(super) async fn examine(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<ApiCaller>,
) -> Result<Response, Problem> {
    let DoctorQuery { target } = DoctorQuery::parse(query.as_deref())?;
    let (site, facts) = api.site(&name, &caller)?;
    let target = target.map(|target| with_hosts(target, &facts));
    if target.is_some() && !caller.may_reach_all() {
        let detail = format!(
            "{caller} has not the role `reach` for all targets, which `target` wants; without it the doctor looks at the tunnel"
        );
        return Err(forbidden(detail));
    }
    let place = stream_place(&caller)?;
    let examination = Examination::begin(&api, site.name())?;
    let subject = subject(&api, &site, target).await?;
    let (sender, response) = stream::begin("application/x-ndjson", MAX_FINDINGS, place);
    tokio::spawn(async move {
        subject.examine(&sender).await;
        drop(examination);
    });
    Ok(response)
}

/// A site that is examined
struct Subject {
    doctor: Doctor,
    _lease: Option<Lease>,
    hold: Option<Hold>,
}

impl Subject {
    /// Examines to the end, also when the client is gone: a dial ends with its hang-up
    async fn examine(mut self, sender: &mpsc::Sender<Bytes>) {
        while let Some(finding) = self.doctor.next().await {
            // there is room for all findings, or the client is gone
            let _ = sender.try_send(stream::line(&FindingView::new(&finding)));
        }
        // only now may the site dial by itself
        drop(self.hold);
    }
}

async fn subject(api: &Api, site: &Site, target: Option<Target>) -> Result<Subject, Problem> {
    let deadline = Instant::now() + SETTLE;
    let state = settled(site, deadline, is_settled).await?;
    if let Some(lease) = site.lease() {
        let doctor = lease.doctor(target);
        return Ok(Subject { doctor, _lease: Some(lease), hold: None });
    }
    let hold = Hold::begin(api.control.directory().fleet(), site, &state, deadline).await?;
    let doctor = api.control.doctor(site.name()).await.map_err(|reason| {
        let detail = format!("{} cannot be dialled: {reason}", site.name());
        Problem::new(StatusCode::CONFLICT, "no-doctor", "It cannot be examined", detail)
    })?;
    let doctor = target.into_iter().fold(doctor, Doctor::target);
    Ok(Subject { doctor, _lease: None, hold })
}

/// A site that would dial, and is kept from it
struct Hold {
    fleet: Fleet,
    site: SiteName,
    state: tokio::sync::watch::Receiver<SiteState>,
}

impl Hold {
    /// Keeps a site down that would dial by itself; `None` if it does not
    async fn begin(
        fleet: &Fleet,
        site: &Site,
        state: &SiteState,
        deadline: Instant,
    ) -> Result<Option<Self>, Problem> {
        if !matches!(state, SiteState::Waiting { .. } | SiteState::Queued) {
            return Ok(None);
        }
        // made first: it is given back also if the client leaves while this waits
        let hold = Self { fleet: fleet.clone(), site: site.name().clone(), state: site.state() };
        if !fleet.down(site.name(), Caller(HOLDER.to_owned())).await {
            return Err(Problem::no_such_site(site.name().as_str()));
        }
        settled(site, deadline, is_held).await?;
        Ok(Some(hold))
    }
}

impl Drop for Hold {
    /// Lets the site dial again, unless a person has decided otherwise meanwhile
    fn drop(&mut self) {
        let (fleet, site, mut states) = (self.fleet.clone(), self.site.clone(), self.state.clone());
        // without a runtime there is no fleet any more
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // a hang-up that is under way leads there
            let held = timeout(SETTLE, states.wait_for(is_settled)).await;
            let is_ours = held.is_ok_and(|state| state.is_ok_and(|state| is_held(&state)));
            if is_ours {
                fleet.up(&site).await;
            }
        });
    }
}

fn is_held(state: &SiteState) -> bool {
    matches!(state, SiteState::Down { by } if by.0 == HOLDER)
}

/// Returns true if nothing is under way at a site
const fn is_settled(state: &SiteState) -> bool {
    !matches!(
        state,
        SiteState::Dialling { .. }
            | SiteState::FetchingSecret
            | SiteState::Renegotiating { .. }
            | SiteState::HangingUp { .. }
    )
}

/// Waits until a site is in such a state
async fn settled(
    site: &Site,
    deadline: Instant,
    is_such: fn(&SiteState) -> bool,
) -> Result<SiteState, Problem> {
    let mut states = site.state();
    let reached = timeout_at(deadline, states.wait_for(is_such)).await;
    match reached {
        Ok(Ok(state)) => Ok(state.clone()),
        Ok(Err(_)) => Err(Problem::shut_down()),
        Err(_) => {
            let state = site.state().borrow().clone();
            let detail = format!("{} is {state}; ask again when that is over", site.name());
            Err(Problem::down(site.name(), &state, detail, true))
        }
    }
}

/// Puts the address of a host in the place of a name that the site's configuration has
fn with_hosts(mut target: Target, facts: &SiteFacts) -> Target {
    match &mut target {
        Target::Tcp { host, .. }
        | Target::Udp { host, .. }
        | Target::Ping { host }
        | Target::Knx { host, .. } => {
            if let Some(address) = facts.hosts.get(&host.to_ascii_lowercase()) {
                *host = address.to_string();
            }
        }
        // a kind that this crate does not know yet
        _ => {}
    }
    target
}

/// The name in whose name a site is kept down while it is examined
const HOLDER: &str = "the doctor";

/// The time for a dial or a hang-up that is under way
const SETTLE: Duration = Duration::from_secs(45);

/// More than a doctor has
const MAX_FINDINGS: usize = 64;
