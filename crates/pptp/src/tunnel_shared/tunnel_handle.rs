//! The handle of a tunnel

use std::sync::Arc;

use pptp_driver::Session;
use pptp_netstack::{Owner, Stack};

use super::TunnelShared;

/// The handle of a tunnel, which users hold: the last one to go hangs up
///
/// Tunnel handles and open sockets hold one together, so a stream that outlives its `Tunnel`
/// variable goes on.
pub(crate) struct TunnelHandle {
    pub(crate) shared: Arc<TunnelShared>,
}

impl Owner for TunnelHandle {
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack)) {
        let mut wakers = self.shared.driver().wakers();
        let mut ready = false;
        if let Some(stack) = self.shared.lock().stack() {
            f(stack);
            stack.drain_wakers(&mut wakers);
            ready = stack.take_ready();
        }
        drop(wakers);
        if ready {
            self.shared.mark_can_send();
        }
    }
}

impl Drop for TunnelHandle {
    fn drop(&mut self) {
        self.shared.hang_up();
    }
}
