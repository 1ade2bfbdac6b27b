//! The kernel's rules for folders

use std::{fmt, path::PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};

use super::folders::Folders;

/// The rules of landlock that hold for a process
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landlock {
    /// They hold, by this version of the kernel's interface: its own, or the latest that this program was tried with
    Holds(i32),
    /// They do not, for this reason
    No(String),
}

impl Landlock {
    /// Leaves this thread, and those that it makes later, these folders and no others
    ///
    /// No program can be started, whatever its folder. What an older kernel does not know is left out.
    pub(super) fn begin(folders: &Folders) -> Self {
        match restrict(folders) {
            Ok(status) => status,
            Err(error) => Self::No(error.to_string()),
        }
    }

    /// Returns true if the rules hold
    pub(super) const fn holds(&self) -> bool {
        matches!(self, Self::Holds(_))
    }
}

fn restrict(folders: &Folders) -> Result<Landlock, RulesetError> {
    let rules = Ruleset::default().handle_access(AccessFs::from_all(TESTED))?;
    // an abstract socket may be the service manager's: it stays open
    let rules = rules.scope(Scope::Signal)?.create()?;
    let rules = allow(rules, &folders.read, READ)?;
    let rules = allow(rules, &folders.sockets, READ | SOCKETS)?;
    let rules = allow(rules, &folders.state, READ | STATE)?;
    let status = rules.restrict_self()?;
    let in_force = status.ruleset != RulesetStatus::NotEnforced;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if in_force => {
            Landlock::Holds(effective_abi.min(TESTED) as i32)
        }
        LandlockStatus::NotEnabled => Landlock::No("it is switched off at boot".to_owned()),
        _ => Landlock::No("the kernel has none, or a filter hides it".to_owned()),
    })
}

/// Adds a rule for each folder; one that has gone meanwhile has none
fn allow<'p>(
    rules: RulesetCreated,
    folders: impl IntoIterator<Item = &'p PathBuf>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    rules.add_rules(path_beneath_rules(folders, access))
}

impl fmt::Display for Landlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(version) => write!(f, "landlock ABI {version}"),
            Self::No(reason) => write!(f, "no landlock ({reason})"),
        }
    }
}

/// The latest version of the interface with which this program was tried: a later one may forbid more
const TESTED: ABI = ABI::V6;

/// To read, and to start no program
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// To bind unix sockets and their locks, and to remove both
const SOCKETS: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{WriteFile | MakeReg | MakeSock | RemoveFile});

/// To write files beside their places, and to rename them; to make the folder of the sites of the control interface
const STATE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{WriteFile | MakeReg | MakeDir | RemoveFile | Truncate});
