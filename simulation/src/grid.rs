//! Goodput of a TCP connection over paths that delay, lose and reorder
//!
//! A cell is a round trip, a share of GRE datagrams lost, and a share held up so that others
//! overtake them. Both directions are alike, over lines of 100 Mbit/s. 10 MiB go each way through a
//! TCP connection of its own, one after the other, and every octet is compared. The time-outs of
//! tunnel and connection are off, so that the transfer always ends and its time is measured.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};

use pptp::{
    Client, Tunnel, TunnelConfig,
    config::EchoPolicy,
    net::{TcpOptions, TcpStream},
};
use pptp_test_support::median;
use pptp_testkit::{
    DEVICE, Server,
    memory::{Impairment, Network},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    time::Instant,
};

/// A path of the grid
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Milliseconds of a round trip
    pub round_trip: u64,
    /// GRE datagrams lost of a hundred, each way
    pub loss: u16,
    /// GRE datagrams held up of a hundred, each way
    pub reorder: u16,
}

/// The goodput of a cell in kbit/s of payload, as medians of [`RUNS`] runs
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goodput {
    /// From the building
    pub download: f64,
    /// To the building
    pub upload: f64,
}

impl Cell {
    /// The list of all cells, in order
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for round_trip in ROUND_TRIPS {
            for loss in LOSSES {
                all.extend(REORDERS.map(|reorder| Self { round_trip, loss, reorder }));
            }
        }
        all
    }

    /// Moves 10 MiB each way, [`RUNS`] times
    ///
    /// # Errors
    /// The error of a call on the tunnel or on a socket; `InvalidData` if other octets came.
    pub fn measure(self) -> io::Result<Goodput> {
        let runs = (0..RUNS).map(|seed| {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
            runtime.block_on(self.transfer(seed))
        });
        let runs = runs.collect::<io::Result<Vec<_>>>()?;
        let (download, upload) = runs.into_iter().unzip();
        Ok(Goodput { download: median(download), upload: median(upload) })
    }

    /// Kilobits a second from and to the building
    async fn transfer(self, seed: u64) -> io::Result<(f64, f64)> {
        let network = Network::new(seed);
        let [server, client] = [SERVER, CLIENT].map(|address| network.host(address));
        for host in [&server, &client] {
            host.limit_gre(NonZeroU32::new(LINE));
        }
        // tokio counts whole milliseconds, and so do both ways
        network.set_latency(Duration::from_millis(self.round_trip / 2));
        client.delay(Duration::from_millis(self.round_trip % 2));
        let server = Server::builder(1).seed(seed).serve_memory(&network, SERVER)?;
        let client = Client::builder().memory(client).build().map_err(io::Error::other)?;
        let echo = EchoPolicy::DEFAULT.silence(Duration::ZERO);
        let config = TunnelConfig::new(SERVER.to_string(), "testuser", "test123").echo(echo);
        let tunnel = client.connect(config).await.map_err(io::Error::other)?;
        network.set_impairment(Impairment {
            loss_per_mille: self.loss * 10,
            held_per_mille: self.reorder * 10,
            hold: HOLD,
            ..Impairment::default()
        });
        let download = self.one_way(&tunnel, &server, seed, false).await?;
        let upload = self.one_way(&tunnel, &server, seed, true).await?;
        Ok((download, upload))
    }

    async fn one_way(
        self,
        tunnel: &Tunnel,
        server: &Server,
        seed: u64,
        upload: bool,
    ) -> io::Result<f64> {
        let address = SocketAddr::from((DEVICE, if upload { 1000 } else { 1001 }));
        let listener = server.net().tcp_listen(address, 1, patient())?;
        let (ours, theirs) =
            tokio::join!(tunnel.tcp_connect_with(address, patient()), listener.accept());
        let (ours, (theirs, _)) = (ours?, theirs?);
        let (from, to) = if upload { (ours, theirs) } else { (theirs, ours) };
        let mut octets = vec![0; OCTETS];
        StdRng::seed_from_u64(seed).fill_bytes(&mut octets);
        let began = Instant::now();
        let (sent, received) = tokio::join!(send(from, &octets), receive(to));
        sent?;
        let (received, at) = received?;
        if received != octets {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{self}: other octets"),
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "10 MiB are exact")]
        let kilobits = (OCTETS * 8) as f64 / 1000.0;
        Ok(kilobits / (at - began).as_secs_f64())
    }
}

/// Prints the cell as it is in the snapshot
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round_trip, loss, reorder } = self;
        write!(f, "{round_trip:3} ms, loss {loss:2} %, reorder {reorder} %")
    }
}

impl fmt::Display for Goodput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} {:>6}", two_digits(self.download), two_digits(self.upload))
    }
}

async fn send(mut from: TcpStream, octets: &[u8]) -> io::Result<TcpStream> {
    from.write_all(octets).await?;
    from.shutdown().await?;
    Ok(from)
}

/// Returns the octets that came, and the time of the last one
async fn receive(mut to: TcpStream) -> io::Result<(Vec<u8>, Instant)> {
    let mut octets = Vec::with_capacity(OCTETS);
    to.read_to_end(&mut octets).await?;
    Ok((octets, Instant::now()))
}

/// Options of a connection that waits for ever
fn patient() -> TcpOptions {
    let day = Duration::from_hours(24);
    TcpOptions::default().connect_timeout(day).user_timeout(day)
}

fn two_digits(value: f64) -> f64 {
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    (value / unit).round() * unit
}

/// Runs of a cell, each with its own seed
pub const RUNS: u64 = 5;

const ROUND_TRIPS: [u64; 6] = [1, 10, 50, 100, 200, 500];
const LOSSES: [u16; 4] = [0, 1, 3, 10];
const REORDERS: [u16; 3] = [0, 1, 5];

/// 100 Mbit/s, in octets a second
const LINE: u32 = 12_500_000;

/// The time for which a datagram is held up: nine at least overtake it on a full line
const HOLD: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(3));

const OCTETS: usize = 10 << 20;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);
