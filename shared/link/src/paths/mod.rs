//! Several paths to one device: any may die unnoticed.
//!
//! **Invariant (global): two devices that are together are in one [`Bond`], which both call by the same name.** The
//! connecting end names it, and says the name first on each path. A bond begins on one path, which the accepting end
//! welcomes before another joins. A path without a bond that both know is closed with [`CloseReason::Over`], which ends the
//! bond at the other end. So numbers never count from two beginnings, whoever was started anew and whatever one end alone
//! noticed.
//!
//! **Local:** a bond has at most [`PATHS_MAX`] paths, one connection each; a datagram goes over all and counts once
//! (`first`); a message goes over all and is taken once and in order (`order`). What waits is bounded.
//!
//! A device that lost every path begins a new bond: whoever uses it starts from the beginning, as after a restart.

mod bond;
mod dial;
mod first;
mod listen;
mod order;
mod quality;
mod words;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, task::AbortHandle};

pub use bond::Bond;
pub use first::FirstHeard;
pub use order::{Arrived, Inbox, NeverSent, Outbox, Written};
pub use quality::PathQuality;
pub use words::{BondName, PATHS_MESSAGE_BYTES_MAX, Word};

use crate::{BindError, CloseReason, DeviceId, Endpoint, KeepConnected, SearchLimits};
use dial::Dialler;
use listen::Listener;
use quality::Tallies;

/// Paths between two devices.
pub const PATHS_MAX: usize = 4;
/// From a connection to the bond that it belongs to.
const HELLO_MAX: Duration = Duration::from_secs(3);

/// One way to a device: the socket that packets leave from, and the address they go to.
#[derive(Clone, Debug)]
pub struct Route {
    pub endpoint: Endpoint,
    pub addr: SocketAddr,
}

/// Every path to one device, kept connected or accepted. Dropped, all of them end.
#[derive(Debug)]
pub struct Paths {
    bonds: watch::Receiver<Option<Bond>>,
    gauge: PathGauge,
    tasks: Vec<AbortHandle>,
}

/// Says how the paths are, for as long as anybody asks.
#[derive(Clone, Debug)]
pub struct PathGauge(Arc<Common>);

/// What all paths share.
#[derive(Debug)]
struct Common {
    peer: DeviceId,
    messages_max: usize,
    bonds: watch::Sender<Option<Bond>>,
    tallies: Arc<Tallies>,
    /// Paths that are listed even if they never stood.
    routes: usize,
}

impl Paths {
    /// Keeps `peer` connected over every route. `messages_max`: messages that wait for its acknowledgement. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`BindError::Config`] without a route, or with more than [`PATHS_MAX`].
    pub fn connect(
        routes: Vec<Route>,
        peer: DeviceId,
        messages_max: usize,
        limits: SearchLimits,
    ) -> Result<Self, BindError> {
        check(routes.len())?;
        let (common, bonds) = Common::new(peer, messages_max, routes.len());
        let dialler = Arc::new(Dialler::new(common.clone(), words::new_run().map_err(BindError::Random)?));
        let keep = |(path, route): (u8, Route)| {
            let keep = KeepConnected::start(route.endpoint, route.addr, peer, limits);
            tokio::spawn(dialler.clone().keep(path, keep)).abort_handle()
        };
        let tasks = (0..).zip(routes).map(keep).collect();
        Ok(Self { bonds, gauge: PathGauge(common), tasks })
    }

    /// Takes `peer` at every endpoint, and nobody else. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`BindError::Config`] without an endpoint, or with more than [`PATHS_MAX`].
    pub fn accept(endpoints: Vec<Endpoint>, peer: DeviceId, messages_max: usize) -> Result<Self, BindError> {
        check(endpoints.len())?;
        let (common, bonds) = Common::new(peer, messages_max, 0);
        let listener = Arc::new(Listener::new(common.clone()));
        let run = |endpoint| tokio::spawn(listener.clone().run(endpoint)).abort_handle();
        let tasks = endpoints.into_iter().map(run).collect();
        Ok(Self { bonds, gauge: PathGauge(common), tasks })
    }

    /// The next bond, as soon as there is one: the one before it is over, and those that came and went between are not
    /// shown. Nothing is lost if the future is dropped.
    pub async fn bond(&mut self) -> Bond {
        loop {
            if self.bonds.changed().await.is_err() {
                std::future::pending::<()>().await; // never: the sending end is in `self`
            }
            if let Some(bond) = self.bonds.borrow_and_update().clone() {
                return bond;
            }
        }
    }

    #[must_use]
    pub fn gauge(&self) -> PathGauge {
        self.gauge.clone()
    }
}

impl Drop for Paths {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        if let Some(bond) = self.gauge.0.standing() {
            bond.close(CloseReason::Done);
        }
    }
}

impl PathGauge {
    /// Every path that is configured, or was ever there.
    #[must_use]
    pub fn read(&self) -> Vec<PathQuality> {
        let Common { bonds, tallies, routes, .. } = &*self.0;
        let bond = bonds.borrow().clone();
        let standing = bond.map(|bond| bond.connections()).unwrap_or_default();
        (0..PATHS_MAX)
            .filter(|path| path < routes || standing[*path].is_some() || tallies.is_known(*path))
            .map(|path| tallies.quality(path, standing[path].as_ref()))
            .collect()
    }
}

impl Common {
    fn new(peer: DeviceId, messages_max: usize, routes: usize) -> (Arc<Self>, watch::Receiver<Option<Bond>>) {
        let (bonds, seen) = watch::channel(None);
        let common = Self { peer, messages_max, bonds, tallies: Arc::new(Tallies::new()), routes };
        (Arc::new(common), seen)
    }

    fn bond(&self, name: BondName) -> Bond {
        Bond::new(name, self.peer, self.messages_max, self.tallies.clone())
    }

    fn publish(&self, bond: Bond) {
        tracing::info!(?bond, "together");
        self.bonds.send_replace(Some(bond));
    }

    fn standing(&self) -> Option<Bond> {
        self.bonds.borrow().clone().filter(|bond| !bond.is_over())
    }
}

fn check(paths: usize) -> Result<(), BindError> {
    if (1..=PATHS_MAX).contains(&paths) {
        return Ok(());
    }
    Err(BindError::Config { name: "paths", value: paths as u64, min: 1, max: PATHS_MAX as u64 })
}
