//! The link to the cloud: signals of consoles, the session's opening, custody. A JSON object each message.

use std::{
    borrow::Cow,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use farhand_ledger::{Cbor, OpeningEvidence, TrustRoot, VerifiedOpening, verify_opening};
use farhand_link::{Connection, DeviceRole, KeepConnected, LinkConfig, Protocol};
use farhand_wire::{Challenge, PublicKey};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::{
    console,
    desk::Desk,
    edge::Ending,
    meeting::{self, Meetings},
    reach::Reach,
    record::{Archive, ArchiveError, OpenRecord},
    relay::Input,
    signal,
};

/// Signalling between the edge box, which connects, and the cloud.
pub(crate) const SIGNAL_PROTOCOL: Protocol =
    Protocol { alpn: "farhand-signal/1", accepting: &[DeviceRole::Cloud], connecting: &[DeviceRole::Edge] };
/// Answers under way: one for each path.
const ANSWERS_QUEUED_MAX: usize = meeting::MEETINGS_MAX;
/// A connection that has just ended may be offered once more before that is noticed.
const AGAIN: Duration = Duration::from_millis(50);

/// Signalling is in no hurry.
pub(crate) fn link_config() -> LinkConfig {
    LinkConfig { keep_alive_ms: 500, idle_timeout_ms: 3000, ..LinkConfig::default() }
}

/// One message. Fields of a newer cloud are passed over.
#[derive(Deserialize)]
struct FromCloud<'a> {
    #[serde(borrow)]
    peer: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signal: Option<&'a RawValue>,
    #[serde(borrow)]
    gone: Option<Cow<'a, str>>,
    #[serde(borrow)]
    opening: Option<Cow<'a, str>>,
    #[serde(borrow)]
    custody_ask: Option<Cow<'a, str>>,
}

/// Why an opening is not taken. The session stays as it was.
#[derive(Debug, Error)]
enum NotOpened {
    #[error("it is not base64url")]
    Encoding,
    #[error(transparent)]
    Malformed(#[from] farhand_ledger::Malformed),
    #[error(transparent)]
    Proof(#[from] farhand_ledger::ProofError),
    #[error("it names another {what}, {seen}; this is {expected}")]
    OtherDevice { what: &'static str, seen: PublicKey, expected: PublicKey },
    #[error("another session is open")]
    AlreadyOpen,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// This end of the link.
pub(crate) struct Cloud {
    pub(crate) desk: Arc<Desk>,
    /// One for each path.
    pub(crate) reach: Vec<Reach>,
    pub(crate) trust: TrustRoot,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) meetings: Meetings,
    pub(crate) edge: PublicKey,
    pub(crate) kit: PublicKey,
    pub(crate) open: Option<VerifiedOpening>,
    /// Who seals the record in the end.
    pub(crate) opened: mpsc::Sender<Box<dyn OpenRecord>>,
    pub(crate) ending: watch::Receiver<Ending>,
}

/// A peer's answer for one of its paths, or none.
type Answered = (String, u8, Option<String>);

impl Cloud {
    /// **Serves one connection to the cloud after the other, without end.**
    pub(crate) async fn serve(mut self, keep: KeepConnected, mut custody: mpsc::Receiver<Bytes>) {
        let (answers_to, mut answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
        loop {
            let connection = keep.connection().await;
            if connection.end().is_some() {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            self.switched(true);
            self.exchange(&connection, &answers_to, &mut answers, &mut custody).await;
            self.switched(false);
            self.meetings.forget_all();
        }
    }

    fn switched(&self, on: bool) {
        self.desk.signs.cloud_online.send_replace(on);
        let reason = if on { "connected" } else { "connection lost" };
        self.desk.handle(Input::Switched { what: "cloud", on, reason: reason.into() });
    }

    async fn exchange(
        &mut self,
        connection: &Connection,
        answers_to: &mpsc::Sender<Answered>,
        answers: &mut mpsc::Receiver<Answered>,
        custody: &mut mpsc::Receiver<Bytes>,
    ) {
        let mut ending = self.ending.clone();
        ending.mark_changed();
        loop {
            let mut outbox = Vec::new();
            tokio::select! {
                received = connection.recv_message() => match received {
                    Ok(Some(message)) => self.take(&message, answers_to, &mut outbox).await,
                    _ => return,
                },
                Some((peer, path, sdp)) = answers.recv() => {
                    let input = match &sdp {
                        Some(sdp) => meeting::Input::Answered { path, sdp },
                        None => meeting::Input::NotAnswered { path },
                    };
                    self.meet(&peer, input, answers_to, &mut outbox);
                }
                Some(answer) = custody.recv() => {
                    outbox.push(json!({"custody_answer": signal::encode(&answer)}).to_string());
                }
                Ok(()) = ending.changed() => {
                    if let Ending::Sealed { bundle } = &*ending.borrow_and_update() {
                        outbox.push(json!({"sealed": {"bundle": name_of(bundle)}}).to_string());
                    }
                }
            }
            for message in outbox {
                if connection.send_message(message.into()).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn take(&mut self, message: &[u8], answers: &mpsc::Sender<Answered>, outbox: &mut Vec<String>) {
        let Ok(message) = serde_json::from_slice::<FromCloud<'_>>(message) else {
            return tracing::warn!(bytes = message.len(), "the cloud said something unreadable");
        };
        if let (Some(peer), Some(signal)) = (&message.peer, message.signal) {
            self.said(peer, signal.get(), answers, outbox);
        }
        if let Some(peer) = &message.gone {
            self.meet(peer, meeting::Input::Gone, answers, outbox);
        }
        if let Some(ask) = message.custody_ask.and_then(|ask| signal::decode("custody_ask", &ask).ok()) {
            self.desk.handle(Input::CustodyAsked { ask: ask.into() });
        }
        if let Some(opening) = message.opening
            && let Err(error) = self.opening(&opening).await
        {
            tracing::error!(%error, "the session's opening is not taken");
        }
    }

    fn said(&mut self, peer: &str, signal: &str, answers: &mpsc::Sender<Answered>, outbox: &mut Vec<String>) {
        let mut nonce = Challenge::default();
        if let Err(error) = getrandom::fill(&mut nonce.0) {
            return tracing::error!(%error, "no random numbers, so nobody is let in");
        }
        self.meet(peer, meeting::Input::Said { signal, nonce }, answers, outbox);
    }

    fn meet(
        &mut self,
        peer: &str,
        input: meeting::Input<'_>,
        answers: &mpsc::Sender<Answered>,
        outbox: &mut Vec<String>,
    ) {
        self.meetings.handle(peer, input);
        while let Some(output) = self.meetings.poll() {
            match output {
                meeting::Output::Tell { peer, signal } => outbox.push(envelope(&peer, &signal)),
                meeting::Output::Vouched { statement } => {
                    self.desk.handle(Input::OwnStatement { signed: statement });
                }
                meeting::Output::MakeAnswer { peer, path, guest, sdp, vouched } => {
                    let Some(reach) = self.reach.get(usize::from(path)).copied() else { continue };
                    let desk = self.desk.clone();
                    let answers = answers.clone();
                    tokio::spawn(async move {
                        let answer = console::answer(desk, reach, path, guest, sdp, vouched).await;
                        let answer =
                            answer.inspect_err(|error| tracing::warn!(%error, "no answer to a console"));
                        let _ = answers.send((peer, path, answer.ok())).await; // fails only when the edge box ends
                    });
                }
            }
        }
    }

    async fn opening(&mut self, text: &str) -> Result<(), NotOpened> {
        let bytes = signal::decode("opening", text).map_err(|_| NotOpened::Encoding)?;
        let evidence = OpeningEvidence::read(&bytes)?;
        let opening = verify_opening(&evidence, &self.trust)?;
        if let Some(open) = &self.open {
            return if open.hash() == opening.hash() { Ok(()) } else { Err(NotOpened::AlreadyOpen) };
        }
        is_ours("edge box", opening.edge(), self.edge)?;
        is_ours("kit", opening.kit(), self.kit)?;
        let record = self.archive.open(opening.session()).await?;
        self.desk.first_frame.store(record.next_frame().0, Relaxed);
        let input = Input::Opened { opening: Box::new(opening.clone()), evidence: bytes.into() };
        self.desk.open(record.recorder(), input);
        let _ = self.opened.send(record).await; // fails only when the edge box ends
        tracing::info!(session = %opening.session(), "the session is open");
        self.meetings.open(opening.clone());
        self.open = Some(opening);
        Ok(())
    }
}

fn is_ours(what: &'static str, seen: PublicKey, expected: PublicKey) -> Result<(), NotOpened> {
    if seen == expected { Ok(()) } else { Err(NotOpened::OtherDevice { what, seen, expected }) }
}

/// The signal as it was made, in its envelope.
fn envelope(peer: &str, signal: &str) -> String {
    format!(r#"{{"peer":{},"signal":{signal}}}"#, json!(peer))
}

fn name_of(bundle: &Path) -> String {
    bundle.file_name().unwrap_or(bundle.as_os_str()).to_string_lossy().into_owned()
}
