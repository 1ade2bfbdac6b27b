//! The queries of requests
//!
//! Each is read from the text behind the `?`, without I/O, and may be any octets. A key that a route does not have is
//! refused: it would be a wish that is not fulfilled.

use std::time::Duration;

use axum::{extract::Query, http::Uri};
use pptp::doctor::Target as DoctorTarget;
use pptp_fleet::{SiteName, SiteState};

use super::{control::ReloadOptions, event_log::EventId};
use crate::{
    settings::Selector,
    target::{Host, Target},
};

/// The reason why a query is refused
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// It is no query
    #[error("the query cannot be read: write key=value&key=value, with %XX for other octets")]
    Syntax,
    /// It has more keys than the bound
    #[error("the query has more than {MAX_PAIRS} keys")]
    TooMany,
    /// The route has no such key
    #[error("`{key}` is no key of this route; it has: {known}")]
    Key {
        /// The key
        key: String,
        /// The keys that there are
        known: String,
    },
    /// A key that has one value is there twice
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    /// A key is missing
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value is wrong
    #[error("`{key}`: {reason}")]
    Value {
        /// The key
        key: &'static str,
        /// The reason
        reason: String,
    },
}

/// The pairs of a query
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn read(query: Option<&str>, known: &[&'static str]) -> Result<Self, InvalidQuery> {
        let uri = Uri::builder().path_and_query(format!("/?{}", query.unwrap_or_default())).build();
        let uri = uri.map_err(|_| InvalidQuery::Syntax)?;
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&uri);
        let Query(pairs) = pairs.map_err(|_| InvalidQuery::Syntax)?;
        if pairs.len() > MAX_PAIRS {
            return Err(InvalidQuery::TooMany);
        }
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(InvalidQuery::Key { key: shorten(key), known });
        }
        Ok(Self(pairs))
    }

    fn all<'a>(&'a self, key: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(it, _)| it == key).map(|(_, value)| value.as_str())
    }

    fn one<T, E: ToString>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, InvalidQuery> {
        let mut values = self.all(key);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(InvalidQuery::Twice(key));
        }
        let wrong = |error: E| InvalidQuery::Value { key, reason: error.to_string() };
        read(value).map(Some).map_err(wrong)
    }

    fn number(
        &self,
        key: &'static str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, InvalidQuery> {
        self.one(key, |text| {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| format!("`{}` is no number from {least} to {most}", shorten(text)))
        })
    }

    fn flag(&self, key: &'static str) -> Result<bool, InvalidQuery> {
        let flag = self.one(key, |text| match text {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("`{}` is neither true nor false", shorten(other))),
        })?;
        Ok(flag.unwrap_or(false))
    }
}

/// The query of a route that has none
pub fn none(query: Option<&str>) -> Result<(), InvalidQuery> {
    Pairs::read(query, &[]).map(|_| ())
}

/// The choice of a page of sites: `select=@city=Berlin&state=waiting&after=b17&limit=100`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitesQuery {
    /// The sites; all without it. Each `select` is a term
    pub select: Selector,
    /// The states, one of which a site is in; empty: any
    pub states: Vec<&'static str>,
    /// The name behind which the page begins
    pub after: Option<SiteName>,
    /// The number of sites
    pub limit: usize,
}

impl SitesQuery {
    /// Reads a query
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["select", "state", "after", "limit"])?;
        let select = if pairs.all("select").next().is_none() {
            Selector::all()
        } else {
            let wrong = |error: crate::settings::InvalidSelector| InvalidQuery::Value {
                key: "select",
                reason: error.to_string(),
            };
            Selector::parse(pairs.all("select")).map_err(wrong)?
        };
        let states = pairs.all("state").map(state).collect::<Result<_, _>>()?;
        let after = pairs.one("after", str::parse)?;
        let limit = pairs.number("limit", 1, MAX_PAGE)?.unwrap_or(MAX_PAGE);
        Ok(Self { select, states, after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    }
}

/// The query of `up`, `down` and `restart`: `wait=30`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActQuery {
    /// The time to wait for the state that is wanted; `None`: not at all
    pub wait: Option<Duration>,
}

impl ActQuery {
    /// Reads a query
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["wait"])?;
        let wait = pairs.one("wait", |text| {
            let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
            let seconds = seconds.filter(|seconds| *seconds <= MAX_WAIT);
            let wrong = || format!("`{}` is no number of seconds up to {MAX_WAIT}", shorten(text));
            seconds.map(Duration::from_secs).ok_or_else(wrong)
        })?;
        Ok(Self { wait })
    }
}

/// The query of `ping`: `to=192.168.1.3&count=4`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingQuery {
    /// The host
    pub to: Host,
    /// The number of pings
    pub count: u32,
}

impl PingQuery {
    /// Reads a query
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["to", "count"])?;
        let to = pairs.one("to", Host::parse)?.ok_or(InvalidQuery::Missing("to"))?;
        let count = pairs.number("count", 1, MAX_PINGS)?;
        let count = count.and_then(|count| u32::try_from(count).ok());
        Ok(Self { to, count: count.unwrap_or(DEFAULT_PINGS) })
    }
}

/// The query of a connection: `to=192.168.1.3:22`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpQuery {
    /// The target
    pub to: Target,
}

impl TcpQuery {
    /// Reads a query
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["to"])?;
        let to = pairs.one("to", str::parse)?.ok_or(InvalidQuery::Missing("to"))?;
        Ok(Self { to })
    }
}

/// The query of the doctor: `target=tcp:192.168.1.3:80`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorQuery {
    /// The target that it looks at behind the tunnel
    pub target: Option<DoctorTarget>,
}

impl DoctorQuery {
    /// Reads a query
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["target"])?;
        let target = pairs.one("target", |text| {
            if text.len() > MAX_TARGET {
                return Err(format!("it has more than {MAX_TARGET} octets"));
            }
            text.parse().map_err(|error| format!("`{}`: {error}", shorten(text)))
        })?;
        Ok(Self { target })
    }
}

/// The query of a capture: `snap=96`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureQuery {
    /// The octets that are kept of each packet; `None`: all
    pub snap: Option<u32>,
}

impl CaptureQuery {
    /// Reads a query
    pub fn parse(query: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["snap"])?;
        let snap = pairs.number("snap", 1, MAX_SNAP)?;
        Ok(Self { snap: snap.and_then(|snap| u32::try_from(snap).ok()) })
    }
}

/// The query of a stream of events: `since=18c2f-17`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsQuery {
    /// The event behind which the stream begins; `None`: with the next one
    pub since: Option<EventId>,
}

impl EventsQuery {
    /// Reads a query and the value of `Last-Event-ID`, which comes before it: it is what a reader saw last
    pub fn parse(query: Option<&str>, last_event_id: Option<&str>) -> Result<Self, InvalidQuery> {
        let pairs = Pairs::read(query, &["since"])?;
        let since = pairs.one("since", str::parse)?;
        let wrong = |error: super::event_log::InvalidId| InvalidQuery::Value {
            key: "Last-Event-ID",
            reason: error.to_string(),
        };
        let last = last_event_id.map(str::parse).transpose().map_err(wrong)?;
        Ok(Self { since: last.or(since) })
    }
}

/// The query of a reload: `dry_run=true&removes=2950`
///
/// # Errors
/// A key or a value is wrong.
pub fn parse_reload(query: Option<&str>) -> Result<ReloadOptions, InvalidQuery> {
    let pairs = Pairs::read(query, &["dry_run", "removes"])?;
    let removes = pairs.number("removes", 0, u32::MAX.into())?;
    let removes = removes.and_then(|number| usize::try_from(number).ok());
    Ok(ReloadOptions { removes, dry_run: pairs.flag("dry_run")? })
}

/// Reads the word for a state of a site
fn state(text: &str) -> Result<&'static str, InvalidQuery> {
    SiteState::NAMES.into_iter().find(|state| *state == text).ok_or_else(|| InvalidQuery::Value {
        key: "state",
        reason: format!(
            "`{}` is no state; there are: {}",
            shorten(text),
            SiteState::NAMES.join(", ")
        ),
    })
}

/// The first 80 characters of a text, for an error
fn shorten(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The keys of a query
const MAX_PAIRS: usize = 64;

/// The sites of a page
const MAX_PAGE: u64 = 500;

/// The seconds to wait for a site
const MAX_WAIT: u64 = 600;

/// The pings of a request
const MAX_PINGS: u64 = 100;
const DEFAULT_PINGS: u32 = 4;

/// The most octets of a target, with the text that is sent to it
const MAX_TARGET: usize = 1024;

/// The longest IP packet
const MAX_SNAP: u64 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let sites =
            SitesQuery::parse(Some("select=b1&select=%40city%3DBerlin&state=up&after=b7&limit=3"));
        let expected = SitesQuery {
            select: Selector::parse(["b1", "@city=Berlin"]).unwrap(),
            states: vec!["up"],
            after: Some("b7".parse().unwrap()),
            limit: 3,
        };
        assert_eq!(sites, Ok(expected));
        assert_eq!(SitesQuery::parse(None).unwrap().limit, 500);
        let wait = |seconds| Ok(ActQuery { wait: Some(Duration::from_secs(seconds)) });
        assert_eq!(ActQuery::parse(Some("wait=30s")), wait(30));
        assert_eq!(ActQuery::parse(Some("wait=0")), wait(0));
        assert_eq!(ActQuery::parse(Some("")), Ok(ActQuery { wait: None }));
        let to = Host::parse("knx").unwrap();
        assert_eq!(PingQuery::parse(Some("to=knx")), Ok(PingQuery { to, count: 4 }));
        let to = "192.168.1.3:22".parse().unwrap();
        assert_eq!(TcpQuery::parse(Some("to=192.168.1.3%3A22")), Ok(TcpQuery { to }));
        let doctor = DoctorQuery::parse(Some("target=ping:192.168.1.3")).unwrap();
        assert_eq!(doctor.target, Some(DoctorTarget::Ping { host: "192.168.1.3".into() }));
        assert_eq!(CaptureQuery::parse(Some("snap=96")), Ok(CaptureQuery { snap: Some(96) }));
        let reload = ReloadOptions { removes: Some(2950), dry_run: true };
        assert_eq!(parse_reload(Some("dry_run&removes=2950")), Ok(reload));
    }

    #[test]
    fn what_the_reader_saw_last_comes_before_what_it_asked_for_first() {
        let events = |query, last| EventsQuery::parse(query, last).unwrap().since;
        let id = |text: &str| Some(text.parse().unwrap());
        assert_eq!(events(Some("since=a-1"), None), id("a-1"));
        assert_eq!(events(Some("since=a-1"), Some("a-7")), id("a-7"));
        assert!(EventsQuery::parse(None, Some("x")).is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |result: Result<SitesQuery, InvalidQuery>| result.unwrap_err().to_string();
        assert_eq!(
            error(SitesQuery::parse(Some("selct=b1"))),
            "`selct` is no key of this route; it has: select, state, after, limit"
        );
        assert_eq!(
            error(SitesQuery::parse(Some("limit=501"))),
            "`limit`: `501` is no number from 1 to 500"
        );
        assert!(error(SitesQuery::parse(Some("state=upp"))).contains("is no state; there are: "));
        assert_eq!(error(SitesQuery::parse(Some("after=a&after=b"))), "`after` is there twice");
        assert_eq!(TcpQuery::parse(None), Err(InvalidQuery::Missing("to")));
        assert_eq!(SitesQuery::parse(Some("a b")), Err(InvalidQuery::Syntax));
        let many = "state=up&".repeat(65);
        assert_eq!(SitesQuery::parse(Some(&many)), Err(InvalidQuery::TooMany));
        assert!(ActQuery::parse(Some("wait=601")).is_err());
        assert!(PingQuery::parse(Some("to=192.168.1.3&count=0")).is_err());
        assert!(none(Some("x=1")).is_err());
        assert!(none(None).is_ok());
    }
}
