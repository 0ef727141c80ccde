//! To one peer: a queue, and a task that carries it over whichever connection stands.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use farhand_link::{Connection, DeviceId, Endpoint, KeepConnected, SearchLimits};
use farhand_submit::frames::send;
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use super::{Carrier, Counters};

/// Frames that wait for one peer.
const QUEUE_FRAMES_MAX: usize = 512;
/// A lost connection is noticed by its keeper within this.
const SETTLE: Duration = Duration::from_millis(20);
const SEARCH: SearchLimits = SearchLimits {
    retry_ms_min: 50,
    retry_ms_max: 1000,
    attempt_ms_max: 3000,
    attempts_max: 4,
    steady_ms_min: 1000,
};

#[derive(Debug)]
pub(super) struct Link {
    queue: mpsc::Sender<Bytes>,
    connected: Arc<AtomicBool>,
    counters: Arc<Counters>,
    driver: JoinHandle<()>,
}

impl Link {
    pub(super) fn start(
        endpoint: Endpoint,
        peer: DeviceId,
        addr: SocketAddr,
        counters: Arc<Counters>,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_FRAMES_MAX);
        let connected = Arc::new(AtomicBool::new(false));
        let keep = KeepConnected::start(endpoint, addr, peer, SEARCH);
        let driver = tokio::spawn(carry(keep, waiting, Arc::clone(&connected)));
        Self { queue, connected, counters, driver }
    }
}

impl Carrier for Link {
    /// What was said while nobody listened is of no use later, so then it is dropped.
    fn send(&self, frame: Bytes) {
        if self.is_connected() && self.queue.try_send(frame).is_err() {
            self.counters.drop_one();
        }
    }

    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn carry(keep: KeepConnected, mut waiting: mpsc::Receiver<Bytes>, connected: Arc<AtomicBool>) {
    loop {
        let connection = keep.connection().await;
        if connection.end().is_some() {
            sleep(SETTLE).await;
            continue;
        }
        while waiting.try_recv().is_ok() {}
        connected.store(true, Ordering::Relaxed);
        tokio::select! {
            why = connection.closed() => tracing::info!(peer = %connection.peer().short(), %why, "lost a validator"),
            () = carry_over(&connection, &mut waiting) => {}
        }
        connected.store(false, Ordering::Relaxed);
    }
}

async fn carry_over(connection: &Connection, waiting: &mut mpsc::Receiver<Bytes>) {
    while let Some(frame) = waiting.recv().await {
        if send(connection, &frame).await.is_err() {
            return;
        }
    }
}
