//! Readiness, in the types of tokio

use std::{future::poll_fn, io, pin::Pin, task::Poll};

use tokio::io::{Interest, Ready};

use super::{handle::Net, wait::Wait};
use crate::{Stack, stack::Waiting};

/// Waits until a socket is ready for something of `interest`
///
/// `waiting` are the tasks that wait to read, and those that wait to write.
pub(super) async fn ready(
    net: &Net,
    waiting: [Waiting; 2],
    interest: Interest,
    readiness: impl Fn(&mut Stack) -> io::Result<Ready> + Copy + Unpin,
) -> io::Result<Ready> {
    let attempt = move |stack: &mut Stack| {
        let ready = of_interest(readiness(stack)?, interest);
        if ready.is_empty() { Poll::Pending } else { Poll::Ready(Ok(ready)) }
    };
    let [mut reads, mut writes] = waiting.map(|waiting| Wait::new(net, waiting, attempt));
    poll_fn(|context| match Pin::new(&mut reads).poll(context) {
        Poll::Pending => Pin::new(&mut writes).poll(context),
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

/// The part of `ready` that belongs to `interest`; the end of a direction belongs to the direction
fn of_interest(ready: Ready, interest: Interest) -> Ready {
    let asked = [
        (interest.is_readable(), Ready::READABLE | Ready::READ_CLOSED),
        (interest.is_writable(), Ready::WRITABLE | Ready::WRITE_CLOSED),
        (interest.is_error(), Ready::ERROR),
    ];
    let asked = asked.into_iter().filter(|(asked, _)| *asked);
    asked.fold(Ready::EMPTY, |told, (_, kinds)| told | (ready & kinds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_what_he_did_not_ask() {
        let all = Ready::READABLE | Ready::WRITABLE | Ready::READ_CLOSED | Ready::WRITE_CLOSED;
        let told = Ready::WRITABLE | Ready::WRITE_CLOSED;
        assert_eq!(of_interest(all, Interest::WRITABLE), told);
        assert_eq!(of_interest(all, Interest::READABLE | Interest::WRITABLE), all);
        assert_eq!(of_interest(all, Interest::ERROR), Ready::EMPTY);
    }
}
