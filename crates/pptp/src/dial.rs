//! A tunnel's control task: resolves, connects, then moves octets between TCP and the state machine

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pptp_tunnel::{Failure, Ladder, Phase, Tunnel as Machine, TunnelError};
use tokio::{
    io::{AsyncWriteExt, ReadBuf},
    time::{Instant, timeout, timeout_at},
};

use tracing::Instrument;

use crate::{
    State, TunnelConfig,
    network::{Network, Octets, Opened},
    shared::{Route, Shared, now, stopped},
};

/// Dials, and then serves the control connection until the tunnel has ended
///
/// An idle tunnel waits in here, so what only a part of its life needs is boxed for that time.
pub(crate) fn run(
    served: Served,
    network: Network,
    config: TunnelConfig,
) -> impl Future<Output = ()> + Send {
    let tunnel = Arc::clone(&served.0);
    let span = tunnel.span.clone();
    let dialling = Box::pin(open(tunnel, network, config).instrument(span));
    async move {
        if let Some(mut octets) = dialling.await {
            serve(&served.0, &mut *octets).await;
        }
    }
}

/// Dials, and starts the state machine or ends the tunnel
async fn open(
    tunnel: Arc<Shared>,
    network: Network,
    config: TunnelConfig,
) -> Option<Box<dyn Octets>> {
    let mut ladder = Ladder::new(now());
    let deadline = Instant::now().checked_add(config.connect_timeout).unwrap_or_else(far);
    let dialled = tokio::select! {
        biased;
        dialled = timeout_at(deadline, dial(&tunnel, &network, &config, &mut ladder)) => dialled,
        () = abandoned(&tunnel) => Ok(Err(Failure::Closed)),
    };
    match dialled.unwrap_or(Err(Failure::ConnectTimeout { limit: config.connect_timeout })) {
        Ok(octets) => {
            ladder.enter(now(), Phase::ControlConnection);
            start(&tunnel, machine_config(&config, deadline), ladder);
            Some(octets)
        }
        Err(failure) => {
            ladder.end(now());
            tunnel.end(TunnelError::new(failure, ladder));
            tunnel.finish();
            None
        }
    }
}

/// A tunnel whose control task goes away, before or after its start, must not wait for ever
pub(crate) struct Served(pub(crate) Arc<Shared>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abandon(stopped("the control task"));
    }
}

/// So late that it does not matter
fn far() -> Instant {
    Instant::now() + Duration::from_hours(24 * 365)
}

async fn dial(
    tunnel: &Arc<Shared>,
    network: &Network,
    config: &TunnelConfig,
    ladder: &mut Ladder,
) -> Result<Box<dyn Octets>, Failure> {
    config.check()?;
    let addresses = network.resolve(&config.server).await?;
    ladder.enter(now(), Phase::TcpConnect);
    tunnel.state.send_replace(State::Connecting { phase: Phase::TcpConnect });
    let Opened { octets, server, local } = network.connect(&addresses).await?;
    // GRE may arrive before the Outgoing-Call-Reply: the Call ID is known to the driver first
    let entered = tunnel.hub.hub.enter(*server.ip(), tunnel, now());
    let call_id = entered.map_err(|_| Failure::CallIdsExhausted)?;
    // set once: this task is the only one that dials this tunnel
    let _ = tunnel.route.set(Route { server, local, call_id });
    Ok(octets)
}

async fn abandoned(tunnel: &Shared) {
    while !tunnel.lock().abandoned {
        tunnel.control.notified().await;
    }
}

fn machine_config(config: &TunnelConfig, deadline: Instant) -> pptp_tunnel::Config {
    let mut machine = pptp_tunnel::Config::new(&config.user, config.password.clone());
    machine.connect_deadline = Some((deadline.into_std(), config.connect_timeout));
    machine.link.mru = config.mru;
    machine.link.echo = config.echo;
    machine.link.addresses = config.addresses;
    machine.link.hash_name = config.hash_name;
    machine.link.password_encoding = config.password_encoding;
    machine.control.host_name.clone_from(&config.client_host_name);
    machine.control.phone_number.clone_from(&config.phone_number);
    machine
}

fn start(tunnel: &Arc<Shared>, config: pptp_tunnel::Config, ladder: Ladder) {
    let Some(route) = tunnel.route.get() else { return };
    let machine = Machine::connect(config, route.call_id, tunnel.hub.hub.seed(), ladder, now());
    let abandoned = {
        let mut inner = tunnel.lock();
        inner.machine = Some(Box::new(machine));
        inner.abandoned
    };
    if abandoned { tunnel.hang_up() } else { tunnel.mark_due() }
}

async fn serve(tunnel: &Arc<Shared>, octets: &mut dyn Octets) {
    loop {
        tokio::select! {
            biased;
            is_open = poll_fn(|cx| receive(tunnel, octets, cx)) => {
                if !is_open {
                    break;
                }
            }
            () = tunnel.control.notified() => {}
        }
        let (out, finished) = take_output(tunnel);
        if !out.is_empty() && !Box::pin(write(tunnel, octets, &out)).await {
            break;
        }
        if finished {
            // best effort: the reason is told already
            let _ = Box::pin(timeout(FAREWELL, octets.shutdown())).await;
            return;
        }
    }
    // The other end has closed: the state machine still decides how and when this ends.
    while !tunnel.lock().finished {
        tunnel.control.notified().await;
    }
}

/// Hands over what has arrived, and says whether more may come
fn receive(tunnel: &Arc<Shared>, octets: &mut dyn Octets, cx: &mut Context<'_>) -> Poll<bool> {
    let mut buffer = [0; 512];
    let mut buffer = ReadBuf::new(&mut buffer);
    let read = std::task::ready!(Pin::new(octets).poll_read(cx, &mut buffer));
    let received = if read.is_ok() { buffer.filled() } else { &[] };
    received_control(tunnel, received);
    Poll::Ready(!received.is_empty())
}

/// How long the end of a tunnel may wait for its last octets to be taken
const FAREWELL: Duration = Duration::from_secs(1);

fn received_control(tunnel: &Arc<Shared>, octets: &[u8]) {
    if let Some(machine) = &mut tunnel.lock().machine {
        if octets.is_empty() {
            machine.handle_control_eof(now());
        } else {
            machine.handle_control(now(), octets);
        }
    }
    tunnel.mark_due();
}

fn take_output(tunnel: &Shared) -> (Vec<u8>, bool) {
    let mut inner = tunnel.lock();
    (std::mem::take(&mut inner.control_out), inner.finished)
}

/// Writes all of `out`, unless the connection breaks or the tunnel is finished first
///
/// A peer that does not read holds up this task only: the state machine's deadlines go on.
async fn write(tunnel: &Arc<Shared>, octets: &mut dyn Octets, out: &[u8]) -> bool {
    let finished = async {
        while !tunnel.lock().finished {
            tunnel.control.notified().await;
        }
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        biased;
        written = octets.write_all(out) => {
            // a notification that was meant for the loop may have been taken here
            tunnel.control.notify_one();
            if written.is_err() {
                received_control(tunnel, &[]);
            }
            written.is_ok()
        }
        () = finished => false,
    }
}
