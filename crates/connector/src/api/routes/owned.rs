//! Sites that are made through the API

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pptp_fleet::SiteName;
use tokio::time::timeout;

use super::{Api, sites};
use crate::{
    api::{
        access::Caller,
        control::{SiteChange, SitesChanged, SitesRefused, SitesWanted},
        problem::Problem,
        query::{self, ChangeQuery},
        view::{ChangedView, ListenerView, ReloadView},
    },
    configuration::{InvalidDocument, SiteDocument},
};

/// Makes a site, or replaces it
pub(super) async fn put_one(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let query = query::parse_change_of_one(query.as_deref())?;
    let name = name_of(&name)?;
    let if_match = if_match(request.headers())?;
    let body = body(request, MAX_SITE).await?;
    let document = SiteDocument::parse(&body)?;
    let wanted = SitesWanted::One(name.clone(), document);
    let changed = change(&api, &caller, wanted, (query, if_match)).await?;
    let is_new = changed.report.added.contains(&name);
    let view = view(&api, &caller, changed, query.dry_run, Some(&name)).await;
    let status = if is_new && !query.dry_run { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(status, view))
}

/// Removes a site
pub(super) async fn delete_one(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = query::parse_change_of_one(query.as_deref())?;
    let if_match = if_match(&headers)?;
    // another name is no site, and none that could be made
    let site = name.parse().map_err(|_| Problem::no_such_site(&name))?;
    let changed = change(&api, &caller, SitesWanted::Without(site), (query, if_match)).await?;
    let view = view(&api, &caller, changed, query.dry_run, None).await;
    Ok(answer(StatusCode::OK, view))
}

/// Makes the set of sites that are made through the API this one
pub(super) async fn put_all(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let query = query::parse_change(query.as_deref())?;
    let if_match = if_match(request.headers())?;
    let place = Arc::clone(&api.sets).try_acquire_owned();
    let _place = place.map_err(|_| Problem::busy("other sets of sites are being read"))?;
    let body = body(request, MAX_SITES).await?;
    let wanted = SitesWanted::All(SiteDocument::parse_all(&body)?);
    drop(body);
    let changed = change(&api, &caller, wanted, (query, if_match)).await?;
    let view = view(&api, &caller, changed, query.dry_run, None).await;
    Ok(answer(StatusCode::OK, view))
}

/// Makes a change; it is not given up with its client
async fn change(
    api: &Arc<Api>,
    caller: &Caller,
    wanted: SitesWanted,
    (query, if_match): (ChangeQuery, Option<String>),
) -> Result<SitesChanged, Problem> {
    let change = SiteChange {
        wanted,
        by: caller.to_string(),
        sites: caller.rights().sites.clone(),
        if_match,
        removes: query.removes,
        dry_run: query.dry_run,
    };
    let control = Arc::clone(&api.control);
    let changed = tokio::spawn(async move { control.change_sites(change).await }).await;
    let changed = changed.map_err(|_| {
        let (title, detail) = ("A fault of the daemon", "the change has panicked; see the log");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
    })?;
    Ok(changed?)
}

async fn view(
    api: &Api,
    caller: &Caller,
    SitesChanged { report, version }: SitesChanged,
    dry_run: bool,
    site: Option<&SiteName>,
) -> ChangedView {
    let as_of = api.control.events().as_of().to_string();
    let about = report.added.iter().chain(&report.changed);
    let mut about: BTreeSet<_> =
        about.chain(report.redialled.iter().map(|(name, _)| name)).chain(site).cloned().collect();
    about.retain(|_| !dry_run);
    let forwards = api.control.listeners().await.into_iter();
    let forwards = forwards.filter(|it| it.site.as_ref().is_some_and(|it| about.contains(it)));
    let forwards: Vec<ListenerView> = forwards.map(Into::into).collect();
    let site = match site.filter(|_| !dry_run) {
        Some(name) => sites::view(api, name.as_str(), caller).await.ok(),
        None => None,
    };
    ChangedView { as_of, version, changes: ReloadView::new(&report, dry_run), forwards, site }
}

fn answer(status: StatusCode, view: ChangedView) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", view.version));
    let mut response = (status, Json(view)).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn name_of(name: &str) -> Result<SiteName, Problem> {
    name.parse().map_err(|error: pptp_fleet::InvalidName| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "name", "It is no name of a site", error.to_string())
    })
}

/// Returns the version that a caller knows
fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim_matches('"');
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        let detail = "`If-Match` wants the version of the set: `version` of GET /v1/sites";
        return Err(Problem::bad_request(detail));
    }
    Ok(Some(text.to_owned()))
}

/// Reads the body of a request, within its bounds of length and of time
async fn body(request: Request, most: usize) -> Result<Bytes, Problem> {
    let read = Limited::new(request.into_body(), most).collect();
    match timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let (status, title) = (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long");
            let detail = format!("the body has more than {most} octets");
            Err(Problem::new(status, "too-long", title, detail))
        }
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
        Err(_) => {
            let seconds = BODY_TIMEOUT.as_secs();
            let detail = format!("the body has not come within {seconds} s");
            let (status, title) = (StatusCode::REQUEST_TIMEOUT, "The body is too slow");
            Err(Problem::new(status, "too-slow", title, detail))
        }
    }
}

impl From<InvalidDocument> for Problem {
    fn from(error: InvalidDocument) -> Self {
        let message = error.to_string();
        match error {
            InvalidDocument::Json(_) => Self::bad_request(message),
            InvalidDocument::Value { pointer, .. } => {
                let problem = crate::api::ReloadProblem {
                    pointer: Some(pointer),
                    message,
                    ..Default::default()
                };
                Self::configuration(vec![problem], 1)
            }
        }
    }
}

impl From<SitesRefused> for Problem {
    fn from(refused: SitesRefused) -> Self {
        match refused {
            SitesRefused::NoSuchSite(name) => Self::no_such_site(name.as_str()),
            SitesRefused::OfFile { site, at } => {
                let detail = format!("{site} is a site of a file, {at}: change it there");
                let title = "Another owner";
                let problem = Self::new(StatusCode::CONFLICT, "owner", title, detail);
                Self { site: Some(site.as_str().into()), ..problem }
            }
            SitesRefused::NotAllowed(site) => {
                let detail = format!("{site} is none of the sites that the caller may change");
                crate::api::access::forbidden(detail)
            }
            SitesRefused::Version { version } => {
                let detail = format!(
                    "the set has changed since; it has the version {version} by now: list the sites anew"
                );
                let title = "Another version";
                Self::new(StatusCode::PRECONDITION_FAILED, "version", title, detail)
            }
            SitesRefused::NoVersion => {
                let detail = "`If-Match` is missing: `version` of GET /v1/sites";
                let title = "The version is missing";
                Self::new(StatusCode::PRECONDITION_REQUIRED, "no-version", title, detail)
            }
            SitesRefused::Problems { problems, count } => Self::configuration(problems, count),
            SitesRefused::TooManyRemoved { removes, of } => {
                let detail = format!(
                    "it would remove {removes} of {of} sites, and nothing was changed; \
                     if that is right: ?removes={removes}"
                );
                let title = "It removes too many sites";
                Self::new(StatusCode::CONFLICT, "mass-change", title, detail)
            }
            SitesRefused::NotBound(detail) => {
                let title = "A port cannot be had";
                Self::new(StatusCode::CONFLICT, "not-bound", title, detail)
            }
            SitesRefused::NotKept { is_disk_full, reason } => {
                let (status, kind) = if is_disk_full {
                    (StatusCode::INSUFFICIENT_STORAGE, "disk-full")
                } else {
                    (StatusCode::INTERNAL_SERVER_ERROR, "not-kept")
                };
                let detail = format!("{reason}; nothing was changed");
                Self::new(status, kind, "It cannot be kept", detail)
            }
            SitesRefused::Impossible(detail) => {
                Self::new(StatusCode::CONFLICT, "impossible", "It cannot be changed", detail)
            }
        }
    }
}

/// The octets of a body with one site
const MAX_SITE: usize = 64 << 10;

/// The octets of a body with all sites: 10,000 of them take some 10 MB
const MAX_SITES: usize = 16 << 20;

/// The time in which a body has to come
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_status() {
        let site: SiteName = "b1".parse().unwrap();
        let not_kept = |is_disk_full| SitesRefused::NotKept { is_disk_full, reason: "x".into() };
        for (refused, status, kind) in [
            (SitesRefused::NoSuchSite(site.clone()), 404, "no-such-site"),
            (SitesRefused::NotAllowed(site.clone()), 403, "forbidden"),
            (SitesRefused::OfFile { site, at: "a.toml:3".into() }, 409, "owner"),
            (SitesRefused::Version { version: "0a".into() }, 412, "version"),
            (SitesRefused::NoVersion, 428, "no-version"),
            (SitesRefused::TooManyRemoved { removes: 11, of: 12 }, 409, "mass-change"),
            (SitesRefused::NotBound("taken".into()), 409, "not-bound"),
            (not_kept(true), 507, "disk-full"),
            (not_kept(false), 500, "not-kept"),
        ] {
            let problem = Problem::from(refused);
            assert_eq!((problem.status, &*problem.r#type), (status, kind), "{problem:?}");
        }
    }
}
