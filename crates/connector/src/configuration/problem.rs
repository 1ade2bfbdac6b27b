//! The problems of a configuration, with their places

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    ops::Range,
    path::Path,
    sync::Arc,
};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use pptp_fleet::SiteName;

use super::{
    mask::{Shown, masked},
    source::{Source, Sources},
};

/// A place in a configuration
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The file, by its number among the sources
    pub(super) file: usize,
    /// The octets
    pub(super) span: Range<usize>,
    /// The site, if only this site is concerned
    pub(super) site: Option<Arc<SiteName>>,
}

/// The weight of a problem
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is worth a look
    Warning,
    /// One site cannot be used
    Site,
    /// The configuration cannot be used
    Fatal,
}

/// A problem of a configuration
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its weight
    pub severity: Severity,
    /// The problem, in one line
    pub message: String,
    /// The remedy
    pub help: Option<String>,
    pub(super) place: Place,
    /// False if its place may have a password in it
    is_shown: bool,
    /// True if its file is not TOML
    is_broken: bool,
}

/// All problems of a configuration, one for each place
///
/// One slip in `[defaults]` is a problem of each site: it is told once.
#[derive(Debug, Clone, Default)]
pub(super) struct Problems {
    all: Vec<Problem>,
    told: HashSet<(usize, usize, usize, bool)>,
    /// The files that are not TOML
    broken: BTreeSet<usize>,
}

/// The line and the column of a place, each from 1 on
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line
    pub line: usize,
    /// The column, in characters
    pub column: usize,
}

impl Place {
    /// Returns the weight of an error at this place
    const fn severity(&self) -> Severity {
        if self.site.is_some() { Severity::Site } else { Severity::Fatal }
    }
}

impl Problems {
    /// Tells of an error: of the whole, or of the site that its place belongs to
    pub(super) fn error(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.push(place.severity(), place, (message.into(), help.into()), true);
    }

    /// Tells that a file is not TOML; what stands at the place is not shown
    pub(super) fn syntax(&mut self, place: &Place, message: &str) {
        self.broken.insert(place.file);
        self.secret(place, message.to_owned(), None);
    }

    /// Tells of an error at a place that is not shown, since it may have a password in it
    pub(super) fn secret(&mut self, place: &Place, message: String, help: Option<String>) {
        self.push(place.severity(), place, (message, help), false);
    }

    /// Returns true if a file is not TOML: then its words may be anything
    pub(super) fn is_broken(&self, file: usize) -> bool {
        self.broken.contains(&file)
    }

    /// Tells of what is worth a look
    pub(super) fn warn(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.push(Severity::Warning, place, (message.into(), help.into()), true);
    }

    /// Returns true if there are so many that no more help is looked for: it takes time, and is not shown
    pub(super) fn are_many(&self) -> bool {
        self.all.len() >= MANY
    }

    /// Tells of what is worth a look at a place that is not shown, since there is a password
    pub(super) fn warn_of_secret(&mut self, place: &Place, message: &str, help: &str) {
        let told = (message.to_owned(), Some(help.to_owned()));
        self.push(Severity::Warning, place, told, false);
    }

    fn push(
        &mut self,
        severity: Severity,
        place: &Place,
        (message, help): (String, Option<String>),
        is_shown: bool,
    ) {
        let is_warning = severity == Severity::Warning;
        if self.told.insert((place.file, place.span.start, place.span.end, is_warning)) {
            // known for all once each file is read
            let (place, is_broken) = (place.clone(), false);
            self.all.push(Problem { severity, message, help, place, is_shown, is_broken });
        }
    }

    /// Returns all of them in the order of their places
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        for problem in &mut self.all {
            problem.is_broken = self.broken.contains(&problem.place.file);
        }
        self.all.sort_by_key(|it| (it.place.file, it.place.span.start, it.place.span.end));
        self.all
    }
}

impl Problem {
    /// Returns the file
    pub fn file<'a>(&self, sources: &'a Sources) -> Option<&'a Path> {
        sources.files.get(self.place.file).map(|source| source.path.as_path())
    }

    /// Returns the site, if only this site is concerned
    pub fn site(&self) -> Option<&SiteName> {
        self.place.site.as_deref()
    }

    /// Returns the line and the column
    pub fn position(&self, sources: &Sources) -> Option<Position> {
        let source = sources.files.get(self.place.file)?;
        Some(Line::at(source, self.place.span.start).position)
    }

    /// Returns the problem in one line: `sites.toml:4:1: error: …`
    pub fn line(&self, sources: &Sources) -> String {
        let (word, message) = (self.severity.word(), &self.message);
        let file = self.file(sources).map_or_else(String::new, one_line);
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        match self.position(sources) {
            Some(Position { line, column }) => {
                format!("{file}:{line}:{column}: {word}: {message}{help}")
            }
            None => format!("{file}: {word}: {message}{help}"),
        }
    }

    /// Returns the problem with its line and a caret, as a terminal shows it; a password in that line is not shown
    pub fn render(&self, sources: &Sources) -> String {
        let level = match self.severity {
            Severity::Warning => Level::WARNING,
            Severity::Site | Severity::Fatal => Level::ERROR,
        };
        let title = level.primary_title(self.message.as_str());
        let Some(source) = sources.files.get(self.place.file) else {
            return Renderer::plain().render(&[annotate_snippets::Group::with_title(title)]);
        };
        let line = Line::at(source, self.place.span.start);
        let text = source.text.get(line.range.clone()).unwrap_or_default();
        let place = self.is_shown.then(|| line.part_of(&self.place.span, text));
        let text = masked(text, &Shown { place, is_broken: self.is_broken });
        let path = one_line(&source.path);
        let snippet = Snippet::source(text.as_str())
            .path(path.as_str())
            .line_start(line.position.line)
            .annotation(AnnotationKind::Primary.span(line.part_of(&self.place.span, &text)));
        let group = title.element(snippet);
        let group = match &self.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        Renderer::plain().render(&[group])
    }
}

/// Returns a path for people, without characters that would act on a terminal
fn one_line(path: &Path) -> String {
    let path = path.display().to_string();
    path.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Site | Self::Fatal => "error",
        }
    }
}

/// The line of a text that has a place
struct Line {
    /// The octets of the line, without its end
    range: Range<usize>,
    position: Position,
}

impl Line {
    fn at(source: &Source, octet: usize) -> Self {
        let text = &source.text;
        let mut octet = octet.min(text.len());
        while !text.is_char_boundary(octet) {
            octet = octet.saturating_sub(1);
        }
        let (before, after) = text.split_at(octet);
        let start = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
        let length = after.find('\n').unwrap_or(after.len());
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.get(start..).map_or(0, |it| it.chars().count()).saturating_add(1);
        Self { range: start..octet.saturating_add(length), position: Position { line, column } }
    }

    /// The part of a place that is in the line; `shown` is the line with the same octets or fewer
    fn part_of(&self, span: &Range<usize>, shown: &str) -> Range<usize> {
        let inside = |octet: usize| {
            let mut inside = octet.saturating_sub(self.range.start).min(shown.len());
            while !shown.is_char_boundary(inside) {
                inside = inside.saturating_sub(1);
            }
            inside
        };
        inside(span.start)..inside(span.end)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Problems beyond which no help is looked for
const MANY: usize = 200;
