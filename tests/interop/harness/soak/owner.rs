//! The owner of one tunnel, who uses it and dials it again

use std::io;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use pptp::{Client, Tunnel};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use super::evidence::Witness;
use super::random::Random;
use super::register::Register;
use super::soak_tunnel::{SoakTunnel, Use};
use crate::fault::DEAD_HOST;
use crate::lab::ROUTER;
use crate::transfer::Transfer;

/// The owner of one tunnel
#[derive(Debug)]
pub(super) struct Owner {
    tunnel: SoakTunnel,
    client: Client,
    register: Arc<Register>,
    witness: Witness,
    random: Random,
}

impl Owner {
    pub(super) const fn new(
        tunnel: SoakTunnel,
        client: Client,
        register: Arc<Register>,
        witness: Witness,
        random: Random,
    ) -> Self {
        Self { tunnel, client, register, witness, random }
    }

    /// Dials, uses the tunnel until it ends, and begins anew, until told to stop
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let tunnel = match self.dial().await {
                Ok(tunnel) => tunnel,
                Err(failed) => {
                    self.register.dial_failed(&self.tunnel.told(failed.message()));
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let since = Instant::now();
            self.register.came_up(&self.tunnel);
            tokio::select! {
                biased;
                reason = tunnel.closed() => {
                    let reachability = tunnel.info().reachability();
                    let is_true = self.register.declared_dead(&self.tunnel, &reason, reachability);
                    if !is_true {
                        self.show_evidence(&tunnel).await;
                    }
                }
                () = self.make_use(&tunnel) => {}
                () = stopped(&mut stopping) => {}
            }
            self.register.went(&self.tunnel, since.elapsed());
            self.register.proven(tunnel.info().reachability());
            tunnel.close().await;
        }
    }

    /// Connects, a few at a time: a guest that is slower than the restart timer of its pppd lets that make wrong keys,
    /// for Linux' MPPE takes each Configure-Ack of CCP for a reason to make the next ones
    async fn dial(&self) -> Result<Tunnel, Failed> {
        static AT_ONCE: Semaphore = Semaphore::const_new(3);
        let _permit = AT_ONCE.acquire().await?;
        Ok(self.client.connect(self.tunnel.config()).await?)
    }

    /// Prints all that is known of a tunnel that ended although its building could be reached
    async fn show_evidence(&self, tunnel: &Tunnel) {
        let building = self.tunnel.building;
        println!(
            "  {}: inner address {}\n    {:?}\n    {:?}\n    out of reach: {}\n{}",
            self.tunnel.name(),
            tunnel.info().inner_address,
            tunnel.stats(),
            self.client.stats(),
            self.register.outages(building),
            self.witness.testimony(building).await,
        );
    }

    /// Ends only if a transfer breaks although the tunnel lives
    async fn make_use(&mut self, tunnel: &Tunnel) {
        loop {
            match self.tunnel.usage {
                Use::Idle => std::future::pending().await,
                Use::Sparse => {
                    let answer = tunnel.ping(ROUTER, Duration::from_secs(2)).await;
                    self.register.pinged(answer.is_ok());
                    sleep(self.random.millis(1000..=8000)).await;
                }
                Use::DeadHost => {
                    let asked = ask_dead_host(tunnel, &mut self.random).await;
                    // its tunnel tells why
                    if asked.is_err() && tunnel.state().borrow().is_down() {
                        std::future::pending::<()>().await;
                    }
                    self.register.asked_dead_host();
                }
                Use::Busy => {
                    let octets = usize::try_from(self.random.number(64..=512)).unwrap_or(64) << 10;
                    let transfer = Transfer::start(tunnel, self.tunnel.building, octets, PATIENCE);
                    match transfer.is_whole(PATIENCE * 2).await {
                        Ok(()) => self.register.transferred(),
                        // its tunnel tells why
                        Err(_) if tunnel.state().borrow().is_down() => std::future::pending().await,
                        Err(failed) => {
                            return self.register.broken(self.tunnel.told(failed.message()));
                        }
                    }
                    sleep(self.random.millis(500..=3000)).await;
                }
            }
        }
    }
}

/// Sends one datagram to a host that is dead, of which no answer comes
async fn ask_dead_host(tunnel: &Tunnel, random: &mut Random) -> io::Result<()> {
    let socket = tunnel.udp_bind(0)?;
    socket.send_to(b"anybody there?", (DEAD_HOST, 7)).await?;
    sleep(random.millis(500..=2000)).await;
    Ok(())
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The longest silence that a transfer bears: TCP waits twice as long after each loss, so that a line that was down for
/// 25 s may not be tried again for 50 s
const PATIENCE: Duration = Duration::from_mins(3);
