//! Each of the 15 messages, twice, in each state of client and server, with the expected result
//!
//! A table's cell is the result of the first message and, behind a slash, that of the second. `>6`
//! sends the message of this type, `!` reports an event, `#` counts it as out of phase, `.` has no
//! effect. A state's name is the new state, and `x` with a failure's name is the end.

use std::fmt::Write;

use super::*;
use crate::message::tests::one_of_each;

/// Columns: Wait-Control-Reply, Wait-Call-Reply, Call-Established, Wait-Disconnect, Wait-Stop-Reply,
/// Closed
#[rustfmt::skip]
const CLIENT: [[&str; 6]; 15] = [
    /*  1 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  2 */ [">7!call/#", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  3 */ [
        ">4x:StoppedByPeer/.", ">4x:StoppedByPeer/.", ">4x:StoppedByPeer/.", ">4x:asked/.",
        ">4x:asked/.", "./.",
    ],
    /*  4 */ ["#/#", "#/#", "#/#", "#/#", "x:asked/.", "./."],
    /*  5 */ [">6/>6", ">6/>6", ">6/>6", ">6/>6", ">6/>6", "./."],
    /*  6 */ ["#/#", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  7 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  8 */ ["x:ControlOutOfPhase/.", "!up/#", "#/#", "#/#", "#/#", "./."],
    /*  9 */ ["x:ControlOutOfPhase/.", ">10/>10", ">10/>10", ">10/>10", ">10/>10", "./."],
    /* 10 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /* 11 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /* 12 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /* 13 */ ["x:ControlOutOfPhase/.", ">3!stop/.", ">3!stop/.", ">3stop/.", "./.", "./."],
    /* 14 */ ["x:ControlOutOfPhase/.", "!/!", "!/!", "!/!", "!/!", "./."],
    /* 15 */ ["x:ControlOutOfPhase/.", "!/!", "!/!", "!/!", "!/!", "./."],
];

/// Columns: Wait-Control-Request, Wait-Call-Request, Call-Established, Wait-Call-Request behind a
/// Call-Clear-Request, Wait-Stop-Reply, Closed
#[cfg(feature = "server")]
#[rustfmt::skip]
const SERVER: [[&str; 6]; 15] = [
    /*  1 */ [">2!idle/>2", ">2/>2", ">2/>2", ">2/>2", "#/#", "./."],
    /*  2 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  3 */ [
        ">4x:StoppedByPeer/.", ">4x:StoppedByPeer/.", ">4x:StoppedByPeer/.", ">4x:asked/.",
        ">4x:asked/.", "./.",
    ],
    /*  4 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "x:asked/.", "./."],
    /*  5 */ ["x:ControlOutOfPhase/.", ">6/>6", ">6/>6", ">6/>6", ">6/>6", "./."],
    /*  6 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  7 */ ["x:ControlOutOfPhase/.", ">8!up/>8", ">8/>8", ">8!up/>8", "#/#", "./."],
    /*  8 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /*  9 */ ["x:ControlOutOfPhase/.", ">10/>10", ">10/>10", ">10/>10", ">10/>10", "./."],
    /* 10 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /* 11 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "#/#", "./."],
    /* 12 */ ["x:ControlOutOfPhase/.", "#/#", ">13!idle/#", "#/#", "#/#", "./."],
    /* 13 */ ["x:ControlOutOfPhase/.", "#/#", "#/#", "#/#", "./.", "./."],
    /* 14 */ ["x:ControlOutOfPhase/.", "!/!", "!/!", "!/!", "!/!", "./."],
    /* 15 */ ["x:ControlOutOfPhase/.", "!/!", "!/!", "!/!", "!/!", "./."],
];

/// Every state of a client
pub(super) const STATES: [State; 6] = [
    State::WaitControlReply,
    State::WaitCallReply,
    State::CallEstablished,
    State::WaitDisconnect,
    State::WaitStopReply,
    State::Closed,
];

/// Silence ends every state in which an answer is waited for within this
const MAX_SILENCE: Duration = secs(65);
/// An established connection lives on silence for the RFC's 60 s, and 60 s more for the Echo-Reply
const ECHOES: Duration = secs(120);
/// A connection that its owner closes is over within this
const TEARDOWN: Duration = secs(5);
/// Octets of answers that may wait to be written
const MAX_OUTPUT: usize = 4096;
/// Events that may wait: 16 about the line, and those that report the end
const MAX_EVENTS: usize = 16 + 3;

const fn name(state: State) -> &'static str {
    match state {
        State::WaitControlReply => "reply",
        State::WaitCallReply => "call",
        State::CallEstablished => "up",
        State::WaitDisconnect => "clear",
        State::WaitStopReply => "stop",
        State::Closed => "closed",
        #[cfg(feature = "server")]
        State::WaitControlRequest => "request",
        #[cfg(feature = "server")]
        State::WaitCallRequest => "idle",
    }
}

/// Gives a message, and returns its result as a table's cell
fn outcome(lab: &mut Lab, message: &Message) -> String {
    let (before, counted) = (lab.connection.state(), lab.connection.stats().out_of_phase);
    lab.give(message.clone());
    let mut text = String::new();
    for sent in lab.sent() {
        write!(text, ">{}", u16::from(sent.control_type())).unwrap();
    }
    let events = lab.events();
    let told = events.iter().filter(|event| !matches!(event, Event::Closed(_))).count();
    text.extend(std::iter::repeat_n('!', told));
    text.push_str(if lab.connection.stats().out_of_phase > counted { "#" } else { "" });
    match events.last() {
        Some(Event::Closed(Ok(()))) => text.push_str("x:asked"),
        Some(Event::Closed(Err(failure))) => write!(text, "x:{}", failure.name()).unwrap(),
        _ if lab.connection.state() != before => text.push_str(name(lab.connection.state())),
        _ if text.is_empty() => text.push('.'),
        _ => {}
    }
    text
}

/// Returns true if a silent peer is noticed by Echo-Requests
fn is_established(lab: &Lab) -> bool {
    matches!(lab.connection.poll_timeout(), Some((_, Timer::EchoIdle | Timer::EchoReply)))
}

fn assert_silence_ends_it(mut lab: Lab, context: &str) {
    let is_over = lab.connection.is_closed();
    let (bound, least) =
        if is_established(&lab) { (ECHOES, ECHOES) } else { (MAX_SILENCE, Duration::ZERO) };
    let took = lab.run_out();
    assert!((least..=bound).contains(&took), "{context}: {took:?}");
    let closed = lab.events().iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert_eq!(closed, usize::from(!is_over), "{context}: told once");
}

fn assert_its_owner_ends_it(mut lab: Lab, context: &str) {
    lab.close();
    assert!(lab.run_out() <= TEARDOWN, "{context}");
    assert_eq!(lab.connection.state(), State::Closed, "{context}");
}

/// Gives 1000 messages while output and events are not taken, and checks that both are bounded
fn assert_a_flood_is_bounded(mut lab: Lab, message: &Message, context: &str) {
    let octets = emitted(message).repeat(50);
    for _ in 0..20 {
        lab.connection.handle_octets(lab.now, &octets);
    }
    let mut output = Vec::new();
    lab.connection.poll_transmit(&mut output);
    assert!(output.len() <= MAX_OUTPUT, "{context}: {} octets", output.len());
    let events = lab.events().len();
    assert!(events <= MAX_EVENTS, "{context}: {events} events");
}

fn check(table: &[[&str; 6]; 15], state: impl Fn(usize) -> Lab) {
    for (message, row) in one_of_each().iter().zip(table) {
        for (column, cell) in row.iter().enumerate() {
            let context = format!("{} in column {column}", message.control_type());
            let mut labs = [(); 3].map(|()| state(column));
            for lab in &mut labs {
                let outcomes = [(); 2].map(|()| outcome(lab, message));
                assert_eq!(outcomes.join("/"), **cell, "{context}");
            }
            let [silent, closing, flooded] = labs;
            assert_silence_ends_it(silent, &context);
            assert_its_owner_ends_it(closing, &context);
            assert_a_flood_is_bounded(flooded, message, &context);
        }
    }
}

#[test]
fn fifteen_messages_in_six_states_of_a_client_twice() {
    check(&CLIENT, |column| Lab::client_in(STATES[column]));
}

/// A server in the state of this column
#[cfg(feature = "server")]
fn server_in(column: usize) -> Lab {
    let mut lab = server::server_after(if column < 4 { column } else { 2 });
    if column >= 4 {
        lab.close();
    }
    if column >= 5 {
        lab.expire();
    }
    lab.sent();
    lab.events();
    lab
}

#[cfg(feature = "server")]
#[test]
fn fifteen_messages_in_six_states_of_a_server_twice() {
    check(&SERVER, server_in);
}
