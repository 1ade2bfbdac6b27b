//! Any inputs in any order: always an end, never a panic

use proptest::{collection::vec, prelude::*};

use super::{every_message::STATES, *};
use crate::message::tests::{any_message, one_of_each};

/// Asserts that it ends in bounded time, reports that once, and sends nothing afterwards
fn assert_ends(lab: &mut Lab, mut events: Vec<Event>) {
    lab.run_out();
    lab.sent();
    events.extend(lab.events());
    let closed = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert!(closed <= 1, "{events:?}");
    if closed == 1 {
        assert!(matches!(events.last(), Some(Event::Closed(_))), "{events:?}");
    }
    for message in one_of_each() {
        lab.give(message);
    }
    lab.connection.handle_eof(lab.now);
    lab.close();
    lab.pass(secs(1000));
    assert_eq!((lab.sent(), lab.events()), (vec![], vec![]));
    assert_eq!(lab.connection.state(), State::Closed);
}

#[derive(Clone, Debug)]
enum Input {
    Message(Box<Message>),
    Octets(Vec<u8>),
    Timeout,
    Wait(u64),
    Eof,
    Close,
    Read,
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        8 => any_message().prop_map(|message| Input::Message(Box::new(message))),
        4 => (0..15_usize).prop_map(|n| Input::Message(Box::new(one_of_each().swap_remove(n)))),
        1 => vec(any::<u8>(), 0..20).prop_map(Input::Octets),
        2 => Just(Input::Timeout),
        2 => (0..100_u64).prop_map(Input::Wait),
        1 => Just(Input::Eof),
        1 => Just(Input::Close),
        4 => Just(Input::Read),
    ]
}

fn feed(lab: &mut Lab, inputs: Vec<Input>) {
    let mut events = Vec::new();
    for input in inputs {
        match input {
            Input::Message(message) => lab.give(*message),
            Input::Octets(octets) => lab.connection.handle_octets(lab.now, &octets),
            Input::Timeout if lab.connection.poll_timeout().is_some() => _ = lab.expire(),
            Input::Timeout => {}
            Input::Wait(time) => lab.pass(secs(time)),
            Input::Eof => lab.connection.handle_eof(lab.now),
            Input::Close => lab.close(),
            Input::Read => {
                lab.sent();
                events.extend(lab.events());
            }
        }
    }
    assert_ends(lab, events);
}

proptest! {
    #[test]
    fn any_inputs_in_any_order(state in 0..STATES.len(), inputs in vec(input(), 0..40)) {
        feed(&mut Lab::client_in(STATES[state]), inputs);
    }

    #[cfg(feature = "server")]
    #[test]
    fn any_inputs_in_any_order_to_a_server(ahead in 0..4_usize, inputs in vec(input(), 0..40)) {
        feed(&mut server::server_after(ahead), inputs);
    }
}
