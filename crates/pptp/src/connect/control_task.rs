//! A tunnel's control task: resolves, connects, then moves octets between TCP and the state machine

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use pptp_driver::{Session, now};
use pptp_tunnel::{ConnectTimeline, Failure as TunnelFailure, Phase, Tunnel as Machine};
use tokio::{
    io::{AsyncWriteExt, ReadBuf},
    time::{timeout, timeout_at},
};

use tracing::Instrument;

use crate::{
    State, TunnelConfig, TunnelError,
    connect::{
        dialling::Dialling,
        network::{Network, Octets, Opened},
    },
    error::Failure,
    tunnel_shared::{Dialled, TunnelShared, stopped},
};

/// Dials, and then serves the control connection until the tunnel has ended
///
/// An idle tunnel waits in here, so what only a part of its life needs is boxed for that time, and each
/// step takes what it needs by value: what a future holds beside the step it waits for counts twice.
pub(crate) fn run(
    served: Served,
    network: Network,
    config: TunnelConfig,
) -> impl Future<Output = ()> + Send {
    let first = Box::new(Dialling::new(network, config));
    let mut dialling = Some(dial_within(&served.0, first, ConnectTimeline::new(now())));
    async move {
        while let Some(dial) = dialling.take() {
            let Some(octets) = dial.await else { return };
            serve(&served.0, octets).await;
            dialling = redial(&served.0);
        }
    }
}

type DialFuture = Pin<Box<dyn Future<Output = Option<Box<dyn Octets>>> + Send>>;

/// [`open`], logged as the tunnel's
fn dial_within(
    tunnel: &Arc<TunnelShared>,
    dialling: Box<Dialling>,
    timeline: ConnectTimeline,
) -> DialFuture {
    let span = tunnel.span.clone();
    Box::pin(open(Arc::clone(tunnel), dialling, timeline).instrument(span))
}

/// Dials, and starts the state machine or ends the tunnel
async fn open(
    tunnel: Arc<TunnelShared>,
    mut dialling: Box<Dialling>,
    mut timeline: ConnectTimeline,
) -> Option<Box<dyn Octets>> {
    let (deadline, limit) = (dialling.deadline, dialling.config.connect_timeout);
    let dialled = tokio::select! {
        biased;
        dialled = timeout_at(deadline, dial(&tunnel, &mut dialling, &mut timeline)) => dialled,
        () = abandoned(&tunnel) => Ok(Err(TunnelFailure::Closed.into())),
    };
    match dialled.unwrap_or(Err(TunnelFailure::ConnectTimeout { limit }.into())) {
        Ok(octets) => {
            timeline.enter(now(), Phase::ControlConnection);
            start(&tunnel, dialling, timeline);
            Some(octets)
        }
        Err(failure) => {
            timeline.end(now());
            tunnel.end(TunnelError::new(failure, timeline));
            tunnel.finish();
            None
        }
    }
}

/// The next dial, when the control connection there was has hung up for that
fn redial(tunnel: &Arc<TunnelShared>) -> Option<DialFuture> {
    let mut inner = tunnel.lock();
    let (dialling, timeline) = inner.dial.take_redial()?;
    inner.protocol.take_control_out();
    drop(inner);
    let timeline = timeline.unwrap_or_else(|| ConnectTimeline::new(now()));
    if let Some(dialled) = tunnel.dialled() {
        tunnel.driver().release(dialled.call_id, now());
    }
    Some(dial_within(tunnel, dialling, timeline))
}

/// A tunnel whose control task goes away, before or after its start, must not wait for ever
///
/// The last to go of the task, so that the control connection is closed by then.
pub(crate) struct Served(pub(crate) Arc<TunnelShared>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abandon(stopped("the control task"));
        self.0.leave();
    }
}

async fn dial(
    tunnel: &Arc<TunnelShared>,
    dialling: &mut Dialling,
    timeline: &mut ConnectTimeline,
) -> Result<Box<dyn Octets>, Failure> {
    dialling.config.check()?;
    if dialling.addresses.is_none() {
        dialling.addresses = Some(dialling.network.resolve(&dialling.config.server).await?);
    }
    timeline.enter(now(), Phase::TcpConnect);
    tunnel.tell(State::Connecting { phase: Phase::TcpConnect });
    let addresses = dialling.addresses.as_deref().unwrap_or_default();
    let Opened { octets, server, local } = dialling.network.connect(addresses).await?;
    dialling.reached(server);
    // GRE may arrive before the Outgoing-Call-Reply: the Call ID is known to the driver first
    let driver = tunnel.driver();
    let entered = driver.enter(*server.ip(), tunnel, now());
    let call_id = entered.map_err(|_| Failure::CallIdsExhausted)?;
    tunnel.set_dialled(Dialled { server, local, call_id });
    if dialling.has_zero_call_id() && !driver.enter_zero(*server.ip(), call_id) {
        return Err(Failure::CallIdsExhausted);
    }
    Ok(octets)
}

async fn abandoned(tunnel: &TunnelShared) {
    while !tunnel.lock().hang_up.is_requested() {
        tunnel.control.notified().await;
    }
}

fn start(tunnel: &Arc<TunnelShared>, dialling: Box<Dialling>, timeline: ConnectTimeline) {
    let Some(dialled) = tunnel.dialled() else { return };
    let config = dialling.machine_config();
    let machine =
        Machine::connect(config, dialled.call_id, tunnel.driver().seed(), timeline, now());
    let abandoned = {
        let mut inner = tunnel.lock();
        let since = now().saturating_duration_since(machine.timeline().started());
        inner.protocol.start(machine, SystemTime::now().checked_sub(since));
        inner.dial.begin(dialling);
        inner.hang_up.is_requested()
    };
    if abandoned { tunnel.hang_up() } else { tunnel.mark_timers_due() }
}

#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice")]
fn serve(
    tunnel: &Arc<TunnelShared>,
    mut octets: Box<dyn Octets>,
) -> impl Future<Output = ()> + Send + '_ {
    async move {
        loop {
            tokio::select! {
                biased;
                is_open = poll_fn(|cx| receive(tunnel, &mut *octets, cx)) => {
                    if !is_open {
                        break;
                    }
                }
                () = tunnel.control.notified() => {}
            }
            let (out, has_hung_up) = take_output(tunnel);
            if !out.is_empty() && !Box::pin(write(tunnel, &mut *octets, &out)).await {
                break;
            }
            if has_hung_up {
                // best effort: the reason is told already
                let _ = Box::pin(timeout(SHUTDOWN_TIMEOUT, octets.shutdown())).await;
                return;
            }
        }
        // The other end has closed: the state machine still decides how and when this ends.
        while !tunnel.lock().has_hung_up() {
            tunnel.control.notified().await;
        }
    }
}

/// Hands over what has arrived, and says whether more may come
fn receive(
    tunnel: &Arc<TunnelShared>,
    octets: &mut dyn Octets,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    let mut buffer = [0; 512];
    let mut buffer = ReadBuf::new(&mut buffer);
    let read = std::task::ready!(Pin::new(octets).poll_read(cx, &mut buffer));
    let received = if read.is_ok() { buffer.filled() } else { &[] };
    received_control(tunnel, received);
    Poll::Ready(!received.is_empty())
}

/// The time that the peer has to take the last octets of a tunnel
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn received_control(tunnel: &Arc<TunnelShared>, octets: &[u8]) {
    if let Some(machine) = tunnel.lock().protocol.machine_mut() {
        if octets.is_empty() {
            machine.handle_control_eof(now());
        } else {
            machine.handle_control(now(), octets);
        }
    }
    tunnel.mark_timers_due();
}

fn take_output(tunnel: &TunnelShared) -> (Vec<u8>, bool) {
    let mut inner = tunnel.lock();
    (inner.protocol.take_control_out(), inner.has_hung_up())
}

/// Writes all of `out`, unless the connection breaks or the tunnel is finished first
///
/// A peer that does not read holds up this task only: the state machine's deadlines go on.
async fn write(tunnel: &Arc<TunnelShared>, octets: &mut dyn Octets, out: &[u8]) -> bool {
    let finished = async {
        while !tunnel.lock().has_hung_up() {
            tunnel.control.notified().await;
        }
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
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
