//! The form that a scraper wants

use super::text::Format;

/// Returns the form that the values of `Accept` ask for
///
/// `OpenMetrics` is for those who name it: `promtool` and other readers of what `curl` prints know the older form alone.
pub(in crate::api) fn wanted<'h>(accept: impl IntoIterator<Item = &'h str>) -> Format {
    let (mut open, mut plain) = (0, 0);
    for range in accept.into_iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut is_known) = (MOST, true);
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name.trim().to_ascii_lowercase().as_str(), value.trim().trim_matches('"')) {
                ("q", value) => weight = parse_weight(value),
                // a later version may be incompatible
                ("version", value) => is_known = matches!(value, "1.0.0" | "0.0.1" | "0.0.4"),
                _ => {}
            }
        }
        match kind.as_str() {
            "application/openmetrics-text" if is_known => open = open.max(weight),
            "text/plain" | "text/*" if is_known => plain = plain.max(weight),
            _ => {}
        }
    }
    if open > 0 && open >= plain { Format::OpenMetrics } else { Format::Classic }
}

/// Returns a weight in thousandths (RFC 9110 §12.4.2); 0 if it is not well-formed
fn parse_weight(text: &str) -> u32 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_form = rest.len() <= 3 && rest.bytes().all(|octet| octet.is_ascii_digit());
    let thousandths = format!("{rest:0<3}").parse().unwrap_or(0);
    match whole {
        "1" if is_form && thousandths == 0 => MOST,
        "0" if is_form => thousandths,
        _ => 0,
    }
}

/// The weight of a form without the parameter `q`, in thousandths
const MOST: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_name_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                            version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
                            escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for accept in [
            prometheus_2,
            prometheus_3,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            "text/plain;q=0.5, application/openmetrics-text; version=0.0.1; q=0.75",
        ] {
            assert_eq!(wanted([accept]), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "*/*",
            "",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.1, text/plain;q=0.2",
            "application/openmetrics-text;q=1.5",
            "application/openmetrics-text;q=0.1234",
        ] {
            assert_eq!(wanted([accept]), Format::Classic, "{accept}");
        }
        assert_eq!(wanted([]), Format::Classic);
        assert_eq!(wanted(["text/html", "application/openmetrics-text"]), Format::OpenMetrics);
    }
}
