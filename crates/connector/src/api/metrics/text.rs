//! The two forms of text: `OpenMetrics` 1.0, and the older one of Prometheus

use std::fmt::Write;

use pptp_fleet::DurationCounts;

use super::family::{Family, Kind};

/// A form of the text
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `OpenMetrics` 1.0.0
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, which every tool reads
    Classic,
}

impl Format {
    /// Returns the content type
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A text that is being written
#[derive(Debug)]
pub(super) struct Text {
    format: Format,
    text: String,
}

/// The samples of one metric, which is being written
#[derive(Debug)]
pub(super) struct Samples<'t> {
    text: &'t mut String,
    family: Family,
}

/// A value of a sample
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
}

impl Text {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a metric; its samples follow, and those of no other between them
    pub(super) fn family(&mut self, family: Family) -> Samples<'_> {
        let Self { format, text } = self;
        let (name, help) = (family.name, family.help);
        // writing to a text cannot fail
        let _ = match format {
            Format::OpenMetrics => {
                let unit = family.unit().map(|unit| format!("# UNIT {name} {unit}\n"));
                let (kind, unit) = (family.kind.name(), unit.unwrap_or_default());
                write!(text, "# TYPE {name} {kind}\n{unit}# HELP {name} {help}\n")
            }
            Format::Classic => {
                // facts as labels are a gauge there
                let kind = if family.kind == Kind::Info { Kind::Gauge } else { family.kind };
                let (name, kind) = (family.sample_name(), kind.name());
                write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
            }
        };
        Samples { text, family }
    }

    /// Writes a metric with one sample, which has no label
    pub(super) fn single(&mut self, family: Family, value: impl Into<Value>) {
        self.family(family).add(&[], value);
    }

    /// Ends the text
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Samples<'_> {
    /// Writes a sample; the values of its labels may be any text
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        let suffix = self.family.suffix();
        self.sample(suffix, labels, value.into());
    }

    /// Writes the samples of durations
    pub(super) fn durations(&mut self, (label, of): (&str, &str), counts: &DurationCounts) {
        for (bound, count) in counts.up_to() {
            // both forms have the number as OpenMetrics wants it: 1.0
            let bound = format!("{:?}", bound.as_secs_f64());
            self.sample("_bucket", &[(label, of), ("le", &bound)], count.into());
        }
        let total = counts.total();
        self.sample("_bucket", &[(label, of), ("le", "+Inf")], total.into());
        self.sample("_count", &[(label, of)], total.into());
        self.sample("_sum", &[(label, of)], counts.sum().as_secs_f64().into());
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: Value) {
        let text = &mut *self.text;
        text.push_str(self.family.name);
        text.push_str(suffix);
        for (place, (label, value)) in labels.iter().enumerate() {
            text.push(if place == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            escape(value, text);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        // writing to a text cannot fail
        let _ = match value {
            Value::Count(count) => writeln!(text, " {count}"),
            Value::Number(number) => writeln!(text, " {number}"),
        };
    }
}

/// Adds the value of a label; both forms have the same escapes
fn escape(value: &str, text: &mut String) {
    if !value.contains(['\\', '"', '\n']) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Count(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Count(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const COUNTER: Family = Family::counter("pptp_x_bytes", &["site"], "Octets.");
    const INFO: Family = Family::info("pptp_y", &["version"], "The version.");
    const TIMES: Family = Family::histogram("pptp_z_seconds", &["phase"], "Times.");

    fn written(format: Format) -> String {
        let mut text = Text::new(format);
        text.family(COUNTER).add(&[("site", "b1")], 7_u64);
        text.family(INFO).add(&[("version", "1\\2\"\n")], true);
        let mut counts = DurationCounts::default();
        counts.count(Duration::from_millis(1500));
        text.family(TIMES).durations(("phase", "call"), &counts);
        text.finish()
    }

    #[test]
    fn open_metrics_has_units_and_an_end() {
        let text = written(Format::OpenMetrics);
        let head = "# TYPE pptp_x_bytes counter\n# UNIT pptp_x_bytes bytes\n# HELP pptp_x_bytes Octets.\n\
                    pptp_x_bytes_total{site=\"b1\"} 7\n\
                    # TYPE pptp_y info\n# HELP pptp_y The version.\n\
                    pptp_y_info{version=\"1\\\\2\\\"\\n\"} 1\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("pptp_z_seconds_sum{phase=\"call\"} 1.5\n# EOF\n"), "{text}");
        assert!(text.contains("pptp_z_seconds_bucket{phase=\"call\",le=\"1.0\"} 0\n"), "{text}");
        assert!(text.contains("pptp_z_seconds_bucket{phase=\"call\",le=\"2.5\"} 1\n"), "{text}");
    }

    #[test]
    fn the_older_form_names_what_its_samples_are_called() {
        let text = written(Format::Classic);
        let head = "# HELP pptp_x_bytes_total Octets.\n# TYPE pptp_x_bytes_total counter\n\
                    pptp_x_bytes_total{site=\"b1\"} 7\n\
                    # HELP pptp_y_info The version.\n# TYPE pptp_y_info gauge\n";
        assert!(text.starts_with(head), "{text}");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
        assert!(text.contains("# TYPE pptp_z_seconds histogram\n"), "{text}");
    }
}
