//! Clients that come through the ways in

use std::{sync::Arc, time::Duration};

use pptp_connector::way_in::{Datagrams, MemoryClient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::{
    plan::{HTTP, LINES, PAGES, SERVICE, SOCKS, TCP_FORWARDS, UDP_FORWARDS},
    world::World,
};

/// A client
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) number: u64,
    pub(crate) way: Way,
    /// The site that it wants; a forward's is that of the port
    pub(crate) site: usize,
    /// The time for which it stays, where it can
    pub(crate) stays: Duration,
}

/// The way that a client takes
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// SOCKS, with the site as the user
    Socks,
    /// CONNECT, with the site in the name
    Connect,
    /// A page through the HTTP proxy, with the site in the name
    Page,
    /// A TCP forward
    Forward,
    /// A UDP forward
    Datagram,
}

/// The way in which a client was not served
type Refused = String;

impl Visit {
    /// Visits a site, and checks what comes of it
    pub(crate) async fn go(self, world: Arc<World>) {
        let Some(site) = self.site(&world).await else { return };
        let healthy = world.watch.healthy_since(site);
        let reloads = world.reloads();
        self.want(&world, site);
        let most = MAX_VISIT + self.stays;
        let outcome = timeout(most, self.ask(&world, site)).await;
        // a forward may lead elsewhere since
        let is_same = self.site(&world).await == Some(site) && world.reloads() == reloads;
        match outcome {
            Ok(Ok(())) => world.watch.count("clients served"),
            Ok(Err(refused)) => {
                world.watch.count("clients refused");
                let is_healthy = healthy.is_some() && world.watch.healthy_since(site) == healthy;
                if is_healthy && is_same {
                    world
                        .watch
                        .broken(format!("b{site} is healthy, and {self:?} is refused: {refused}"));
                }
            }
            Err(_) => world.watch.broken(format!("{self:?} is neither served nor refused")),
        }
    }

    /// Notes that a client wants a site; the socket of a UDP client does so for a while
    fn want(self, world: &World, site: usize) {
        let time = if self.way == Way::Datagram { Duration::from_mins(5) } else { PATIENCE * 2 };
        let until = Some(Instant::now() + time + PATIENCE);
        world.watch.with_site(site, |seen| seen.wanted_until = until.max(seen.wanted_until));
    }

    /// The site that it leads to now
    async fn site(&self, world: &World) -> Option<usize> {
        match self.way {
            Way::Forward => world.site_at(TCP_FORWARDS, self.site).await,
            Way::Datagram => world.site_at(UDP_FORWARDS, self.site).await,
            Way::Socks | Way::Connect | Way::Page => Some(self.site),
        }
    }

    async fn ask(self, world: &World, site: usize) -> Result<(), Refused> {
        if self.way == Way::Datagram {
            return self.send(world, site).await;
        }
        let port = match self.way {
            Way::Socks => SOCKS,
            Way::Connect | Way::Page => HTTP,
            Way::Forward | Way::Datagram => TCP_FORWARDS + u16::try_from(self.site).expect("a few"),
        };
        let mut client = world.client(port).await.ok_or("no such listener")?;
        match self.way {
            Way::Socks => socks(&mut client, site).await?,
            Way::Connect => {
                let target = format!("{SERVICE}.b{site}.pptp.internal:{LINES}");
                let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
                http(&mut client, &head).await?;
            }
            Way::Page => {
                let host = format!("{SERVICE}.b{site}.pptp.internal:{PAGES}");
                let head =
                    format!("GET http://{host}/{} HTTP/1.1\r\nHost: {host}\r\n\r\n", self.number);
                http(&mut client, &head).await?;
                let answer = line(&mut client).await?;
                self.check(world, site, &answer);
                return Ok(());
            }
            Way::Forward | Way::Datagram => {}
        }
        let until = Instant::now() + self.stays;
        let mut is_used = false;
        let outcome = loop {
            let question = format!("{}\n", self.number);
            if let Err(error) = client.write_all(question.as_bytes()).await {
                break Err(error.to_string());
            }
            match line(&mut client).await {
                Ok(answer) => self.check(world, site, &answer),
                Err(refused) => break Err(refused),
            }
            if !is_used {
                world.watch.with_site(site, |seen| seen.users += 1);
                is_used = true;
            }
            if Instant::now() >= until {
                break Ok(());
            }
            sleep(PAUSE).await;
        };
        if is_used {
            world.watch.with_site(site, |seen| seen.users = seen.users.saturating_sub(1));
        }
        outcome
    }

    /// Sends a datagram again and again until it is answered, as programs do
    async fn send(self, world: &World, site: usize) -> Result<(), Refused> {
        let port = UDP_FORWARDS + u16::try_from(self.site).expect("a few");
        let datagrams = world.datagrams(port).await.ok_or("no such listener")?;
        let Ok(datagrams) = datagrams.try_lock() else { return Ok(()) };
        let client = ([127, 0, 0, 1], 40_000).into();
        let question = format!("{}\n", self.number);
        for _ in 0..ATTEMPTS {
            // one that has no room is sent once more
            let _ = datagrams.try_send_to(question.as_bytes(), client);
            while let Ok(received) = timeout(PATIENCE, datagrams.receive()).await {
                let (answer, _) = received.map_err(|error| error.to_string())?;
                let answer = String::from_utf8_lossy(&answer);
                // that to an earlier client may come late, and is of the site that the port led to then
                if answer.ends_with(&format!(" {question}")) {
                    self.check(world, site, &answer);
                    return Ok(());
                }
            }
        }
        Err("no answer".to_owned())
    }

    /// Checks that an answer comes from the session of the site, and is to this client's question
    fn check(self, world: &World, site: usize, answer: &str) {
        world.watch.count("answers");
        world.watch.with_site(site, |seen| seen.used = Some(Instant::now()));
        self.want(world, site);
        let mut words = answer.split_whitespace().skip(1);
        let is_right = words.next() == Some(&world.plan.user(site))
            && words.next() == Some(&self.number.to_string())
            && words.next().is_none();
        if !is_right {
            world.watch.broken(format!("{self:?} for b{site} is answered by another: {answer:?}"));
        }
    }
}

async fn socks(client: &mut MemoryClient, site: usize) -> Result<(), Refused> {
    let user = format!("b{site}");
    let mut octets = vec![5, 1, 2, 1, u8::try_from(user.len()).expect("it is short")];
    octets.extend(user.as_bytes());
    octets.extend([0, 5, 1, 0, 1]);
    octets.extend(SERVICE.octets());
    octets.extend(LINES.to_be_bytes());
    client.write_all(&octets).await.map_err(|error| error.to_string())?;
    let mut reply = [0; 14];
    client.read_exact(&mut reply).await.map_err(|error| error.to_string())?;
    match reply {
        [5, 2, 1, 0, 5, 0, ..] => Ok(()),
        [5, 2, 1, 0, 5, code, ..] => Err(format!("the reply {code}")),
        _ => Err(format!("no SOCKS: {reply:?}")),
    }
}

/// Sends a request, and reads the head of its answer
async fn http(client: &mut MemoryClient, request: &str) -> Result<(), Refused> {
    client.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(client.read_u8().await.map_err(|error| error.to_string())?.into());
    }
    if head.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(head) }
}

async fn line(client: &mut MemoryClient) -> Result<String, Refused> {
    let mut line = String::new();
    while !line.ends_with('\n') {
        line.push(client.read_u8().await.map_err(|error| error.to_string())?.into());
    }
    Ok(line)
}

/// A site is waited for for 10 s, and a target for 127 s
const MAX_VISIT: Duration = Duration::from_mins(5);

/// The time between two questions of a client that stays
const PAUSE: Duration = Duration::from_secs(20);

/// The times that a datagram is sent, and the time between two
const ATTEMPTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(5);
