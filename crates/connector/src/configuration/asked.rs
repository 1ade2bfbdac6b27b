//! A configuration with sites that a caller of the control interface asks for

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use pptp_fleet::SiteName;

use super::{
    Configuration, KnownDeals, Problem, Severity, Sources,
    document::{Pointers, SiteDocument},
    secret::Sealer,
    source::Origin,
};
use crate::settings::Settings;

/// A configuration with sites that a caller of the control interface asks for
pub(crate) struct Asked {
    read: Configuration,
    documents: BTreeMap<SiteName, SiteDocument>,
    /// The places of the values of each, by the number of its text among the sources
    pointers: HashMap<usize, Pointers>,
}

/// A site that was asked for, and that a file has
pub(crate) struct Clash {
    pub(crate) site: SiteName,
    /// The place: `sites.toml:3`
    pub(crate) at: String,
}

impl Asked {
    /// Reads the sites that are asked for, beside files that were read before and the sites that were made before
    pub(crate) fn read(
        mut sources: Sources,
        (folder, max_files): (&Path, Option<u64>),
        documents: BTreeMap<SiteName, SiteDocument>,
        (sealer, known): (&Sealer, KnownDeals),
    ) -> Self {
        let mut pointers = HashMap::new();
        for (name, document) in &documents {
            let emitted = document.emit(name, None);
            let path = folder.join(format!("{name}.toml"));
            let number = sources.push_site(path, String::clone(&emitted.text), Origin::Asked);
            pointers.insert(number, emitted.pointers);
        }
        let read = Configuration::read_all(sources, max_files, |_| known, Some(sealer));
        Self { read, documents, pointers }
    }

    /// Returns a site that was asked for and that a file has, if there is one
    pub(crate) fn clash(&self) -> Option<Clash> {
        let mut clashes = self.read.clashes.iter();
        let (site, place) = clashes.find(|(name, _)| self.documents.contains_key(*name))?;
        Some(Clash { site: site.clone(), at: super::at(place, &self.read.sources) })
    }

    /// Returns the problems for which it is refused: of the sites that were asked for, and of the whole
    ///
    /// Each has its JSON pointer, if it is in the request. A site of a file may have problems: it has them without the
    /// request as well.
    pub(crate) fn problems(&self) -> Vec<(&Problem, Option<&str>)> {
        let all = self.read.errors().map(|problem| (problem, self.pointer(problem)));
        let is_reason = |(problem, pointer): &(&Problem, Option<&str>)| {
            pointer.is_some() || problem.severity == Severity::Fatal
        };
        all.filter(is_reason).collect()
    }

    /// Returns remarks about the sites that were asked for, each in one line
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.read.warnings();
        let ours = warnings.filter_map(|it| Some((it, self.pointer(it)?)));
        ours.map(|(problem, pointer)| format!("{pointer}: {}", problem.message)).collect()
    }

    /// Returns the text of each site that was asked for, as it is kept: with a sealed password
    pub(crate) fn texts(&self) -> BTreeMap<SiteName, String> {
        let text = |(name, document): (&SiteName, &SiteDocument)| {
            let sealed = self.read.sealed.get(name).map(ToString::to_string);
            let emitted = document.emit(name, sealed.as_deref());
            (name.clone(), String::clone(&emitted.text))
        };
        self.documents.iter().map(text).collect()
    }

    /// Returns the texts of the files, for places of problems
    pub(crate) const fn sources(&self) -> &Sources {
        &self.read.sources
    }

    /// Returns the settings
    pub(crate) const fn settings(&self) -> &Settings {
        &self.read.settings
    }

    fn pointer(&self, problem: &Problem) -> Option<&str> {
        let pointers = self.pointers.get(&problem.place.file)?;
        Some(pointers.at(&problem.place.span))
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("documents", &self.documents).finish_non_exhaustive()
    }
}
