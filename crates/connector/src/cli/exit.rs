//! The exit codes of the program

use std::process::ExitCode;

use pptp::error::Layer;

/// The way a command ended
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well
    Success,
    /// This program has a fault, or what it needs of the system failed
    Program,
    /// A wrong argument, or a wrong configuration
    Usage,
    /// There is no such site, or there are several where one is wanted
    Site,
    /// The daemon was not reached
    Daemon,
    /// The site was not up in time, and nothing is known to have failed
    NotInTime,
    /// The role does not allow it
    Role,
    /// A layer of the site's connection failed
    Layer(Layer),
}

impl Exit {
    /// Returns the number that the process ends with
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Program => 1,
            Self::Usage => 2,
            Self::Site => 3,
            Self::Daemon => 4,
            Self::NotInTime => 5,
            Self::Role => 6,
            Self::Layer(layer) => layer.exit_code(),
        }
    }

    /// Returns the exit with this code; an unknown one is [`Exit::Program`]
    pub fn of_code(code: u8) -> Self {
        let exits = [
            Self::Success,
            Self::Program,
            Self::Usage,
            Self::Site,
            Self::Daemon,
            Self::NotInTime,
            Self::Role,
        ];
        let exits = exits.into_iter().chain(Layer::ALL.into_iter().map(Self::Layer));
        exits.into_iter().find(|exit| exit.code() == code).unwrap_or(Self::Program)
    }

    /// Returns the exit of a layer by its name for programs; an unknown one is [`Exit::Program`]
    pub fn of_layer(name: &str) -> Self {
        let layer = Layer::ALL.into_iter().find(|layer| layer.name() == name);
        layer.map_or(Self::Program, Self::Layer)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_book() {
        let exits = [
            (Exit::Success, 0),
            (Exit::Program, 1),
            (Exit::Usage, 2),
            (Exit::Site, 3),
            (Exit::Daemon, 4),
            (Exit::NotInTime, 5),
            (Exit::Role, 6),
            (Exit::Layer(Layer::Host), 10),
            (Exit::Layer(Layer::Authentication), 17),
            (Exit::Layer(Layer::Target), 21),
        ];
        for (exit, code) in exits {
            assert_eq!(exit.code(), code, "{exit:?}");
            assert_eq!(Exit::of_code(code), exit);
        }
    }

    #[test]
    fn a_layer_is_found_by_its_name() {
        for layer in Layer::ALL {
            assert_eq!(Exit::of_layer(layer.name()), Exit::Layer(layer));
        }
        assert_eq!(Exit::of_layer("no layer"), Exit::Program);
        assert_eq!(Exit::of_code(200), Exit::Program);
    }
}
