//! How long the doctor says that each step took

use std::time::Duration;

use pptp::doctor::{Step, Verdict};
use pptp_testkit::{Profile, Server, ServerEncryption, ServerOrder};
use pptp_tests::{World, address_of, config};
use tokio::time::Instant;

use super::examine;

/// Of overlapping steps too: what ran beside another has only the time that it took longer
#[tokio::test(start_paused = true)]
async fn the_times_of_a_connects_steps_add_up_to_its_own() {
    let orders = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];
    let builders = orders.map(|order| Server::builder(1).order(order)).into_iter();
    let turns_away = Server::builder(1).profile(Profile::TurnsIpcpAway);
    let slow = Server::builder(1).profile(Profile::AccelPppOnBusyMachine);
    for builder in builders.chain([turns_away, slow]) {
        let world = World::new(20);
        let _building = world.serve(1, builder);
        let mut doctor = examine(&world, config(address_of(1)));
        let (began, mut sum) = (Instant::now(), Duration::ZERO);
        while let Some(finding) = doctor.next().await {
            println!("{finding}");
            sum += finding.took;
            if finding.step == Step::Addresses {
                break;
            }
        }
        assert_eq!(sum, began.elapsed());
    }
    // a failure's step has what the steps before it left
    let world = World::new(20);
    let encryption = ServerEncryption::Mppe40;
    let _building = world.serve(1, Server::builder(1).encryption(encryption));
    let (began, mut sum) = (Instant::now(), Duration::ZERO);
    let mut doctor = examine(&world, config(address_of(1)));
    while let Some(finding) = doctor.next().await {
        sum += finding.took;
        if finding.verdict == Verdict::Failed {
            assert_eq!((finding.step, sum), (Step::Encryption, began.elapsed()));
        }
    }
}
