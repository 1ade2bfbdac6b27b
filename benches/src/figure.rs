use std::fmt;

/// One measured number and what it should be
///
/// Its `Display` is a line of name, figure, goal and `ok` or `missed`, separated by tabs.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Which one: part/quantity
    pub name: &'static str,
    /// The number, mostly a ratio
    pub value: f64,
    /// What it should be
    pub goal: Goal,
    /// The numbers behind it, the bound among them
    pub detail: String,
}

impl Figure {
    /// Whether the goal is reached
    pub fn is_ok(&self) -> bool {
        match self.goal {
            Goal::AtLeast(least) => self.value >= least,
            Goal::AtMost(most) => self.value <= most,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_ok() { "ok" } else { "missed" };
        write!(f, "{}\t{:.3}\t{}\t{verdict}", self.name, self.value, self.goal)
    }
}

/// Prints a line for each figure, with the numbers behind it
pub fn print(figures: &[Figure]) {
    for figure in figures {
        println!("{figure}\t{}", figure.detail);
    }
}

/// What a figure should be
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This or more
    AtLeast(f64),
    /// This or less
    AtMost(f64),
}

impl Goal {
    /// Whether `one` is further on the good side than `other`
    pub const fn prefers(self, one: f64, other: f64) -> bool {
        match self {
            Self::AtLeast(_) => one > other,
            Self::AtMost(_) => one < other,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_line_of_four_columns() {
        let mut figure =
            Figure { name: "mppe/x", value: 2.0, goal: Goal::AtLeast(2.0), detail: String::new() };
        assert_eq!(figure.to_string(), "mppe/x\t2.000\t>= 2\tok");
        figure.goal = Goal::AtMost(1.15);
        assert_eq!(figure.to_string(), "mppe/x\t2.000\t<= 1.15\tmissed");
    }
}
