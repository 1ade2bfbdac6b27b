//! Error numbers that a kernel makes of ICMP messages, on this system

#[cfg(target_os = "linux")]
mod numbers {
    pub(crate) const ENOPROTOOPT: i32 = 92;
    pub(crate) const ENETUNREACH: i32 = 101;
    pub(crate) const EHOSTUNREACH: i32 = 113;
}

/// Windows Sockets
#[cfg(windows)]
mod numbers {
    pub(crate) const ENOPROTOOPT: i32 = 10042;
    pub(crate) const ENETUNREACH: i32 = 10051;
    pub(crate) const EHOSTUNREACH: i32 = 10065;
}

/// The BSDs, macOS among them
#[cfg(not(any(target_os = "linux", windows)))]
mod numbers {
    pub(crate) const ENOPROTOOPT: i32 = 42;
    pub(crate) const ENETUNREACH: i32 = 51;
    pub(crate) const EHOSTUNREACH: i32 = 65;
}

pub(crate) use numbers::*;

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn the_numbers_are_those_of_this_system() {
        let kind = |number| Error::from_raw_os_error(number).kind();
        assert_eq!(kind(ENETUNREACH), ErrorKind::NetworkUnreachable);
        assert_eq!(kind(EHOSTUNREACH), ErrorKind::HostUnreachable);
        // std has no kind for the third
        #[cfg(unix)]
        assert!(
            Error::from_raw_os_error(ENOPROTOOPT).to_string().starts_with("Protocol not available")
        );
    }
}
