//! Checkpoints on their way onto the ledger.
//!
//! **A checkpoint is on disk before anybody is shown it** (global): the ledger takes only what continues the newest one,
//! so after a restart the record must know every checkpoint that it ever signed. Several are on their way at a time; when there
//! is no room for more, the next one covers all that came meanwhile. Nobody but the seal waits for any of this.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ed25519_dalek::SigningKey;
use farhand_ledger::{Cbor, Checkpoint, Event, LedgerId, Transaction, TransactionProof};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    clock::ClockWatch, health::RecordHealth, journal::Journal, ledger::Ledger, record::RecordError,
    store::Paths,
};

/// Checkpoints that are on their way at a time. A commit takes 0.2 s and there are ten a second.
const ON_THEIR_WAY_MAX: usize = 16;
/// A commit that takes longer is tried again, with another validator.
const COMMIT_WAIT: Duration = Duration::from_secs(10);
/// Between tries.
const RETRY: Duration = Duration::from_millis(500);

/// Whoever signs for the edge box.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) ledger: LedgerId,
    pub(crate) clock: Arc<ClockWatch>,
}

impl Signer {
    /// # Errors
    /// [`RecordError::Transaction`] if the event is not within its bounds.
    pub(crate) fn sign(&self, event: Event) -> Result<Vec<u8>, RecordError> {
        let Signer { key, ledger, clock } = self;
        Transaction { ledger: *ledger, at: clock.utc(), event }.sign(key).map_err(RecordError::Transaction)
    }
}

/// What was signed before, as the disk has it.
#[derive(Debug)]
pub(crate) struct Signed {
    /// Signed checkpoints, in order.
    checkpoints: Journal,
    /// Proofs of the first of them, in order.
    proofs: Journal,
    /// Those without a proof: number, transaction, and leaves.
    unproven: VecDeque<Unproven>,
    pub(crate) newest: Option<Checkpoint>,
    /// How many checkpoints there are, and how many proofs.
    signed: u64,
    proven: u64,
    /// Leaves that proven checkpoints cover.
    pub(crate) anchored: u64,
}

#[derive(Clone, Debug)]
struct Unproven {
    number: u64,
    transaction: Vec<u8>,
    leaves: u64,
}

impl Signed {
    /// # Errors
    /// [`RecordError`] if the files can't be read.
    pub(crate) fn open(paths: &Paths) -> Result<Self, RecordError> {
        let (mut proven, mut signed, mut anchored) = (0, 0, 0);
        let proofs = Journal::open(&paths.file("proofs.bin"), |_| proven += 1)?;
        let (mut unproven, mut newest) = (VecDeque::new(), None);
        let checkpoints = Journal::open(&paths.file("checkpoints.bin"), |transaction| {
            newest = checkpoint_in(&transaction).or(newest);
            let leaves = newest.map_or(0, |checkpoint| checkpoint.tree_size);
            if signed < proven {
                anchored = leaves;
            } else {
                unproven.push_back(Unproven { number: signed, transaction, leaves });
            }
            signed += 1;
        })?;
        Ok(Self { checkpoints, proofs, unproven, newest, signed, proven, anchored })
    }

    /// Proofs of all checkpoints, in order, are shown to `see`.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn each_proof(&self, see: impl FnMut(Vec<u8>)) -> io::Result<()> {
        self.proofs.each(see)
    }

    fn add(&mut self, transaction: Vec<u8>, leaves: u64) -> io::Result<Unproven> {
        self.checkpoints.append_durably(&transaction)?;
        self.signed += 1;
        Ok(Unproven { number: self.signed - 1, transaction, leaves })
    }
}

/// Those that are signed are of this record, whose key signed them; the signature is not looked at again.
fn checkpoint_in(transaction: &[u8]) -> Option<Checkpoint> {
    match Transaction::open(transaction).ok()?.transaction.event {
        Event::Checkpoint(checkpoint) => Some(checkpoint),
        _ => None,
    }
}

/// All that was signed, and the proof of the seal, if there was one to be committed.
pub(crate) type Finished = (Signed, Option<TransactionProof>);

/// The thread that signs checkpoints and sees them committed. Dropped, it stops as soon as it can.
#[derive(Debug)]
pub(crate) struct Anchor {
    orders: Orders,
    done: oneshot::Receiver<Finished>,
    /// Dropped: stop at once.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where the writer puts checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    queue: mpsc::UnboundedSender<Order>,
    on_their_way: Arc<AtomicUsize>,
}

/// Something to be put on the ledger.
#[derive(Debug)]
enum Order {
    Checkpoint(Checkpoint),
    /// Signed, the last, once all checkpoints are proven.
    Seal(Vec<u8>),
}

impl Orders {
    /// Whether another checkpoint finds room; without, a later one will cover more.
    pub(crate) fn have_room(&self) -> bool {
        self.on_their_way.load(Ordering::Acquire) < ON_THEIR_WAY_MAX
    }

    /// Takes a checkpoint of what is durable.
    pub(crate) fn put(&self, checkpoint: Checkpoint) {
        self.on_their_way.fetch_add(1, Ordering::AcqRel);
        let _ = self.queue.send(Order::Checkpoint(checkpoint)); // the thread was stopped: so is the record
    }
}

impl Anchor {
    /// # Errors
    /// What the system says of a new thread.
    pub(crate) fn start(
        signed: Signed,
        signer: Signer,
        ledger: Arc<dyn Ledger>,
        health: Arc<watch::Sender<RecordHealth>>,
    ) -> io::Result<Self> {
        let (queue, orders) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (finished, done) = oneshot::channel();
        let on_their_way = Arc::new(AtomicUsize::new(signed.unproven.len()));
        let orders_in = Orders { queue, on_their_way: Arc::clone(&on_their_way) };
        let work = Work { signed, signer, ledger, health, on_their_way, done: BTreeMap::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new()
            .name("record-anchor".to_owned())
            .spawn(move || runtime.block_on(work.run(orders, stopped, finished)))?;
        Ok(Self { orders: orders_in, done, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Takes no more, and waits until all checkpoints and then the seal are proven.
    ///
    /// # Errors
    /// [`RecordError::ThreadGone`], or `None` within if it took longer than `wait`.
    pub(crate) async fn finish(
        mut self,
        seal: Vec<u8>,
        wait: Duration,
    ) -> Result<Option<(Signed, TransactionProof)>, RecordError> {
        self.orders.queue.send(Order::Seal(seal)).map_err(|_| RecordError::ThreadGone)?;
        match timeout(wait, &mut self.done).await {
            Ok(Ok((signed, Some(seal)))) => Ok(Some((signed, seal))),
            Ok(_) => Err(RecordError::ThreadGone),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that carries checkpoints to the ledger had ended by itself");
        }
    }
}

struct Work {
    signed: Signed,
    signer: Signer,
    ledger: Arc<dyn Ledger>,
    health: Arc<watch::Sender<RecordHealth>>,
    on_their_way: Arc<AtomicUsize>,
    /// Proofs that came before those of earlier checkpoints.
    done: BTreeMap<u64, (TransactionProof, u64)>,
}

type Jobs = JoinSet<(Unproven, TransactionProof)>;

impl Work {
    /// **Runs until the seal is proven, or until it is stopped.**
    async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut stopped: oneshot::Receiver<()>,
        finished: oneshot::Sender<Finished>,
    ) {
        tokio::select! {
            seal = self.work(&mut orders) => drop(finished.send((self.signed, seal))),
            _ = &mut stopped => {}
        }
    }

    async fn work(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<TransactionProof> {
        let mut jobs = Jobs::new();
        for unproven in std::mem::take(&mut self.signed.unproven) {
            self.carry(unproven, &mut jobs);
        }
        let (mut more, mut seal) = (true, None);
        while more || !jobs.is_empty() {
            tokio::select! {
                order = orders.recv(), if more => match order {
                    Some(Order::Checkpoint(checkpoint)) => self.sign(&checkpoint, &mut jobs).await,
                    Some(Order::Seal(transaction)) => (more, seal) = (false, Some(transaction)),
                    None => more = false,
                },
                Some(proven) = jobs.join_next() => match proven {
                    Ok((unproven, proof)) => self.keep(unproven, proof).await,
                    Err(error) => tracing::error!(%error, "a checkpoint was dropped on its way to the ledger"),
                },
            }
        }
        Some(commit(self.ledger.as_ref(), &self.health, &seal?).await)
    }

    async fn sign(&mut self, checkpoint: &Checkpoint, jobs: &mut Jobs) {
        let transaction = match self.signer.sign(Event::Checkpoint(*checkpoint)) {
            Ok(transaction) => transaction,
            Err(error) => return self.tell(&format!("a checkpoint can't be signed: {error}")),
        };
        loop {
            match self.signed.add(transaction.clone(), checkpoint.tree_size) {
                Ok(unproven) => return self.carry(unproven, jobs),
                Err(error) => self.tell(&format!("checkpoints can't be kept: {error}")),
            }
            sleep(RETRY).await;
        }
    }

    fn carry(&self, unproven: Unproven, jobs: &mut Jobs) {
        let (ledger, health) = (Arc::clone(&self.ledger), Arc::clone(&self.health));
        jobs.spawn(async move {
            let proof = commit(ledger.as_ref(), &health, &unproven.transaction).await;
            (unproven, proof)
        });
    }

    /// Keeps proofs in the order of their checkpoints.
    async fn keep(&mut self, unproven: Unproven, proof: TransactionProof) {
        self.done.insert(unproven.number, (proof, unproven.leaves));
        while let Some((proof, leaves)) = self.done.remove(&self.signed.proven) {
            let proof = proof.to_bytes();
            while let Err(error) = self.signed.proofs.append_durably(&proof) {
                self.tell(&format!("proofs of checkpoints can't be kept: {error}"));
                sleep(RETRY).await;
            }
            self.signed.proven += 1;
            self.signed.anchored = leaves;
            self.on_their_way.fetch_sub(1, Ordering::AcqRel);
            self.health.send_modify(|health| {
                health.anchored = leaves;
                health.ledger = None;
            });
        }
    }

    fn tell(&self, why: &str) {
        tell(&self.health, why);
    }
}

/// Tries until it is committed.
async fn commit(
    ledger: &dyn Ledger,
    health: &watch::Sender<RecordHealth>,
    transaction: &[u8],
) -> TransactionProof {
    loop {
        match ledger.commit(transaction, COMMIT_WAIT).await {
            Ok(proof) => return proof,
            Err(error) => tell(health, &error.to_string()),
        }
        sleep(RETRY).await;
    }
}

fn tell(health: &watch::Sender<RecordHealth>, why: &str) {
    health.send_if_modified(|health| {
        if health.ledger.is_none() {
            tracing::warn!(why, "checkpoints do not get onto the ledger; recording goes on");
        }
        let changed = health.ledger.as_deref() != Some(why);
        health.ledger = Some(why.to_owned());
        changed
    });
}
