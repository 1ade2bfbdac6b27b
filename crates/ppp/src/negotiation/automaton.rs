//! The state transition table of RFC 1661 §4.1, as data
//!
//! Rows and columns stand as in the RFC. LCP and every NCP run by this one table.

/// States of the automaton, in the RFC's order (RFC 1661 §4.2)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Initial,
    Starting,
    Closed,
    Stopped,
    Closing,
    Stopping,
    ReqSent,
    AckRcvd,
    AckSent,
    Opened,
}

impl State {
    /// Returns true if the restart timer runs in this state (RFC 1661 §4.1)
    pub(crate) const fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Closing | Self::Stopping | Self::ReqSent | Self::AckRcvd | Self::AckSent
        )
    }

    /// Returns true if the layer below is up
    pub(crate) const fn is_lower_up(self) -> bool {
        !matches!(self, Self::Initial | Self::Starting)
    }
}

/// Events of the automaton, in the RFC's order (RFC 1661 §4.3)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutomatonEvent {
    Up,
    Down,
    Open,
    Close,
    /// Timeout with the restart counter above zero
    TimeoutPositive,
    /// Timeout with the restart counter used up
    TimeoutNegative,
    /// Receive-Configure-Request, acceptable
    RcrGood,
    /// Receive-Configure-Request, not acceptable
    RcrBad,
    /// Receive-Configure-Ack
    Rca,
    /// Receive-Configure-Nak or -Reject
    Rcn,
    /// Receive-Terminate-Request
    Rtr,
    /// Receive-Terminate-Ack
    Rta,
    /// Receive-Unknown-Code
    Ruc,
    /// Receive-Code-Reject or Protocol-Reject, permitted
    RxjGood,
    /// Receive-Code-Reject or Protocol-Reject, catastrophic
    RxjBad,
    /// Receive-Echo-Request, -Reply or Discard-Request
    Rxr,
}

/// A set of actions of the automaton (RFC 1661 §4.4)
///
/// They are performed in the order of the constants here: This-Layer-Down before
/// anything is sent, and This-Layer-Up after it, so that the peer has our Configure-Ack before what
/// the layer above then sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actions(u16);

impl Actions {
    pub(crate) const NONE: Self = Self(0);
    /// This-Layer-Down
    pub(crate) const TLD: Self = Self(1);
    /// Initialize-Restart-Count
    pub(crate) const IRC: Self = Self(1 << 1);
    /// Zero-Restart-Count
    pub(crate) const ZRC: Self = Self(1 << 2);
    /// Send-Configure-Request
    pub(crate) const SCR: Self = Self(1 << 3);
    /// Send-Configure-Ack
    pub(crate) const SCA: Self = Self(1 << 4);
    /// Send-Configure-Nak or -Reject
    pub(crate) const SCN: Self = Self(1 << 5);
    /// Send-Terminate-Request
    pub(crate) const STR: Self = Self(1 << 6);
    /// Send-Terminate-Ack
    pub(crate) const STA: Self = Self(1 << 7);
    /// Send-Code-Reject
    pub(crate) const SCJ: Self = Self(1 << 8);
    /// Send-Echo-Reply
    pub(crate) const SER: Self = Self(1 << 9);
    /// This-Layer-Up
    pub(crate) const TLU: Self = Self(1 << 10);
    /// This-Layer-Started
    pub(crate) const TLS: Self = Self(1 << 11);
    /// This-Layer-Finished
    pub(crate) const TLF: Self = Self(1 << 12);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn contain(self, action: Self) -> bool {
        self.0 & action.0 != 0
    }
}

/// The transition of an event in a state; `None` where the RFC's table has a dash: it cannot happen
pub(crate) type Transition = Option<(Actions, State)>;

/// Returns the transition of `event` in `state`
pub(crate) fn transition(state: State, event: AutomatonEvent) -> Transition {
    *TABLE.get(event as usize)?.get(state as usize)?
}

macro_rules! table {
    ($($([$($cell:tt)+])+;)+) => { [$([$(cell!($($cell)+)),+]),+] };
}

/// A cell as the RFC writes it: actions, and behind a slash the number of the next state
macro_rules! cell {
    (-) => { None };
    ($next:tt) => { Some((Actions::NONE, state!($next))) };
    ($($action:ident),+ / $next:tt) => {
        Some((Actions::NONE$(.and(action!($action)))+, state!($next)))
    };
}

#[rustfmt::skip]
macro_rules! state {
    (0) => { State::Initial };
    (1) => { State::Starting };
    (2) => { State::Closed };
    (3) => { State::Stopped };
    (4) => { State::Closing };
    (5) => { State::Stopping };
    (6) => { State::ReqSent };
    (7) => { State::AckRcvd };
    (8) => { State::AckSent };
    (9) => { State::Opened };
}

#[rustfmt::skip]
macro_rules! action {
    (tlu) => { Actions::TLU };
    (tld) => { Actions::TLD };
    (tls) => { Actions::TLS };
    (tlf) => { Actions::TLF };
    (irc) => { Actions::IRC };
    (zrc) => { Actions::ZRC };
    (scr) => { Actions::SCR };
    (sca) => { Actions::SCA };
    (scn) => { Actions::SCN };
    (str) => { Actions::STR };
    (sta) => { Actions::STA };
    (scj) => { Actions::SCJ };
    (ser) => { Actions::SER };
}

/// Columns: Initial, Starting, Closed, Stopped, Closing, Stopping, Req-Sent, Ack-Rcvd, Ack-Sent,
/// Opened
const TABLE: [[Transition; 10]; 16] = table! {
/* Up   */ [2] [irc,scr/6] [-] [-] [-] [-] [-] [-] [-] [-];
/* Down */ [-] [-] [0] [tls/1] [0] [1] [1] [1] [1] [tld/1];
/* Open */ [tls/1] [1] [irc,scr/6] [3] [5] [5] [6] [7] [8] [9];
/* Close*/ [0] [tlf/0] [2] [2] [4] [4] [irc,str/4] [irc,str/4] [irc,str/4] [tld,irc,str/4];
/* TO+  */ [-] [-] [-] [-] [str/4] [str/5] [scr/6] [scr/6] [scr/8] [-];
/* TO-  */ [-] [-] [-] [-] [tlf/2] [tlf/3] [tlf/3] [tlf/3] [tlf/3] [-];
/* RCR+ */ [-] [-] [sta/2] [irc,scr,sca/8] [4] [5] [sca/8] [sca,tlu/9] [sca/8] [tld,scr,sca/8];
/* RCR- */ [-] [-] [sta/2] [irc,scr,scn/6] [4] [5] [scn/6] [scn/7] [scn/6] [tld,scr,scn/6];
/* RCA  */ [-] [-] [sta/2] [sta/3] [4] [5] [irc/7] [scr/6] [irc,tlu/9] [tld,scr/6];
/* RCN  */ [-] [-] [sta/2] [sta/3] [4] [5] [irc,scr/6] [scr/6] [irc,scr/8] [tld,scr/6];
/* RTR  */ [-] [-] [sta/2] [sta/3] [sta/4] [sta/5] [sta/6] [sta/6] [sta/6] [tld,zrc,sta/5];
/* RTA  */ [-] [-] [2] [3] [tlf/2] [tlf/3] [6] [6] [8] [tld,scr/6];
/* RUC  */ [-] [-] [scj/2] [scj/3] [scj/4] [scj/5] [scj/6] [scj/7] [scj/8] [scj/9];
/* RXJ+ */ [-] [-] [2] [3] [4] [5] [6] [6] [8] [9];
/* RXJ- */ [-] [-] [tlf/2] [tlf/3] [tlf/2] [tlf/3] [tlf/3] [tlf/3] [tlf/3] [tld,irc,str/5];
/* RXR  */ [-] [-] [2] [3] [4] [5] [6] [7] [8] [ser/9];
};

#[cfg(test)]
pub(crate) mod tests {
    use super::{Actions as A, *};

    /// The table of RFC 1661 §4.1: actions / next state, or a dash where the event cannot happen
    const TEXT: &str = "
        Up   2     irc,scr/6 -         -             -     -     -         -         -         -
        Down -     -         0         tls/1         0     1     1         1         1         tld/1
        Open tls/1 1         irc,scr/6 3             5     5     6         7         8         9
        Clos 0     tlf/0     2         2             4     4     irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
        TO+  -     -         -         -             str/4 str/5 scr/6     scr/6     scr/8     -
        TO-  -     -         -         -             tlf/2 tlf/3 tlf/3     tlf/3     tlf/3     -
        RCR+ -     -         sta/2     irc,scr,sca/8 4     5     sca/8     sca,tlu/9 sca/8     tld,scr,sca/8
        RCR- -     -         sta/2     irc,scr,scn/6 4     5     scn/6     scn/7     scn/6     tld,scr,scn/6
        RCA  -     -         sta/2     sta/3         4     5     irc/7     scr/6     irc,tlu/9 tld,scr/6
        RCN  -     -         sta/2     sta/3         4     5     irc,scr/6 scr/6     irc,scr/8 tld,scr/6
        RTR  -     -         sta/2     sta/3         sta/4 sta/5 sta/6     sta/6     sta/6     tld,zrc,sta/5
        RTA  -     -         2         3             tlf/2 tlf/3 6         6         8         tld,scr/6
        RUC  -     -         scj/2     scj/3         scj/4 scj/5 scj/6     scj/7     scj/8     scj/9
        RXJ+ -     -         2         3             4     5     6         6         8         9
        RXJ- -     -         tlf/2     tlf/3         tlf/2 tlf/3 tlf/3     tlf/3     tlf/3     tld,irc,str/5
        RXR  -     -         2         3             4     5     6         7         8         ser/9
    ";

    pub(crate) const STATES: [State; 10] = [
        State::Initial,
        State::Starting,
        State::Closed,
        State::Stopped,
        State::Closing,
        State::Stopping,
        State::ReqSent,
        State::AckRcvd,
        State::AckSent,
        State::Opened,
    ];

    pub(crate) const EVENTS: [AutomatonEvent; 16] = [
        AutomatonEvent::Up,
        AutomatonEvent::Down,
        AutomatonEvent::Open,
        AutomatonEvent::Close,
        AutomatonEvent::TimeoutPositive,
        AutomatonEvent::TimeoutNegative,
        AutomatonEvent::RcrGood,
        AutomatonEvent::RcrBad,
        AutomatonEvent::Rca,
        AutomatonEvent::Rcn,
        AutomatonEvent::Rtr,
        AutomatonEvent::Rta,
        AutomatonEvent::Ruc,
        AutomatonEvent::RxjGood,
        AutomatonEvent::RxjBad,
        AutomatonEvent::Rxr,
    ];

    fn action(name: &str) -> Actions {
        match name {
            "tlu" => A::TLU,
            "tld" => A::TLD,
            "tls" => A::TLS,
            "tlf" => A::TLF,
            "irc" => A::IRC,
            "zrc" => A::ZRC,
            "scr" => A::SCR,
            "sca" => A::SCA,
            "scn" => A::SCN,
            "str" => A::STR,
            "sta" => A::STA,
            "scj" => A::SCJ,
            "ser" => A::SER,
            _ => panic!("{name}"),
        }
    }

    fn cell(text: &str) -> Transition {
        if text == "-" {
            return None;
        }
        let (actions, next) = text.split_once('/').unwrap_or(("", text));
        let actions = actions.split(',').filter(|name| !name.is_empty());
        let actions = actions.fold(A::NONE, |set, name| set.and(action(name)));
        Some((actions, STATES[next.parse::<usize>().unwrap()]))
    }

    #[test]
    fn rfc1661_section_4_1_all_160_cells() {
        let rows: Vec<&str> = TEXT.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        assert_eq!(rows.len(), EVENTS.len());
        for (event, row) in EVENTS.into_iter().zip(rows) {
            let cells: Vec<&str> = row.split_whitespace().skip(1).collect();
            assert_eq!(cells.len(), STATES.len(), "{row}");
            for (state, text) in STATES.into_iter().zip(cells) {
                assert_eq!(transition(state, event), cell(text), "{event:?} in {state:?}");
            }
        }
    }

    #[test]
    fn a_set_holds_each_action_that_was_put_into_it_and_no_other() {
        let all = [
            A::TLD,
            A::IRC,
            A::ZRC,
            A::SCR,
            A::SCA,
            A::SCN,
            A::STR,
            A::STA,
            A::SCJ,
            A::SER,
            A::TLU,
            A::TLS,
            A::TLF,
        ];
        for (n, action) in all.into_iter().enumerate() {
            assert!(action.contain(action) && !A::NONE.contain(action));
            assert_eq!(action.and(action), action);
            for other in all.into_iter().skip(n + 1) {
                assert!(!action.contain(other) && !other.contain(action));
                assert!(action.and(other).contain(other) && action.and(other).contain(action));
            }
        }
    }

    #[test]
    fn an_open_layer_is_left_with_this_layer_down_and_in_no_other_way() {
        for event in EVENTS {
            let Some((actions, next)) = transition(State::Opened, event) else { continue };
            assert_eq!(actions.contain(A::TLD), next != State::Opened, "{event:?}");
        }
    }

    #[test]
    fn a_layer_changes_in_one_way_at_a_time() {
        for (state, event) in
            STATES.iter().flat_map(|state| EVENTS.iter().map(move |event| (*state, *event)))
        {
            let Some((actions, _)) = transition(state, event) else { continue };
            let layer = [A::TLU, A::TLD, A::TLS, A::TLF];
            let changes = layer.iter().filter(|action| actions.contain(**action)).count();
            assert!(changes <= 1, "{event:?} in {state:?}");
        }
    }
}
