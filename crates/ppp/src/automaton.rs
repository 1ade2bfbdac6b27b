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
    /// Whether the restart timer runs in this state (RFC 1661 §4.1)
    pub(crate) const fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Closing | Self::Stopping | Self::ReqSent | Self::AckRcvd | Self::AckSent
        )
    }

    /// Whether the layer below is up
    pub(crate) const fn is_lower_up(self) -> bool {
        !matches!(self, Self::Initial | Self::Starting)
    }
}

/// Events of the automaton, in the RFC's order (RFC 1661 §4.3)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
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
/// Whoever performs them does so in the order of the constants here: This-Layer-Down before anything is
/// sent, and This-Layer-Up after it, so that the peer has our Configure-Ack before what the layer
/// above then sends.
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

/// What an event does in a state; `None` where the RFC's table has a dash: it cannot happen
pub(crate) type Transition = Option<(Actions, State)>;

/// What `event` does in `state`
pub(crate) fn transition(state: State, event: Event) -> Transition {
    let (row, column) = (event as usize, state as usize);
    match column.checked_sub(LOWER_STATES) {
        None => *LOWER.get(row)?.get(column)?,
        Some(column) => *UPPER.get(row)?.get(column)?,
    }
}

const LOWER_STATES: usize = 6;

#[expect(
    clippy::unnecessary_wraps,
    reason = "cells of the table stand beside dashes, which are None"
)]
const fn to(next: State, actions: Actions) -> Transition {
    Some((actions, next))
}

use Actions as A;
use State::{
    AckRcvd, AckSent, Closed, Closing, Initial, Opened, ReqSent, Starting, Stopped, Stopping,
};

const NO: Transition = None;
const NIL: A = A::NONE;
const TLD: A = A::TLD;
const SCJ: A = A::SCJ;
const STA: A = A::STA;
const STR: A = A::STR;
const SCR: A = A::SCR;
const SCA: A = A::SCA;
const SCN: A = A::SCN;
const SER: A = A::SER;
const TLF: A = A::TLF;
const TLS: A = A::TLS;
const IRC_SCR: A = A::IRC.and(A::SCR);
const IRC_STR: A = A::IRC.and(A::STR);
const REQUEST_AND_ACK: A = IRC_SCR.and(A::SCA);
const REQUEST_AND_NAK: A = IRC_SCR.and(A::SCN);

/// Columns Initial to Stopping
#[rustfmt::skip]
const LOWER: [[Transition; LOWER_STATES]; 16] = [
/*        0 Initial          1 Starting             2 Closed               3 Stopped                      4 Closing          5 Stopping */
/* Up  */[to(Closed, NIL),   to(ReqSent, IRC_SCR),  NO,                    NO,                            NO,                NO],
/* Down*/[NO,                NO,                    to(Initial, NIL),      to(Starting, TLS),             to(Initial, NIL),  to(Starting, NIL)],
/* Open*/[to(Starting, TLS), to(Starting, NIL),     to(ReqSent, IRC_SCR),  to(Stopped, NIL),              to(Stopping, NIL), to(Stopping, NIL)],
/* Clos*/[to(Initial, NIL),  to(Initial, TLF),      to(Closed, NIL),       to(Closed, NIL),               to(Closing, NIL),  to(Closing, NIL)],
/* TO+ */[NO,                NO,                    NO,                    NO,                            to(Closing, STR),  to(Stopping, STR)],
/* TO- */[NO,                NO,                    NO,                    NO,                            to(Closed, TLF),   to(Stopped, TLF)],
/* RCR+*/[NO,                NO,                    to(Closed, STA),       to(AckSent, REQUEST_AND_ACK),  to(Closing, NIL),  to(Stopping, NIL)],
/* RCR-*/[NO,                NO,                    to(Closed, STA),       to(ReqSent, REQUEST_AND_NAK),  to(Closing, NIL),  to(Stopping, NIL)],
/* RCA */[NO,                NO,                    to(Closed, STA),       to(Stopped, STA),              to(Closing, NIL),  to(Stopping, NIL)],
/* RCN */[NO,                NO,                    to(Closed, STA),       to(Stopped, STA),              to(Closing, NIL),  to(Stopping, NIL)],
/* RTR */[NO,                NO,                    to(Closed, STA),       to(Stopped, STA),              to(Closing, STA),  to(Stopping, STA)],
/* RTA */[NO,                NO,                    to(Closed, NIL),       to(Stopped, NIL),              to(Closed, TLF),   to(Stopped, TLF)],
/* RUC */[NO,                NO,                    to(Closed, SCJ),       to(Stopped, SCJ),              to(Closing, SCJ),  to(Stopping, SCJ)],
/* RXJ+*/[NO,                NO,                    to(Closed, NIL),       to(Stopped, NIL),              to(Closing, NIL),  to(Stopping, NIL)],
/* RXJ-*/[NO,                NO,                    to(Closed, TLF),       to(Stopped, TLF),              to(Closed, TLF),   to(Stopped, TLF)],
/* RXR */[NO,                NO,                    to(Closed, NIL),       to(Stopped, NIL),              to(Closing, NIL),  to(Stopping, NIL)],
];

/// Columns Req-Sent to Opened
#[rustfmt::skip]
const UPPER: [[Transition; 4]; 16] = [
/*        6 Req-Sent                7 Ack-Rcvd                       8 Ack-Sent                       9 Opened */
/* Up  */[NO,                       NO,                              NO,                              NO],
/* Down*/[to(Starting, NIL),        to(Starting, NIL),               to(Starting, NIL),               to(Starting, TLD)],
/* Open*/[to(ReqSent, NIL),         to(AckRcvd, NIL),                to(AckSent, NIL),                to(Opened, NIL)],
/* Clos*/[to(Closing, IRC_STR),     to(Closing, IRC_STR),            to(Closing, IRC_STR),            to(Closing, TLD.and(IRC_STR))],
/* TO+ */[to(ReqSent, SCR),         to(ReqSent, SCR),                to(AckSent, SCR),                NO],
/* TO- */[to(Stopped, TLF),         to(Stopped, TLF),                to(Stopped, TLF),                NO],
/* RCR+*/[to(AckSent, SCA),         to(Opened, SCA.and(A::TLU)),     to(AckSent, SCA),                to(AckSent, TLD.and(SCR).and(SCA))],
/* RCR-*/[to(ReqSent, SCN),         to(AckRcvd, SCN),                to(ReqSent, SCN),                to(ReqSent, TLD.and(SCR).and(SCN))],
/* RCA */[to(AckRcvd, A::IRC),      to(ReqSent, SCR),                to(Opened, A::IRC.and(A::TLU)),  to(ReqSent, TLD.and(SCR))],
/* RCN */[to(ReqSent, IRC_SCR),     to(ReqSent, SCR),                to(AckSent, IRC_SCR),            to(ReqSent, TLD.and(SCR))],
/* RTR */[to(ReqSent, STA),         to(ReqSent, STA),                to(ReqSent, STA),                to(Stopping, TLD.and(A::ZRC).and(STA))],
/* RTA */[to(ReqSent, NIL),         to(ReqSent, NIL),                to(AckSent, NIL),                to(ReqSent, TLD.and(SCR))],
/* RUC */[to(ReqSent, SCJ),         to(AckRcvd, SCJ),                to(AckSent, SCJ),                to(Opened, SCJ)],
/* RXJ+*/[to(ReqSent, NIL),         to(ReqSent, NIL),                to(AckSent, NIL),                to(Opened, NIL)],
/* RXJ-*/[to(Stopped, TLF),         to(Stopped, TLF),                to(Stopped, TLF),                to(Stopping, TLD.and(IRC_STR))],
/* RXR */[to(ReqSent, NIL),         to(AckRcvd, NIL),                to(AckSent, NIL),                to(Opened, SER)],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 1661 §4.1: actions / next state, or a dash where the event cannot happen
    const TABLE: &str = "
        Up   2      irc,scr/6 -     -           -     -     -         -         -         -
        Down -      -         0     tls/1       0     1     1         1         1         tld/1
        Open tls/1  1         irc,scr/6 3       5     5     6         7         8         9
        Clos 0      tlf/0     2     2           4     4     irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
        TO+  -      -         -     -           str/4 str/5 scr/6     scr/6     scr/8     -
        TO-  -      -         -     -           tlf/2 tlf/3 tlf/3     tlf/3     tlf/3     -
        RCR+ -      -         sta/2 irc,scr,sca/8 4   5     sca/8     sca,tlu/9 sca/8     tld,scr,sca/8
        RCR- -      -         sta/2 irc,scr,scn/6 4   5     scn/6     scn/7     scn/6     tld,scr,scn/6
        RCA  -      -         sta/2 sta/3       4     5     irc/7     scr/6     irc,tlu/9 tld,scr/6
        RCN  -      -         sta/2 sta/3       4     5     irc,scr/6 scr/6     irc,scr/8 tld,scr/6
        RTR  -      -         sta/2 sta/3       sta/4 sta/5 sta/6     sta/6     sta/6     tld,zrc,sta/5
        RTA  -      -         2     3           tlf/2 tlf/3 6         6         8         tld,scr/6
        RUC  -      -         scj/2 scj/3       scj/4 scj/5 scj/6     scj/7     scj/8     scj/9
        RXJ+ -      -         2     3           4     5     6         6         8         9
        RXJ- -      -         tlf/2 tlf/3       tlf/2 tlf/3 tlf/3     tlf/3     tlf/3     tld,irc,str/5
        RXR  -      -         2     3           4     5     6         7         8         ser/9
    ";

    const STATES: [State; 10] =
        [Initial, Starting, Closed, Stopped, Closing, Stopping, ReqSent, AckRcvd, AckSent, Opened];

    const EVENTS: [Event; 16] = [
        Event::Up,
        Event::Down,
        Event::Open,
        Event::Close,
        Event::TimeoutPositive,
        Event::TimeoutNegative,
        Event::RcrGood,
        Event::RcrBad,
        Event::Rca,
        Event::Rcn,
        Event::Rtr,
        Event::Rta,
        Event::Ruc,
        Event::RxjGood,
        Event::RxjBad,
        Event::Rxr,
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
        let rows: Vec<&str> = TABLE.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
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
