//! What a script's first octets decide

use std::time::{Duration, Instant};

use pptp_ppp::ServerOrder;
use pptp_tunnel::{
    Config, ControlServerConfig, Facts, GreBehavior, Quirks, Recognition, Recorder, Reordering,
    ServerConfig,
};

use crate::link::{self, Spoken};

/// Who the server is, if there is one, and what the client puts up with
#[derive(Debug)]
pub struct Setting {
    link: link::Setting,
    octet: u8,
    /// Whether the script begins when the tunnel is up
    pub starts_up: bool,
}

/// Bits of the fifth octet
const SERVER: u8 = 0x01;
const STARTS_UP: u8 = 0x02;
const DEADLINE: u8 = 0x04;
const LARGE_RECORDER: u8 = 0x08;
const NO_REORDERING: u8 = 0x10;
const REPEATS_FRAMES: u8 = 0x20;

impl Setting {
    /// The first four octets are those of [`link::Setting`], the fifth is the tunnel's
    pub(super) const fn new(link: [u8; 4], octet: u8) -> Self {
        let starts_up = octet & (SERVER | STARTS_UP) == SERVER | STARTS_UP;
        Self { link: link::Setting::new(link, Spoken::Authentication), octet, starts_up }
    }

    /// The fifth octet of a seed: a server or none, and whether the script begins when it is up
    pub const fn octet(has_server: bool, starts_up: bool) -> u8 {
        (if has_server { SERVER } else { 0 }) | if starts_up { STARTS_UP } else { 0 }
    }

    const fn is(&self, bit: u8) -> bool {
        self.octet & bit != 0
    }

    pub(super) fn client(&self, now: Instant) -> Config {
        let limit = Duration::from_secs(30);
        Config {
            control: pptp_control::Config::default(),
            quirks: Quirks::NONE,
            recognitions: Recognition::KNOWN.to_vec(),
            link: self.link.client(),
            connect_deadline: self.is(DEADLINE).then(|| (now + limit, limit)),
            reordering: if self.is(NO_REORDERING) {
                Reordering { depth: 0, max_wait: Duration::ZERO }
            } else {
                Reordering::default()
            },
            recorder: usize::try_from(self.recorder()).unwrap_or_default(),
        }
    }

    pub(super) fn server(&self) -> Option<ServerConfig> {
        let link = self.link.server();
        let vendor = match link.order {
            ServerOrder::Pppd => "linux",
            ServerOrder::AccelPpp => "accel-ppp",
            ServerOrder::Rras => "Microsoft",
        };
        let control =
            ControlServerConfig { vendor: vendor.to_owned(), ..ControlServerConfig::default() };
        let gre = GreBehavior { repeats_frames: self.is(REPEATS_FRAMES), ..GreBehavior::default() };
        self.is(SERVER).then_some(ServerConfig { control, link, gre })
    }

    /// Octets of the flight recorder
    pub(super) fn recorder(&self) -> isize {
        let octets = if self.is(LARGE_RECORDER) { 8192 } else { Recorder::DEFAULT_CAPACITY };
        isize::try_from(octets).unwrap_or_default()
    }

    /// 1 if frames may wait for others: those of stateful MPPE, and those in the clear
    pub(super) fn may_wait(&self) -> isize {
        isize::from(!self.link.is_strict())
    }

    pub(super) fn is_required(&self) -> bool {
        self.link.is_required()
    }

    /// Whether the client hangs up in the end
    pub(super) const fn closes(&self) -> bool {
        self.link.closes
    }

    /// Panics if a tunnel has come up in a way that was not allowed
    pub(super) fn check(&self, facts: &Facts) {
        let Facts { authentication, encryption, mtu, .. } = facts;
        assert!(self.link.allows(*authentication), "{authentication:?} was not allowed");
        assert!(encryption.is_none_or(|it| self.link.is_enough(it)), "{encryption:?}");
        assert!(*mtu <= 1500, "an MTU of {mtu}");
    }
}
