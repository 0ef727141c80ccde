//! Does what is due for a delivery: commits what people sign, sends the aircraft, asks the kit. What is due is asked for
//! again every second until the ledger proves it, so that no message and no restart can lose a step.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use farhand_ledger::{Cbor, CustodyAnswer, CustodyRequest, KitStep, TransactionProof, TrustRoot, Utc};
use farhand_link::{DeviceId, DeviceIdError, DeviceKey};
use farhand_mesh::{Certificate, MeshConfig};
use farhand_submit::ClientError;
use farhand_wire::PublicKey;
use serde_json::Value;
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};

use super::{
    Delivery, NotNext, aircraft,
    delivery::{Call, Due, FlightNews},
    keep::{self, KeepError},
};
use crate::{
    FieldConfig, Input,
    ledger::{Ledger, Outcome},
    switchboard::Event,
};

/// What is due is asked for once in this time.
const AGAIN: Duration = Duration::from_secs(1);
const QUEUED_MAX: usize = 32;
const MESH_OPEN_MS_MAX: u64 = 5_000;
/// This machine's clock is believed to be within this of UTC.
const UNCERTAINTY_US: u64 = 100_000;

/// What a delivery needs of the world around it.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) key: DeviceKey,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) trust: TrustRoot,
    pub(crate) config: FieldConfig,
    pub(crate) edge: PublicKey,
    /// Questions to the kit, by way of the edge box.
    pub(crate) events: mpsc::Sender<Event>,
    /// The kit's answers.
    pub(crate) answers: mpsc::Receiver<Vec<u8>>,
    /// Every step so far, whenever there is one more.
    pub(crate) proven: watch::Sender<Vec<TransactionProof>>,
}

/// Why a delivery can't be begun, or a page's call is not followed.
#[derive(Debug, Error)]
pub enum FieldError {
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("the aircraft or a validator: {0}")]
    Device(#[from] DeviceIdError),
    #[error("the custody proofs on record: {0}")]
    Recorded(NotNext),
    #[error("The step can't be taken: {0}.")]
    NotNext(#[from] NotNext),
    #[error("Another step is under way. Wait until it is done.")]
    Busy,
    #[error("The ledger does not take it: {0}.")]
    Ledger(#[from] ClientError),
    #[error("This server does not follow a delivery.")]
    None,
}

/// A page's call.
#[derive(Debug)]
pub(crate) struct FromPage {
    pub(crate) call: Call,
    pub(crate) signed: Vec<u8>,
    pub(crate) by: PublicKey,
    pub(crate) answer: oneshot::Sender<Result<(), FieldError>>,
}

/// Where the page's calls meet the delivery.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    delivery: Arc<Mutex<Delivery>>,
    posts: mpsc::Sender<FromPage>,
    /// Changes whenever the view does.
    pub(crate) changed: watch::Receiver<u64>,
}

impl Desk {
    pub(crate) fn view(&self) -> Value {
        lock(&self.delivery).view(utc_now())
    }

    pub(crate) async fn post(&self, call: Call, signed: Vec<u8>, by: PublicKey) -> Result<(), FieldError> {
        let (answer, answered) = oneshot::channel();
        let post = FromPage { call, signed, by, answer };
        self.posts.send(post).await.map_err(|_| FieldError::None)?;
        answered.await.map_err(|_| FieldError::None)?
    }
}

/// **Follows one kit's delivery, from what is on record, until it is dropped.**
///
/// # Errors
/// [`FieldError`] if what is on record can't be read or does not hold, or a file that the configuration names.
pub(crate) fn start(around: Around) -> Result<(Desk, impl Future<Output = ()>), FieldError> {
    let mut delivery = Delivery::new(around.trust.clone(), PublicKey(around.config.kit), around.edge);
    for proof in keep::load(&around.config.custody)? {
        delivery.take(proof).map_err(FieldError::Recorded)?;
    }
    around.proven.send_replace(delivery.proofs());
    let delivery = Arc::new(Mutex::new(delivery));
    let (posts, post_queue) = mpsc::channel(QUEUED_MAX);
    let (done, done_queue) = mpsc::channel(QUEUED_MAX);
    let (orders, order_queue) = mpsc::channel(QUEUED_MAX);
    let (news, news_queue) = mpsc::channel(QUEUED_MAX);
    let (change, changed) = watch::channel(0);
    let aircraft = DeviceId::try_from(around.config.aircraft)?;
    let carried = aircraft::carry(mesh_config(&around)?, aircraft, order_queue, news);
    let driver = Driver {
        ledger: around.ledger.clone(),
        plan: plan(&around.config.plan)?,
        delivery: delivery.clone(),
        around,
        change,
        done,
        orders,
    };
    let queues = Queues { posts: post_queue, commits: done_queue, news: news_queue };
    let both = async {
        tokio::join!(carried, driver.run(queues));
    };
    Ok((Desk { delivery, posts, changed }, both))
}

fn mesh_config(around: &Around) -> Result<MeshConfig, FieldError> {
    let entry = &around.config.mesh;
    Ok(MeshConfig {
        key: around.key.clone(),
        certificate: certificate(&entry.certificate)?,
        anchor: certificate(&entry.anchor)?,
        router: entry.router,
        open_ms_max: MESH_OPEN_MS_MAX,
    })
}

fn certificate(path: &Path) -> Result<Certificate, FieldError> {
    Certificate::from_pem(&text(path)?)
        .map_err(|why| FieldError::File { path: path.to_owned(), why: why.to_string() })
}

fn plan(path: &Path) -> Result<Value, FieldError> {
    serde_json::from_str(&text(path)?)
        .map_err(|why| FieldError::File { path: path.to_owned(), why: why.to_string() })
}

fn text(path: &Path) -> Result<String, FieldError> {
    std::fs::read_to_string(path)
        .map_err(|why| FieldError::File { path: path.to_owned(), why: why.to_string() })
}

struct Driver {
    delivery: Arc<Mutex<Delivery>>,
    around: Around,
    plan: Value,
    ledger: Arc<Ledger>,
    change: watch::Sender<u64>,
    done: mpsc::Sender<Outcome>,
    orders: mpsc::Sender<Bytes>,
}

struct Queues {
    posts: mpsc::Receiver<FromPage>,
    commits: mpsc::Receiver<Outcome>,
    news: mpsc::Receiver<Bytes>,
}

impl Driver {
    async fn run(mut self, mut queues: Queues) {
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(post) = queues.posts.recv() => self.post(post),
                Some(outcome) = queues.commits.recv() => self.outcome(outcome),
                Some(news) = queues.news.recv() => self.news(&news),
                Some(answer) = self.around.answers.recv() => self.answer(&answer),
                _ = again.tick() => self.look_and_act(),
            }
        }
    }

    fn post(&mut self, post: FromPage) {
        let checked = self.check(&post);
        if checked.is_ok() {
            match post.call {
                Call::Pair => lock(&self.delivery).pair(),
                Call::Dispatch => self.commit(post.signed, "the ledger takes it in: loaded"),
                Call::BringUp => self.commit(post.signed, "the ledger takes it in: unsealed"),
            }
            self.act();
        }
        let _ = post.answer.send(checked); // the page may be gone
        self.tell();
    }

    fn check(&self, post: &FromPage) -> Result<(), FieldError> {
        let delivery = lock(&self.delivery);
        if delivery.is_working() {
            return Err(FieldError::Busy);
        }
        match post.call {
            Call::Pair if delivery.next_call() == Some(Call::Pair) => Ok(()),
            call => Ok(delivery.check_signed(call, &post.signed, post.by)?),
        }
    }

    /// Hands a signed transaction to the ledger, on a task of its own.
    fn commit(&self, signed: Vec<u8>, what: &str) {
        lock(&self.delivery).working(what);
        let (done, ledger) = (self.done.clone(), self.ledger.clone());
        tokio::spawn(async move {
            let outcome = ledger.commit(&signed).await;
            let _ = done.send(outcome).await; // fails only when the server ends
        });
    }

    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Ok(proof) => self.take(proof),
            Err(error) => lock(&self.delivery).failed(format!("the ledger: {error}")),
        }
        self.act();
        self.tell();
    }

    fn take(&mut self, proof: TransactionProof) {
        let taken = {
            let mut delivery = lock(&self.delivery);
            delivery.take(proof.clone()).map(|new| new.then(|| delivery.proofs()))
        };
        match taken {
            Ok(Some(proofs)) => {
                if let Err(error) = keep::store(&self.around.config.custody, proofs.len(), &proof) {
                    tracing::error!(%error, "a custody proof is not on disk");
                }
                self.around.proven.send_replace(proofs);
            }
            Ok(None) => {}
            Err(why) => tracing::warn!(%why, "a custody step was not taken in"),
        }
    }

    fn news(&mut self, bytes: &[u8]) {
        let Ok(news) = serde_json::from_slice::<FlightNews>(bytes) else {
            return tracing::warn!("the aircraft said something that is no news of a flight");
        };
        let flown = news.custody.as_ref().and_then(|step| STANDARD.decode(&step.proof).ok());
        if let Some(proof) = flown.and_then(|bytes| TransactionProof::read(&bytes).ok()) {
            self.take(proof);
        }
        lock(&self.delivery).heard(news);
        self.tell();
    }

    fn answer(&mut self, bytes: &[u8]) {
        match CustodyAnswer::read(bytes) {
            Ok(CustodyAnswer::Signed(transaction)) if !lock(&self.delivery).is_working() => {
                self.commit(transaction, "the ledger takes it in: signed by the kit");
            }
            Ok(CustodyAnswer::Signed(_)) => {}
            Ok(CustodyAnswer::Refused { why, .. }) => {
                lock(&self.delivery).failed(format!("the kit: {why}"));
            }
            Err(why) => tracing::warn!(%why, "the kit's answer can't be read"),
        }
        self.tell();
    }

    /// The hospital's depot seals a kit by putting the proof into the folder.
    fn look_and_act(&mut self) {
        let before = lock(&self.delivery).proofs().len();
        if before == 0 {
            for proof in keep::load(&self.around.config.custody).unwrap_or_default() {
                self.take(proof);
            }
            self.tell();
        }
        self.act();
    }

    fn act(&self) {
        let (due, working) = {
            let delivery = lock(&self.delivery);
            (delivery.due(), delivery.is_working())
        };
        match due {
            _ if working => {}
            Due::Nothing => {}
            Due::Fly => self.order(),
            Due::Kit(step) => self.ask(step),
        }
    }

    fn order(&self) {
        // Sealed and loaded: the aircraft asks for no more.
        let proofs = lock(&self.delivery).proofs();
        let newest = &proofs[proofs.len().saturating_sub(2)..];
        let proofs: Vec<String> = newest.iter().map(|proof| STANDARD.encode(proof.to_bytes())).collect();
        let order = serde_json::json!({ "plan": self.plan, "custody": proofs });
        let _ = self.orders.try_send(Bytes::from(order.to_string())); // full: again in a second
    }

    fn ask(&self, step: KitStep) {
        let request = {
            let delivery = lock(&self.delivery);
            CustodyRequest {
                ledger: delivery.ledger(),
                at: utc_now(),
                edge: delivery.edge(),
                step,
                proofs: delivery.proofs(),
            }
        };
        let asked = Event::Input(Input::CustodyAsked { request: request.to_bytes() });
        let _ = self.around.events.try_send(asked); // full: again in a second
    }

    fn tell(&self) {
        self.change.send_modify(|version| *version += 1);
    }
}

fn lock(delivery: &Mutex<Delivery>) -> MutexGuard<'_, Delivery> {
    delivery.lock().unwrap_or_else(PoisonError::into_inner) // each call leaves it whole
}

fn utc_now() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc { us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX), uncertainty_us: UNCERTAINTY_US }
}
