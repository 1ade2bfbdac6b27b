//! A metric: its name, its kind, its help

/// A metric with all its series: a family, as `OpenMetrics` calls it
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// The name without the suffix that its samples have: `_total`, `_info`
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The names of its labels; those that the configuration chooses come behind them
    pub(super) labels: &'static [&'static str],
    /// One sentence about a series of it
    pub(super) help: &'static str,
}

/// The kind of a metric
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value that goes up and down
    Gauge,
    /// A count that only grows, until the process ends or its subject is removed
    Counter,
    /// Facts as labels; its value is 1
    Info,
    /// Durations, counted by their length
    Histogram,
}

impl Family {
    pub(super) const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    pub(super) const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    pub(super) const fn info(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Info, labels, help }
    }

    pub(super) const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }

    /// Returns the name that samples have
    pub(super) fn sample_name(&self) -> String {
        format!("{}{}", self.name, self.suffix())
    }

    /// Returns the end of the name that samples have
    pub(super) const fn suffix(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }

    /// Returns the unit, which is the end of the name
    pub(super) fn unit(&self) -> Option<&'static str> {
        ["seconds", "bytes"].into_iter().find(|unit| self.name.ends_with(&format!("_{unit}")))
    }
}

impl Kind {
    /// Returns the word of `OpenMetrics`
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Info => "info",
            Self::Histogram => "histogram",
        }
    }
}
