//! Keeps one peer connected, as far as that is possible.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    Connection, DeviceId, Endpoint, HandshakeError, LinkError,
    endpoint::Dialled,
    keep::{Attempt, Input, Output, Search, SearchLimits},
};

/// Where the search for a peer stands.
#[derive(Clone, Debug)]
pub enum KeepState {
    /// Not connected. `last` is why the latest attempt came to nothing, once one did.
    Searching {
        last: Option<HandshakeError>,
    },
    Connected(Connection),
}

/// Looks for one peer, connects, and looks again whenever the connection ends, whoever ended it; a peer that was killed and is back is found
/// within about `retry_ms_max`. Ends when dropped; a [`Connection`] that was taken lives on.
#[derive(Debug)]
pub struct KeepConnected {
    state: watch::Receiver<KeepState>,
    driver: JoinHandle<()>,
}

impl KeepConnected {
    /// Starts looking for `peer` at `addr`. Needs a tokio runtime.
    #[must_use]
    pub fn start(endpoint: Endpoint, addr: SocketAddr, peer: DeviceId, limits: SearchLimits) -> Self {
        let (publish, state) = watch::channel(KeepState::Searching { last: None });
        let driver = Driver {
            endpoint,
            addr,
            peer,
            began: Instant::now(),
            search: Search::new(0, limits),
            work: JoinSet::new(),
            aborts: HashMap::new(),
            dialled: HashMap::new(),
            current: None,
            publish,
        };
        Self { state, driver: tokio::spawn(driver.run()) }
    }

    /// The connection, as soon as there is one.
    pub async fn connection(&self) -> Connection {
        let mut state = self.state.clone();
        loop {
            if let KeepState::Connected(connection) = &*state.borrow_and_update() {
                return connection.clone();
            }
            if state.changed().await.is_err() {
                std::future::pending::<()>().await; // the driver ends only with `self`
            }
        }
    }

    /// The state, and each change of it.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<KeepState> {
        self.state.clone()
    }
}

impl Drop for KeepConnected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

enum Done {
    Dialled(Attempt, Result<Dialled, HandshakeError>),
    Claimed(Attempt, Result<Connection, HandshakeError>),
}

struct Driver {
    endpoint: Endpoint,
    addr: SocketAddr,
    peer: DeviceId,
    began: Instant,
    search: Search,
    work: JoinSet<Done>,
    aborts: HashMap<Attempt, AbortHandle>,
    dialled: HashMap<Attempt, Dialled>,
    current: Option<Connection>,
    publish: watch::Sender<KeepState>,
}

impl Driver {
    /// **Does what [`Search`] says and tells it what came of it; decides nothing.**
    async fn run(mut self) {
        loop {
            while let Some(output) = self.search.poll(self.now_ms()) {
                self.obey(output);
            }
            let wake = self.search.wake_at_ms().map(|at_ms| self.began + Duration::from_millis(at_ms));
            tokio::select! {
                Some(done) = self.work.join_next() => if let Ok(done) = done { self.take(done) },
                why = lost(self.current.as_ref()) => self.lose(&why),
                () = until(wake) => {}
            }
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Start(attempt) => {
                let (endpoint, addr, peer) = (self.endpoint.clone(), self.addr, self.peer);
                self.spawn(attempt, async move { Done::Dialled(attempt, endpoint.dial(addr, peer).await) });
            }
            Output::Claim(attempt) => {
                if let Some(dialled) = self.dialled.remove(&attempt) {
                    self.spawn(attempt, async move { Done::Claimed(attempt, dialled.claim().await) });
                }
            }
            Output::Abandon(attempt) => {
                self.dialled.remove(&attempt);
                if let Some(abort) = self.aborts.remove(&attempt) {
                    abort.abort();
                }
            }
        }
    }

    fn spawn(&mut self, attempt: Attempt, work: impl Future<Output = Done> + Send + 'static) {
        self.aborts.insert(attempt, self.work.spawn(work));
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Dialled(attempt, Ok(dialled)) => {
                self.dialled.insert(attempt, dialled);
                self.tell(Input::Answered(attempt));
            }
            Done::Claimed(attempt, Ok(connection)) => {
                self.aborts.remove(&attempt);
                self.tell(Input::Connected(attempt));
                tracing::info!(?connection, "connected");
                self.current = Some(connection.clone());
                self.publish.send_replace(KeepState::Connected(connection));
            }
            Done::Dialled(attempt, Err(why)) | Done::Claimed(attempt, Err(why)) => {
                self.aborts.remove(&attempt);
                self.tell(Input::Failed(attempt));
                self.publish.send_replace(KeepState::Searching { last: Some(why) });
            }
        }
    }

    fn lose(&mut self, why: &LinkError) {
        tracing::info!(peer = %self.peer.short(), %why, "connection lost, searching");
        self.current = None;
        self.publish.send_replace(KeepState::Searching { last: None });
        self.tell(Input::Lost);
    }

    fn tell(&mut self, input: Input) {
        self.search.handle(self.now_ms(), input);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn lost(connection: Option<&Connection>) -> LinkError {
    match connection {
        Some(connection) => connection.closed().await,
        None => std::future::pending().await,
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
