//! The queries and the bodies of the control interface's requests

use pptp_connector::{
    api::query::{
        self, ActQuery, CaptureQuery, DoctorQuery, EventsQuery, InvalidQuery, PingQuery,
        SitesQuery, TcpQuery,
    },
    configuration::SiteDocument,
};

/// The longest text of an error: it goes into an answer
const MAX_ERROR: usize = 4096;

/// Reads the octets as the query of each route
///
/// What is read is within its bounds, and what is refused is told in a text that has an end.
pub fn target(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let query = Some(text.as_ref());
    if let Some(sites) = told(SitesQuery::parse(query)) {
        assert!((1..=500).contains(&sites.limit), "a page has a bound");
    }
    if let Some(act) = told(ActQuery::parse(query)) {
        assert!(act.wait.is_none_or(|wait| wait.as_secs() <= 600), "a wait has a bound");
    }
    if let Some(ping) = told(PingQuery::parse(query)) {
        assert!((1..=100).contains(&ping.count), "pings have a bound");
    }
    if let Some(tcp) = told(TcpQuery::parse(query)) {
        let again = tcp.to.to_string().parse();
        assert_eq!(again, Ok(tcp.to), "a target is read again as it is printed");
    }
    if let Some(capture) = told(CaptureQuery::parse(query)) {
        assert!(capture.snap.is_none_or(|snap| (1..=65_535).contains(&snap)));
    }
    if let Some(since) = told(EventsQuery::parse(query, query)).and_then(|events| events.since) {
        assert_eq!(since.to_string().parse(), Ok(since), "an event is read again as it is printed");
    }
    told(DoctorQuery::parse(query));
    told(query::parse_reload(query));
    told(query::none(query));
    told(query::parse_change(query));
    told(query::parse_change_of_one(query));
    for error in [SiteDocument::parse(octets).err(), SiteDocument::parse_all(octets).err()] {
        let length = error.map_or(1, |error| error.to_string().len());
        assert!((1..=MAX_ERROR).contains(&length), "{length} octets");
    }
}

/// Returns what was read; else looks at the error's text
fn told<T>(read: Result<T, InvalidQuery>) -> Option<T> {
    let error = match read {
        Ok(read) => return Some(read),
        Err(error) => error.to_string(),
    };
    assert!(!error.is_empty() && error.len() <= MAX_ERROR, "{} octets", error.len());
    None
}
