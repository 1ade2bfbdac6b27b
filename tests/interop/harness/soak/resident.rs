use std::io;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use pptp::{
    Client, Tunnel, TunnelConfig,
    config::{EchoPolicy, EncryptionDemand, KeyStrength, StatefulReset},
};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use super::random::Random;
use super::register::Register;
use crate::dial::config;
use crate::fault::DEAD_HOST;
use crate::lab::{Building, ROUTER};
use crate::transfer::Transfer;

/// So many tunnels to each building
pub(super) const RESIDENTS: usize = Use::ALL.len();

/// A tunnel that is dialled again whenever it has ended
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) building: Building,
    pub(super) policy: EchoPolicy,
    usage: Use,
}

/// What a tunnel is used for
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Nothing: only the detector speaks
    Idle,
    /// A ping now and then
    Sparse,
    /// Transfers both ways, one after the other
    Busy,
    /// Questions to a host that is dead, and to nobody else
    DeadHost,
}

impl Use {
    const ALL: [Self; 4] = [Self::Idle, Self::Sparse, Self::Busy, Self::DeadHost];
}

/// Dead 33 s after the last frame, and not before the server was unreachable for 28 s: what the
/// weather just does not exceed
const SHARP: EchoPolicy = EchoPolicy::DEFAULT
    .silence(Duration::from_secs(5))
    .interval(Duration::from_secs(7))
    .unanswered(4);

impl Resident {
    /// Those of `building`: in the buildings of even numbers the idle one has the default policy
    pub(super) fn of(building: Building) -> impl Iterator<Item = Self> {
        Use::ALL.into_iter().map(move |usage| {
            let is_patient = usage == Use::Idle && building.number().is_multiple_of(2);
            let policy = if is_patient { EchoPolicy::default() } else { SHARP };
            Self { building, policy, usage }
        })
    }

    /// Another for each resident
    pub(super) fn number(&self) -> u64 {
        u64::from(self.building.number()) << 8 | self.usage as u64
    }

    pub(super) fn name(&self) -> String {
        format!("building {}, {:?}", self.building.number(), self.usage)
    }

    /// Dial, use the tunnel until it ends, and begin anew, until told to stop
    pub(super) async fn live(
        self,
        client: Client,
        register: Arc<Register>,
        mut random: Random,
        mut stopping: watch::Receiver<bool>,
    ) {
        while !*stopping.borrow() {
            let tunnel = match self.dial(&client).await {
                Ok(tunnel) => tunnel,
                Err(failed) => {
                    register.dial_failed(&self.told(failed.message()));
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let since = Instant::now();
            register.came_up(&self);
            tokio::select! {
                biased;
                reason = tunnel.closed() => {
                    register.declared_dead(&self, &reason, tunnel.info().reachability());
                }
                () = self.make_use(&tunnel, &register, &mut random) => {}
                () = stopped(&mut stopping) => {}
            }
            register.went(&self, since.elapsed());
            register.proven(tunnel.info().reachability());
            tunnel.close().await;
        }
    }

    /// A few at a time: a guest that is slower than the restart timer of its pppd lets that make wrong keys,
    /// for Linux' MPPE takes each Configure-Ack of CCP for a reason to make the next ones
    async fn dial(&self, client: &Client) -> Result<Tunnel, Failed> {
        static AT_ONCE: Semaphore = Semaphore::const_new(3);
        let _permit = AT_ONCE.acquire().await?;
        Ok(client.connect(self.config()).await?)
    }

    fn config(&self) -> TunnelConfig {
        use Building as B;
        let config = config(self.building).echo(self.policy);
        let in_the_clear = EncryptionDemand::InsecureAllow;
        match self.building {
            B::STATEFUL => config.insecure_stateful_mppe_first(StatefulReset::Linux),
            B::MSCHAP2_PLAIN => config.insecure_encryption(in_the_clear),
            B::MPPE40 => config.insecure_least_key(KeyStrength::Bits40),
            B::PAP_PLAIN => config.insecure_encryption(in_the_clear).insecure_pap(),
            B::CHAP_MD5_PLAIN => config.insecure_encryption(in_the_clear).insecure_chap_md5(),
            B::MSCHAP1 => config.insecure_mschap_v1(),
            _ => config,
        }
    }

    /// Ends only if a transfer breaks although the tunnel lives
    async fn make_use(&self, tunnel: &Tunnel, register: &Register, random: &mut Random) {
        loop {
            match self.usage {
                Use::Idle => std::future::pending().await,
                Use::Sparse => {
                    let answer = tunnel.ping(ROUTER, Duration::from_secs(2)).await;
                    register.pinged(answer.is_ok());
                    sleep(random.millis(1000..=8000)).await;
                }
                Use::DeadHost => {
                    let asked = ask_the_dead(tunnel, random).await;
                    // its tunnel tells why
                    if asked.is_err() && tunnel.state().borrow().is_down() {
                        std::future::pending::<()>().await;
                    }
                    register.asked_the_dead();
                }
                Use::Busy => {
                    let octets = usize::try_from(random.number(64..=512)).unwrap_or(64) << 10;
                    let transfer = Transfer::start(tunnel, self.building, octets, PATIENCE);
                    match transfer.is_whole(PATIENCE * 2).await {
                        Ok(()) => register.transferred(),
                        // its tunnel tells why
                        Err(_) if tunnel.state().borrow().is_down() => std::future::pending().await,
                        Err(failed) => return register.broken(self.told(failed.message())),
                    }
                    sleep(random.millis(500..=3000)).await;
                }
            }
        }
    }

    fn told(&self, message: Option<&str>) -> String {
        format!("{}: {}", self.name(), message.unwrap_or("failed"))
    }
}

/// Sends one datagram to a host that is dead, of which no answer comes
async fn ask_the_dead(tunnel: &Tunnel, random: &mut Random) -> io::Result<()> {
    let socket = tunnel.udp_bind(0)?;
    socket.send_to(b"anybody there?", (DEAD_HOST, 7)).await?;
    sleep(random.millis(500..=2000)).await;
    Ok(())
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// What a transfer bears: TCP waits twice as long after each loss, so that a line that was down for
/// 25 s may not be tried again for 50 s
const PATIENCE: Duration = Duration::from_mins(3);
