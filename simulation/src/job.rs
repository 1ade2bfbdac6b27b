//! Tasks for which a tunnel is used

use std::{io, time::Duration};

use pptp::Tunnel;
use pptp_test_support::digest;
use pptp_testkit::{DEVICE, content};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use crate::draw::one_of;

/// Something to do in the building behind a tunnel
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Reads so many octets over TCP and compares them
    Download(u32),
    /// Writes so many octets over TCP and compares their digest
    Upload(u32),
    /// Writes and reads so many octets at the same time
    Exchange(u32),
    /// Sends so many datagrams, and compares the answers that come
    Datagrams(u32),
    /// Asks for a name that exists
    Lookup,
    /// Sends an echo request
    Ping,
    /// Does nothing
    Rest(Duration),
}

/// The result of a job
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    /// A failure of the network, or the end of the tunnel
    Failed(io::Error),
    /// Octets arrived that were never sent
    Wrong(String),
}

impl Job {
    pub(crate) fn random(rng: &mut StdRng) -> Self {
        let octets = one_of(rng, &[1, 1000, 30_000, 200_000]);
        let rest = Duration::from_secs(one_of(rng, &[1, 10, 60]));
        one_of(
            rng,
            &[
                Self::Download(octets),
                Self::Upload(octets),
                Self::Exchange(octets),
                Self::Datagrams(20),
                Self::Lookup,
                Self::Ping,
                Self::Rest(rest),
            ],
        )
    }

    /// Returns true if lost octets are sent again
    pub(crate) const fn is_reliable(self) -> bool {
        matches!(self, Self::Download(_) | Self::Upload(_) | Self::Exchange(_) | Self::Rest(_))
    }

    /// Carries it out
    pub(crate) async fn run(self, building: u32, tunnel: &Tunnel, seed: u64) -> Outcome {
        let ended = match self {
            Self::Download(octets) => download(building, tunnel, octets).await,
            Self::Upload(octets) => upload(tunnel, random(seed, octets)).await,
            Self::Exchange(octets) => exchange(tunnel, random(seed, octets)).await,
            Self::Datagrams(count) => datagrams(tunnel, count).await,
            Self::Lookup => lookup(building, tunnel).await,
            Self::Ping => tunnel.ping(DEVICE, PATIENCE).await.map(|_| None),
            Self::Rest(time) => {
                sleep(time).await;
                Ok(None)
            }
        };
        match ended {
            Ok(None) => Outcome::Done,
            Ok(Some(wrong)) => Outcome::Wrong(format!("{self:?}: {wrong}")),
            Err(error) => Outcome::Failed(error),
        }
    }
}

/// The difference between the expected and the received octets, if there is one
type Checked = io::Result<Option<String>>;

fn random(seed: u64, octets: u32) -> Vec<u8> {
    let mut all = vec![0; usize::try_from(octets).unwrap_or_default()];
    StdRng::seed_from_u64(seed).fill_bytes(&mut all);
    all
}

fn difference(wanted: &[u8], got: &[u8]) -> Option<String> {
    let at = wanted.iter().zip(got).position(|(wanted, got)| wanted != got);
    let short = || (wanted.len() != got.len()).then_some(wanted.len().min(got.len()));
    let at = at.or_else(short)?;
    Some(format!("{} octets of {}, other ones from {at} on", got.len(), wanted.len()))
}

async fn download(building: u32, tunnel: &Tunnel, octets: u32) -> Checked {
    let mut stream = tunnel.tcp_connect((DEVICE, 19)).await?;
    stream.write_all(format!("{octets}\n").as_bytes()).await?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await?;
    let mut wanted = (0..).flat_map(|index| content::block(building, index));
    let wanted = wanted.by_ref().take(usize::try_from(octets).unwrap_or_default());
    Ok(difference(&wanted.collect::<Vec<_>>(), &got))
}

async fn upload(tunnel: &Tunnel, octets: Vec<u8>) -> Checked {
    let mut stream = tunnel.tcp_connect((DEVICE, 9)).await?;
    stream.write_all(&octets).await?;
    stream.shutdown().await?;
    let mut got = String::new();
    stream.read_to_string(&mut got).await?;
    Ok(difference(digest::sha256(&octets).as_bytes(), got.trim().as_bytes()))
}

async fn exchange(tunnel: &Tunnel, octets: Vec<u8>) -> Checked {
    let stream = tunnel.tcp_connect((DEVICE, 7)).await?;
    let (mut reads, mut writes) = stream.into_split();
    let write = async {
        writes.write_all(&octets).await?;
        writes.shutdown().await
    };
    let mut got = Vec::new();
    let (read, written) = tokio::join!(reads.read_to_end(&mut got), write);
    read?;
    written?;
    Ok(difference(&octets, &got))
}

async fn datagrams(tunnel: &Tunnel, count: u32) -> Checked {
    let socket = tunnel.udp_bind(0)?;
    socket.connect((DEVICE, 7)).await?;
    let mut answer = [0; 2000];
    for number in 0..count {
        let sent = random(number.into(), 1 + number * 60);
        socket.send(&sent).await?;
        let Ok(received) = timeout(Duration::from_secs(1), socket.recv(&mut answer)).await else {
            continue;
        };
        // late ones and doubled ones are answers to an earlier question
        let got = &answer[..received?];
        let mut asked = (0..=number).map(|earlier| random(earlier.into(), 1 + earlier * 60));
        if !asked.any(|asked| asked == got) {
            return Ok(Some(format!("a datagram of {} octets that was not sent", got.len())));
        }
    }
    Ok(None)
}

async fn lookup(building: u32, tunnel: &Tunnel) -> Checked {
    let addresses = tunnel.lookup_host("knx.lan").await?;
    let names = tunnel.lookup_txt("whoami.lan").await?;
    let right = addresses == [DEVICE] && names == [format!("building-{building}")];
    Ok((!right).then(|| format!("{addresses:?} and {names:?}")))
}

const PATIENCE: Duration = Duration::from_secs(10);
