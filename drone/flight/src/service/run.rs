//! Runs the service: mesh, ledger, clock, journal and flights.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use farhand_ledger::{TransactionProof, Utc};
use farhand_link::DeviceId;
use farhand_mesh::{MESSAGE_BYTES_MAX, Mesh, MeshConfig, MeshError, Topic};
use farhand_mission::Mission;
use farhand_submit::Validators;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Input, Journal, JournalError, Ledger, News, Output, ServeConfig, Service};
use crate::{Delivered, FlightError, FlightEvent, FlightLimits, LinkAddress, Phase, UdpLink, fly};

const BEAT: Duration = Duration::from_secs(1);
/// Between one try to get onto the mesh and the next.
const MESH_AGAIN: Duration = Duration::from_secs(1);
const ORDERS_QUEUED_MAX: usize = 4;
const NEWS_QUEUED_MAX: usize = 32;
const HAPPENED_QUEUED_MAX: usize = 256;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> Utc;
}

/// This machine's clock, believed to be within so much of UTC.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    pub uncertainty_us: u64,
}

impl Clock for SystemClock {
    fn now(&self) -> Utc {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        Utc { us, uncertainty_us: self.uncertainty_us }
    }
}

/// Why the service can't begin.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("no kits are named that this aircraft carries")]
    NoKits,
}

/// A service that runs. It ends when dropped. A flight that has begun goes on to its end, unless the process ends.
#[derive(Debug)]
pub struct Running {
    aircraft: DeviceId,
    news: watch::Receiver<Option<News>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Whose order and event topics it is on.
    #[must_use]
    pub fn aircraft(&self) -> DeviceId {
        self.aircraft
    }

    /// What was last told on the mesh; none before the first order.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Option<News>> {
        self.news.clone()
    }

    /// Ends the service, and returns once it is off the mesh.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the flight service ended badly");
        }
    }
}

/// Serves orders: [`serve_with`] the configured validators and this machine's clock.
///
/// # Errors
/// [`ServeError`] if the journal can't be read or no kit is named.
pub fn serve(config: ServeConfig) -> Result<Running, ServeError> {
    let clock = SystemClock { uncertainty_us: config.clock_uncertainty_us };
    let validators =
        Validators::new(config.mesh.key.clone(), config.rules.trust.clone(), config.validators.clone());
    serve_with(config, Arc::new(validators), Arc::new(clock))
}

/// Waits for orders on the mesh and flies them, one at a time, until stopped. Must be called in a tokio runtime with more
/// than one worker thread. The router, the validators and the aircraft may all come up later.
///
/// # Errors
/// As [`serve`].
pub fn serve_with(
    config: ServeConfig,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
) -> Result<Running, ServeError> {
    if config.rules.kits.is_empty() {
        return Err(ServeError::NoKits);
    }
    let journal = Journal::load(&config.journal)?;
    let aircraft = config.mesh.key.id();
    let service = Service::new(config.rules.clone(), config.mesh.key.clone(), journal);
    let (stop, stopped) = watch::channel(false);
    let (tell, news) = watch::channel(None);
    let (publish, to_publish) = mpsc::channel(NEWS_QUEUED_MAX);
    let (order, orders) = mpsc::channel(ORDERS_QUEUED_MAX);
    let (happen, happened) = mpsc::channel(HAPPENED_QUEUED_MAX);
    let carried = carry(config.mesh.clone(), to_publish, order);
    let driver = Driver { service, config, ledger, clock, happen, publish, tell };
    let task = tokio::spawn(run(driver, orders, happened, stopped, carried));
    Ok(Running { aircraft, news, stop, task })
}

/// What flights and the ledger come back with.
#[derive(Debug)]
enum Happened {
    Flight(FlightEvent),
    Ended { end: Result<Delivered, FlightError>, left: bool },
    Committed(Box<TransactionProof>),
    NotCommitted(String),
}

/// **Handles orders, flights, proofs and beats as they come, until told to stop.**
async fn run(
    mut driver: Driver,
    mut orders: mpsc::Receiver<Vec<u8>>,
    mut happened: mpsc::Receiver<Happened>,
    mut stopped: watch::Receiver<bool>,
    carried: impl Future<Output = ()> + Send + 'static,
) {
    let carried = tokio::spawn(carried);
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => break,
            Some(it) = happened.recv() => driver.happened(it).await,
            Some(order) = orders.recv() => driver.handle(Input::Order(&order)).await,
            _ = beat.tick() => driver.handle(Input::Beat).await,
        }
    }
    drop(driver); // nobody is left to publish: the mesh is closed
    if let Err(error) = carried.await {
        tracing::error!(%error, "the way to the mesh ended badly");
    }
}

struct Driver {
    service: Service,
    config: ServeConfig,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    happen: mpsc::Sender<Happened>,
    publish: mpsc::Sender<Vec<u8>>,
    tell: watch::Sender<Option<News>>,
}

impl Driver {
    async fn happened(&mut self, it: Happened) {
        let input = match it {
            Happened::Flight(event) => Input::Flight(event),
            Happened::Ended { end, left } => Input::Ended { end, left },
            Happened::Committed(proof) => Input::Committed(*proof),
            Happened::NotCommitted(why) => Input::NotCommitted(why),
        };
        self.handle(input).await;
    }

    async fn handle(&mut self, input: Input<'_>) {
        let mut todo = self.service.handle(self.clock.now(), input);
        while !todo.is_empty() {
            let mut next = Vec::new();
            for output in todo {
                if let Output::Write(journal) = output {
                    let written = self.write(journal).await;
                    next.extend(self.service.handle(self.clock.now(), Input::Written(written)));
                } else {
                    self.act(output);
                }
            }
            todo = next;
        }
    }

    async fn write(&self, journal: Journal) -> Result<(), String> {
        let path = self.config.journal.clone();
        let written = tokio::task::spawn_blocking(move || journal.store(&path)).await;
        written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn act(&self, output: Output) {
        match output {
            Output::Write(_) => {} // done by `handle`, in its order
            Output::Fly(mission) => self.fly(*mission),
            Output::Submit(transaction) => self.submit(transaction),
            Output::Publish(news) => self.tell(*news),
        }
    }

    /// On a thread of its own, which nothing here can hold up.
    fn fly(&self, mission: Mission) {
        let happen = self.happen.clone();
        let flight = Flight {
            address: self.config.autopilot,
            key: self.config.autopilot_key,
            limits: self.config.limits,
            mission,
        };
        let begun = std::thread::Builder::new().name("flight".into()).spawn(move || flight.run(&happen));
        if let Err(error) = begun {
            let reason = format!("no thread for it: {error}");
            let address = self.config.autopilot.to_string();
            let end = Err(FlightError::Link { address, reason });
            let _ = self.happen.try_send(Happened::Ended { end, left: false }); // few are ever queued
        }
    }

    fn submit(&self, transaction: Vec<u8>) {
        let (ledger, happen) = (Arc::clone(&self.ledger), self.happen.clone());
        tokio::spawn(async move {
            let answer = match ledger.commit(&transaction).await {
                Ok(proof) => Happened::Committed(Box::new(proof)),
                Err(why) => Happened::NotCommitted(why),
            };
            let _ = happen.send(answer).await; // fails only when the service has ended; the journal has it
        });
    }

    fn tell(&self, news: News) {
        let mut text = news.to_json().to_string();
        if text.len() > MESSAGE_BYTES_MAX {
            text = News { custody: None, ..news.clone() }.to_json().to_string();
        }
        self.tell.send_replace(Some(news));
        let _ = self.publish.try_send(text.into_bytes()); // full: the next event tells it all again
    }
}

/// A flight on its thread.
struct Flight {
    address: LinkAddress,
    key: Option<[u8; 32]>,
    limits: FlightLimits,
    mission: Mission,
}

impl Flight {
    fn run(self, happen: &mpsc::Sender<Happened>) {
        let mut left = false;
        let end = UdpLink::open(self.address, self.key).and_then(|link| {
            fly(link, self.mission, self.limits, |event| {
                left |= event.in_air || may_have_left(event.phase);
                // A full queue loses an event, never the flight's time: the next one tells as much.
                let _ = happen.try_send(Happened::Flight(event.clone()));
            })
        });
        left &= !matches!(end, Err(FlightError::ArmRejected { .. }));
        let _ = happen.blocking_send(Happened::Ended { end, left }); // fails only when the service has ended
    }
}

/// From arming on the aircraft may take off without our hearing of it.
fn may_have_left(phase: Phase) -> bool {
    !matches!(phase, Phase::Connecting | Phase::Checking | Phase::Uploading | Phase::LinkLost | Phase::Failed)
}

/// **Brings orders in and news out over the mesh, from whenever it can be reached, until nobody has news any more.**
async fn carry(config: MeshConfig, mut news: mpsc::Receiver<Vec<u8>>, orders: mpsc::Sender<Vec<u8>>) {
    while !news.is_closed() {
        let opened = tokio::select! {
            opened = Mesh::open(config.clone()) => opened,
            () = drain(&mut news) => return,
        };
        let ended = match opened {
            Ok(mesh) => {
                let ended = exchange(&mesh, config.key.id(), &mut news, &orders).await;
                mesh.close().await;
                ended
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "off the mesh"),
        }
        tokio::select! {
            () = sleep(MESH_AGAIN) => {}
            () = drain(&mut news) => return,
        }
    }
}

/// News that nobody can hear grows old; ends when there will be no more.
async fn drain(news: &mut mpsc::Receiver<Vec<u8>>) {
    while news.recv().await.is_some() {}
}

async fn exchange(
    mesh: &Mesh,
    aircraft: DeviceId,
    news: &mut mpsc::Receiver<Vec<u8>>,
    orders: &mpsc::Sender<Vec<u8>>,
) -> Result<(), MeshError> {
    let mut ordered = mesh.subscribe(Topic::Order(aircraft)).await?;
    tracing::info!(%aircraft, "waits for orders on the mesh");
    loop {
        tokio::select! {
            order = ordered.recv() => match order {
                // A full queue loses an order: whoever gives it repeats it until it is followed.
                Some(order) => drop(orders.try_send(order.bytes.to_vec())),
                None => return Err(MeshError::Session { what: "listen", why: "the session was closed".into() }),
            },
            event = news.recv() => match event {
                Some(event) => mesh.publish(Topic::Event(aircraft), event).await?,
                None => return Ok(()),
            },
        }
    }
}
