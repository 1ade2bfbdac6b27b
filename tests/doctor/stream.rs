//! The doctor as a stream, and by `next`

use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use pptp::doctor::{Doctor, Finding, Step};
use pptp_tests::{World, address_of, config};
use tokio::time::timeout;

use super::examine;

async fn polled(doctor: &mut Doctor) -> Option<Finding> {
    poll_fn(|cx| Pin::new(&mut *doctor).poll_next(cx)).await
}

/// Each step once and in order, though each wait is given up after a millisecond, in mid-connect too
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_loses_no_finding() {
    let world = World::new(20);
    let building = world.building(1);
    let mut doctor = examine(&world, config(address_of(1)));
    let (mut steps, mut given_up) = (Vec::new(), 0);
    loop {
        match timeout(Duration::from_millis(1), doctor.next()).await {
            Ok(Some(finding)) => steps.push(finding.step),
            Ok(None) => break,
            Err(_) => given_up += 1,
        }
    }
    assert_eq!(steps, Step::ALL);
    assert!(given_up > 100, "{given_up}");
    assert!(doctor.next().await.is_none(), "over for good");
    building.idle().await;
    assert_eq!(building.stats().ended.len(), 1, "dialled once");
}

#[tokio::test(start_paused = true)]
async fn a_stream_and_next_give_the_same_findings() {
    let world = World::new(10);
    let _building = world.building(1);
    let mut doctor = examine(&world, config(address_of(1)));
    let mut steps = Vec::new();
    while let Some(finding) = polled(&mut doctor).await {
        steps.push(finding.step);
        steps.extend(doctor.next().await.map(|finding| finding.step));
    }
    assert_eq!(steps, Step::ALL);
}
