//! Five validators, a process each, on this machine's disk.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use farhand_ledger::{Checkpoint, Event, Grant, Hash, LedgerId, Transaction, merkle};
use farhand_submit::Client;
use farhand_wire::Role;

use super::{
    Bar, Figure, Measured, Samples,
    log::utc_now,
    made_up::{Cast, public},
    percentile_ms,
};
use crate::{site::Site, stage::Stage, usage};

const SESSIONS: u8 = 10;
/// Checkpoints of each session a second: fifty in all.
const EACH_PER_S: u32 = 5;
const PACED: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(10);
const FLAT_OUT: Duration = Duration::from_secs(15);
/// While all go flat out, a proof is asked for of one checkpoint in so many, and so many proofs of a session are waited for.
const PROVEN_EACH: u64 = 50;
const WINDOW: usize = 8;
const COMMIT: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(20);
const LEAVES: u64 = 100;

pub(super) async fn ledger() -> anyhow::Result<Measured> {
    // Not in memory, where many a machine has its temporary folder.
    let folder = tempfile::tempdir_in(".").context("no room for a ledger in this folder")?;
    let site = Site::open_or_make(&folder.path().join("site"))?;
    let stage = Stage::validators(&site, &folder.path().join("logs"))?;
    let client = Arc::new(connect(&site).await?);
    let writers = open_sessions(&site, &client).await?;

    let before = usage::of(&stage.processes());
    tokio::time::sleep(IDLE).await;
    let idle_s: f64 = spent(&before, &usage::of(&stage.processes()));
    let lone_ms = lone(&site, &client).await?;

    let paced = join(writers, |at, writer| writer.paced(at)).await?;
    let (writers, commit_us): (Vec<Writer>, Vec<Vec<u64>>) = paced.into_iter().unzip();
    let mut commit_us = commit_us.concat();
    commit_us.sort_unstable();

    let began = Instant::now();
    let committed: u64 = join(writers, |_, writer| writer.flat_out()).await?.into_iter().sum();
    let checkpoints_per_s = committed as f64 / began.elapsed().as_secs_f64();
    let used = usage::of(&stage.processes());
    stage.stop().await;
    let at = |share| percentile_ms(&commit_us, share);
    Ok(Measured {
        figures: vec![
            Figure { name: "commit_ms_p50", value: at(0.50), bar: Some(Bar::AtMost(170.0)) },
            Figure { name: "commit_ms_p99", value: at(0.99), bar: Some(Bar::AtMost(250.0)) },
            Figure { name: "lone_commit_ms", value: lone_ms, bar: Some(Bar::AtMost(400.0)) },
            Figure { name: "checkpoints_per_s", value: checkpoints_per_s, bar: Some(Bar::AtLeast(2000.0)) },
            Figure {
                name: "idle_percent",
                value: idle_s / IDLE.as_secs_f64() * 100.0,
                bar: Some(Bar::AtMost(30.0)),
            },
        ],
        load: format!(
            "five validators, {SESSIONS} sessions; commit: {} checkpoints a second for {} s, from handing in to the proof; \
             then as many as they take for {} s; idle: all five together, of one core; processor time in all: {}",
            u32::from(SESSIONS) * EACH_PER_S,
            PACED.as_secs(),
            FLAT_OUT.as_secs(),
            used.iter().map(|(name, s)| format!("{name} {s:.1} s")).collect::<Vec<_>>().join(", ")
        ),
        samples: Samples::Us(commit_us),
    })
}

fn spent(before: &[(String, f64)], after: &[(String, f64)]) -> f64 {
    let sum = |used: &[(String, f64)]| used.iter().map(|(_, s)| s).sum::<f64>();
    sum(after) - sum(before)
}

/// All at once, each with its number.
async fn join<T: Send + 'static, F: Future<Output = anyhow::Result<T>> + Send + 'static>(
    writers: Vec<Writer>,
    work: impl Fn(u32, Writer) -> F,
) -> anyhow::Result<Vec<T>> {
    let tasks: Vec<_> = (0..).zip(writers).map(|(at, writer)| tokio::spawn(work(at, writer))).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await??);
    }
    Ok(done)
}

async fn connect(site: &Site) -> anyhow::Result<Client> {
    let until = Instant::now() + CONNECT;
    loop {
        match Client::connect(&site.keys.desk, site.trust.clone(), &site.validators).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > until => return Err(error).context("no validator came up"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn open_sessions(site: &Site, client: &Arc<Client>) -> anyhow::Result<Vec<Writer>> {
    let ledger = site.trust.ledger();
    let hospital = site.keys.hospital.signing_key();
    let mut writers = Vec::new();
    let mut openings = Vec::new();
    for number in 0..SESSIONS {
        let cast = Cast::new(number);
        let people =
            [(&cast.surgeon, Role::Surgeon), (&cast.bedside, Role::Bedside), (&cast.field, Role::Field)];
        let mut transactions = Vec::new();
        for (key, role) in people {
            transactions.push(grant(ledger, hospital, key, role)?);
        }
        transactions.extend(cast.plan(utc_now()).transactions(ledger, hospital)?);
        let to = client.clone();
        openings.push(tokio::spawn(async move {
            for transaction in transactions {
                to.commit(&transaction, COMMIT).await?;
            }
            anyhow::Ok(())
        }));
        writers.push(Writer { client: client.clone(), ledger, cast, newest: None });
    }
    for opening in openings {
        opening.await??;
    }
    Ok(writers)
}

fn grant(ledger: LedgerId, hospital: &SigningKey, to: &SigningKey, role: Role) -> anyhow::Result<Vec<u8>> {
    const HOUR_MS: u64 = 3_600_000;
    let at = utc_now();
    let until_utc_ms = at.us / 1000 + HOUR_MS;
    let grant = Grant { key: public(to), role, pseudonym: "somebody".to_owned(), until_utc_ms };
    Ok(Transaction { ledger, at, event: Event::Grant(grant) }.sign(hospital)?)
}

/// One transaction on a ledger that had nothing to do: the seal of the day's last session, say. The median of five.
async fn lone(site: &Site, client: &Client) -> anyhow::Result<f64> {
    let mut took_us = Vec::new();
    for number in 0..5 {
        let to = SigningKey::from_bytes(&[200 + number; 32]);
        let transaction = grant(site.trust.ledger(), site.keys.hospital.signing_key(), &to, Role::Field)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let began = Instant::now();
        client.commit(&transaction, COMMIT).await?;
        took_us.push(began.elapsed().as_micros() as u64);
    }
    took_us.sort_unstable();
    Ok(percentile_ms(&took_us, 0.5))
}

/// An edge box that writes its checkpoints.
struct Writer {
    client: Arc<Client>,
    ledger: LedgerId,
    cast: Cast,
    newest: Option<Checkpoint>,
}

impl Writer {
    fn next(&mut self) -> anyhow::Result<Vec<u8>> {
        let (size, previous_root) =
            self.newest.as_ref().map_or((0, merkle::empty_root()), |newest| (newest.tree_size, newest.root));
        let checkpoint = Checkpoint {
            session: self.cast.session,
            tree_size: size + LEAVES,
            root: Hash::of(&(size + LEAVES).to_le_bytes()),
            previous_root,
            first_sequence: size,
            last_sequence: size + LEAVES - 1,
        };
        self.newest = Some(checkpoint);
        let event = Event::Checkpoint(checkpoint);
        Ok(Transaction { ledger: self.ledger, at: utc_now(), event }.sign(&self.cast.edge)?)
    }

    /// In its own rhythm, whether or not the last one is committed yet; how long each took, µs.
    async fn paced(mut self, at: u32) -> anyhow::Result<(Self, Vec<u64>)> {
        let each = Duration::from_secs(1) / EACH_PER_S;
        let mut beat =
            tokio::time::interval_at(tokio::time::Instant::now() + each * at / u32::from(SESSIONS), each);
        let (began, mut waiting) = (Instant::now(), Vec::new());
        while began.elapsed() < PACED {
            beat.tick().await;
            let transaction = self.next()?;
            let (client, began) = (self.client.clone(), Instant::now());
            // In order: the next one continues this one.
            let receipt = client.submit(&transaction).await?;
            waiting.push(tokio::spawn(async move {
                client.proof(receipt.hash, COMMIT).await?;
                anyhow::Ok(began.elapsed().as_micros() as u64)
            }));
        }
        let mut took = Vec::new();
        for one in waiting {
            took.push(one.await??);
        }
        Ok((self, took))
    }

    /// As many as are taken; how many were committed. A proof of one is a proof of all before it, for each names the one
    /// before: so one in [`PROVEN_EACH`] is asked for.
    async fn flat_out(mut self) -> anyhow::Result<u64> {
        let (began, mut committed) = (Instant::now(), 0);
        let mut waiting = VecDeque::new();
        while began.elapsed() < FLAT_OUT || !waiting.is_empty() {
            if began.elapsed() < FLAT_OUT && waiting.len() < WINDOW {
                let mut newest = Hash::ZERO;
                for _ in 0..PROVEN_EACH {
                    let transaction = self.next()?;
                    newest = self.client.submit(&transaction).await?.hash;
                }
                waiting.push_back(newest);
            } else if let Some(hash) = waiting.pop_front() {
                self.client.proof(hash, COMMIT).await?;
                committed += PROVEN_EACH;
            }
        }
        Ok(committed)
    }
}
