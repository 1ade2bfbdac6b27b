//! A reader that counts how often it is woken

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Wake, Waker},
};

use tokio::io::{AsyncRead, ReadBuf};

/// Reads to the end and counts how often it is woken
pub async fn read<R: AsyncRead + Unpin>(mut stream: R, wakes: Arc<AtomicU32>) -> io::Result<()> {
    let mut octets = vec![0; 64 << 10];
    loop {
        let mut buffer = ReadBuf::new(&mut octets);
        let read = poll_fn(|cx| {
            let (task, wakes) = (cx.waker().clone(), Arc::clone(&wakes));
            let waker = Arc::new(Counting { task, wakes }).into();
            Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut buffer)
        });
        read.await?;
        if buffer.filled().is_empty() {
            return Ok(());
        }
    }
}

/// A waker that counts
struct Counting {
    task: Waker,
    wakes: Arc<AtomicU32>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}
