//! Clients at the door: they submit transactions, and are given proofs and heights.
//!
//! **Bounded:** a client has at most [`ASKED_MAX`] questions open; another one waits to be read.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use farhand_ledger::{Authored, Cbor as _, Hash, TransactionProof, Utc};
use farhand_link::{CloseReason, Connection, Endpoint};
use farhand_submit::frames::{Answer, Ask, BadFrame, Parts, send};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    app::now_us,
    frames::PeerFrame,
    intake::{Intake, Taken},
    mempool::Mempool,
    net::PeerNetwork,
    payload::Payloads,
    proof,
    rules::{Draft, Here, Place, Rules},
    store::Store,
};

/// Questions of one client that are being answered.
const ASKED_MAX: usize = 256;
/// No proof is waited for longer.
const WAIT_MS_MAX: u32 = 60_000;
/// Between the last blocks that a proof needs and the next look, if no commit wakes us.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const ANSWERS_QUEUED_MAX: usize = 64;

/// What clients are served from.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) mempool: Arc<Mempool>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) network: PeerNetwork,
    pub(crate) rules: Arc<Rules>,
    /// The ledger's epochs, as a file.
    pub(crate) trust: Bytes,
}

impl Desk {
    /// **Serves every client that the endpoint lets in, until the endpoint is closed.**
    pub(crate) async fn run(self, endpoint: Endpoint) {
        let mut clients = JoinSet::new();
        while let Some(connection) = endpoint.accept().await {
            while clients.try_join_next().is_some() {}
            tracing::debug!(client = ?connection, "a client connected");
            clients.spawn(self.clone().serve(connection));
        }
    }

    async fn serve(self, connection: Connection) {
        let (answers, queue) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(write_answers(connection.clone(), queue));
        if let Err(bad) = self.read_questions(&connection, &answers, &mut tasks).await {
            tracing::warn!(client = ?connection, %bad, "a client broke the protocol");
            connection.close(CloseReason::Protocol);
        }
    }

    async fn read_questions(
        &self,
        connection: &Connection,
        answers: &mpsc::Sender<Bytes>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), BadFrame> {
        let open = Arc::new(Semaphore::new(ASKED_MAX));
        let mut parts = Parts::default();
        while let Ok(Some(part)) = connection.recv_message().await {
            let Some(frame) = parts.take(&part)? else { continue };
            let (number, ask) = Ask::read(&frame)?;
            while tasks.try_join_next().is_some() {}
            let Ok(permit) = Arc::clone(&open).acquire_owned().await else { return Ok(()) };
            let (desk, answers) = (self.clone(), answers.clone());
            tasks.spawn(async move {
                desk.answer(number, ask, answers).await;
                drop(permit);
            });
        }
        Ok(())
    }

    async fn answer(self, number: u64, ask: Ask, answers: mpsc::Sender<Bytes>) {
        let answer = match ask {
            Ask::Submit(bytes) => self.submit(&bytes),
            Ask::Proof { hash, wait_ms } => self.prove(hash, wait_ms).await,
            Ask::Height => Answer::Height(self.store.progress().borrow().height),
            Ask::Trust => Answer::Trust(self.trust.clone()),
            Ask::Watch => return self.watch(number, answers).await,
        };
        let _ = answers.send(answer.to_bytes(number)).await; // the client may have left
    }

    fn submit(&self, bytes: &Bytes) -> Answer {
        match self.intake.take(bytes) {
            Ok(Taken::New(hash)) => {
                self.network.tell_all(&PeerFrame::Transaction(bytes.clone()).to_bytes());
                Answer::Taken(hash)
            }
            Ok(Taken::Known(hash)) => Answer::Taken(hash),
            Err(why) => Answer::Refused(why.to_string()),
        }
    }

    async fn prove(&self, hash: Hash, wait_ms: u32) -> Answer {
        let until = Instant::now() + Duration::from_millis(wait_ms.min(WAIT_MS_MAX).into());
        let mut progress = self.store.progress();
        loop {
            progress.mark_unchanged();
            let place = self.intake.place(&hash);
            if let Some(proof) = place.and_then(|place| self.proof(place)) {
                return Answer::Proof(proof.to_bytes().into());
            }
            if Instant::now() >= until {
                return Answer::NotYet(self.why_not(&hash));
            }
            let next_look = if place.is_some() { until.min(Instant::now() + LOOK_AGAIN) } else { until };
            let _ = timeout_at(next_look, progress.changed()).await; // either way, look again
        }
    }

    fn proof(&self, place: Place) -> Option<TransactionProof> {
        proof::transaction_proof(&self.store, &self.payloads, place)
    }

    /// As far as this validator can tell without making a block.
    fn why_not(&self, hash: &Hash) -> String {
        let Some(waiting) = self.mempool.get(hash) else {
            return "this validator does not know it; submit it again".to_owned();
        };
        match self.would_write(&waiting.authored) {
            Ok(()) => "it waits for a block; is a quorum of validators running?".to_owned(),
            Err(why) => format!("it can't be written as the ledger stands: {why}"),
        }
    }

    fn would_write(&self, authored: &Authored) -> Result<(), crate::rules::Inadmissible> {
        let height = self.store.progress().borrow().height.map_or(0, |height| height + 1);
        let place = Place { epoch: self.store.epoch(), height, index: 0 };
        let here = Here { place, at: Utc { us: now_us(), uncertainty_us: 0 } };
        self.rules.apply(&mut Draft::over(&self.store), here, authored)
    }

    async fn watch(&self, number: u64, answers: mpsc::Sender<Bytes>) {
        let mut progress = self.store.progress();
        loop {
            let height = progress.borrow_and_update().height;
            if answers.send(Answer::Height(height).to_bytes(number)).await.is_err()
                || progress.changed().await.is_err()
            {
                return;
            }
        }
    }
}

async fn write_answers(connection: Connection, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        if send(&connection, &frame).await.is_err() {
            return;
        }
    }
}
