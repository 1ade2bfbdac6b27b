//! Errors of the control interface: `application/problem+json` (RFC 9457)

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use pptp::error::Layer;
use pptp_fleet::{NotUp, SiteName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    control::ReloadProblem,
    view::{ConfigProblemView, FailureView, layer_of},
};
use crate::cli::exit::Exit;

/// An error of the control interface
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind, for programs: `no-such-site`
    pub r#type: Box<str>,
    /// The kind, for people
    pub title: Box<str>,
    /// The status of HTTP
    pub status: u16,
    /// The event and the remedy, in a sentence
    pub detail: Box<str>,
    /// The site
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Box<str>>,
    /// The word for its state
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<str>>,
    /// The failure behind it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<FailureView>>,
    /// The problems of a configuration
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ConfigProblemView>,
    /// The exit code that a command line should end with
    pub exit: u8,
}

impl Problem {
    /// Makes a problem
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        let exit = match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
                Exit::Usage
            }
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Exit::Role,
            _ => Exit::Program,
        };
        Self {
            r#type: kind.into(),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into().into_boxed_str(),
            exit: exit.code(),
            ..Self::default()
        }
    }

    /// A request that cannot be understood
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is wrong", detail)
    }

    /// A configuration with these problems
    pub fn configuration(problems: Vec<ReloadProblem>, count: usize) -> Self {
        let plural = if count == 1 { "" } else { "s" };
        let detail = format!("{count} problem{plural}; nothing was changed");
        let title = "The configuration has problems";
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration", title, detail);
        Self { errors: problems.into_iter().map(Into::into).collect(), ..problem }
    }

    /// There is no such site
    pub fn no_such_site(name: &str) -> Self {
        let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
        let detail = format!("there is no site `{shown}`; `pptp-connector show --all` lists all");
        let problem = Self::new(StatusCode::NOT_FOUND, "no-such-site", "No such site", detail);
        Self { exit: Exit::Site.code(), site: Some(shown.into()), ..problem }
    }

    /// Too much at a time
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much at a time", detail)
    }

    /// The daemon is being shut down
    pub fn shut_down() -> Self {
        let detail = "the daemon is being shut down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shut-down", "The daemon ends", detail)
    }

    /// A site is not up, or not in time
    pub fn not_up(error: &NotUp) -> Self {
        match error {
            NotUp::Refused { site, state } => Self::down(site, state, error.to_string(), false),
            NotUp::TooLate { site, state, .. } => Self::down(site, state, error.to_string(), true),
            _ => Self::shut_down(),
        }
    }

    /// A site is in this state and not up
    pub fn down(
        site: &SiteName,
        state: &pptp_fleet::SiteState,
        detail: String,
        is_late: bool,
    ) -> Self {
        let status = if is_late { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::CONFLICT };
        let problem = Self::new(status, "not-up", "The site is not up", detail);
        let failure = state.failure();
        let exit = failure.map_or(Exit::NotInTime, |failure| Exit::Layer(layer_of(failure)));
        Self {
            site: Some(site.as_str().into()),
            state: Some(state.name().into()),
            failure: failure.map(|failure| Box::new(FailureView::new(failure))),
            exit: exit.code(),
            ..problem
        }
    }

    /// A target behind a site that is up was not reached
    pub fn target(site: &SiteName, detail: String) -> Self {
        let (status, title) = (StatusCode::BAD_GATEWAY, "The target was not reached");
        let problem = Self::new(status, "target", title, detail);
        let exit = Exit::Layer(Layer::Target).code();
        Self { site: Some(site.as_str().into()), exit, ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
