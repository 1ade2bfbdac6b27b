//! A server with its building, where a service tells who asks

use std::{
    net::IpAddr,
    ops::Range,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use pptp_testkit::{EchoPolicy, LanHost, LoggedIn, Server, TcpStream, UdpSocket, memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    outside::PASSWORD,
    plan::{LINES, PAGES, Plan, SERVICE, outer},
};

/// A server with its building
///
/// The service of the building answers each request with the building, the user of the session that the request came
/// through, and the request.
pub(crate) struct Building {
    plan: Plan,
    number: usize,
    /// `None` for the moment in which it is started anew
    server: Mutex<Option<Server>>,
    /// The sites that have an account
    accounts: Mutex<Vec<usize>>,
}

impl Building {
    pub(crate) fn start(plan: &Plan, number: usize, network: &memory::Network) -> Arc<Self> {
        let accounts: Vec<_> = plan.sites_of(number).collect();
        let building = u32::try_from(number).expect("a few");
        let mut server = Server::builder(building).echo(ECHO);
        if Plan::has_one_session(number) {
            server = server.one_session();
        }
        if Plan::has_newest_session(number) {
            server = server.newest_session();
        }
        for site in &accounts {
            server = server.secret(plan.user(*site), PASSWORD);
        }
        let server = server.serve_memory(network, outer(number)).expect("its address is free");
        let host = server.add_host(SERVICE).expect("its address is free");
        let accounts = Mutex::new(accounts);
        let (plan, server) = (*plan, Mutex::new(Some(server)));
        let building = Arc::new(Self { plan, number, server, accounts });
        building.serve(&host);
        building
    }

    /// Gives more sites an account
    pub(crate) fn add_accounts(&self, sites: Range<usize>) {
        self.accounts.lock().unwrap().extend(sites);
        self.accept_logins();
    }

    /// Refuses all logins from now on, as if its RADIUS server were down
    pub(crate) fn refuse_logins(&self) {
        let accounts = self.accounts.lock().unwrap().clone();
        self.with(|server| {
            for site in &accounts {
                server.remove_secret(&self.plan.user(*site));
            }
        });
    }

    pub(crate) fn accept_logins(&self) {
        let accounts = self.accounts.lock().unwrap().clone();
        self.with(|server| {
            for site in &accounts {
                server.set_secret(self.plan.user(*site), PASSWORD);
            }
        });
    }

    pub(crate) fn hang_up(&self, user: &str) {
        self.with(|server| server.hang_up(user));
    }

    pub(crate) fn hang_up_all(&self) {
        self.with(|server| server.hang_up_all());
    }

    pub(crate) fn power_off(&self) {
        self.with(|server| server.power_off().expect("it is in memory"));
    }

    pub(crate) async fn restart(&self) {
        let server = self.server.lock().unwrap().take();
        let mut server = server.expect("it is started anew by one at a time");
        server.restart().await.expect("its address is free");
        *self.server.lock().unwrap() = Some(server);
    }

    pub(crate) fn logged_in(&self) -> Vec<LoggedIn> {
        self.server.lock().unwrap().as_ref().map(Server::logged_in).unwrap_or_default()
    }

    fn with(&self, act: impl FnOnce(&mut Server)) {
        if let Some(server) = self.server.lock().unwrap().as_mut() {
            act(server);
        }
    }

    /// The user of the session that has an inner address
    fn user_at(&self, inner: IpAddr) -> String {
        let all = self.logged_in();
        let it = all.into_iter().find(|it| it.inner_address.map(IpAddr::V4) == Some(inner));
        it.map_or_else(|| "nobody".to_owned(), |it| it.user)
    }

    fn tag(&self, inner: IpAddr) -> String {
        format!("{} {}", self.number, self.user_at(inner))
    }

    fn serve(self: &Arc<Self>, host: &LanHost) {
        for (port, serves_pages) in [(PAGES, true), (LINES, false)] {
            let listener = host.tcp_listen(port, 64).expect("the port is free");
            let building = Arc::downgrade(self);
            tokio::spawn(async move {
                while let Ok((stream, client)) = listener.accept().await {
                    let Some(building) = building.upgrade() else { return };
                    let tag = building.tag(client.ip());
                    tokio::spawn(async move {
                        if serves_pages {
                            answer_page(stream, &tag).await;
                        } else {
                            answer_lines(stream, &tag).await;
                        }
                    });
                }
            });
        }
        let socket = host.udp_bind(LINES).expect("the port is free");
        tokio::spawn(answer_datagrams(socket, Arc::downgrade(self)));
    }
}

/// Answers one request of HTTP; a client that goes away is none of its business
async fn answer_page(mut stream: TcpStream, tag: &str) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.strip_prefix("GET /").and_then(|rest| rest.split(' ').next())?;
    let body = format!("{tag} {path}\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

/// Answers each line
async fn answer_lines(mut stream: TcpStream, tag: &str) -> Option<()> {
    loop {
        let mut line = String::new();
        while !line.ends_with('\n') && line.len() < 4096 {
            line.push(stream.read_u8().await.ok()?.into());
        }
        stream.write_all(format!("{tag} {line}").as_bytes()).await.ok()?;
    }
}

async fn answer_datagrams(socket: UdpSocket, building: Weak<Building>) {
    let mut datagram = [0; 64];
    while let Ok((length, client)) = socket.recv_from(&mut datagram).await {
        let Some(building) = building.upgrade() else { return };
        let text = String::from_utf8_lossy(&datagram[..length]);
        let answer = format!("{} {text}", building.tag(client.ip()));
        // a client that is gone is told by the tunnel's end
        let _ = socket.send_to(answer.as_bytes(), client).await;
    }
}

/// A server asks seldom, so that a day does not consist of echoes; a session whose client has vanished lives for 3 minutes
const ECHO: EchoPolicy = EchoPolicy::DEFAULT.silence(Duration::from_mins(2));

/// The longest time for which a session lives whose client has vanished
pub(crate) const GHOST: Duration = Duration::from_mins(4);
