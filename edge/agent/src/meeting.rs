//! How consoles get in: the edge's side of `docs/signalling.md`. Pure: random bytes are arguments.
//!
//! **Invariant (global): the cloud introduces, and can't stand between.** [`Output::MakeAnswer`] names only a certificate that
//! a session key signed over a nonce of ours, used once; that session key was endorsed, for this session, by a key on the
//! roster that the ledger proves. Our answer is signed by our device key, which the same opening names, over the
//! console's nonce. So whoever swaps an SDP, a nonce or an endorsement, or replays one, is refused by one side or the other.
//!
//! **Each path is met for itself (local):** a console that speaks over two has both certificates vouched for, each over a nonce
//! of its own. What they make together is said over the channels themselves, where the cloud does not hear it.
//!
//! **Bounded (local):** at most [`MEETINGS_MAX`] paths are remembered; a peer that leaves, or whose link to us ends, is
//! forgotten, and the newest of too many pushes out the oldest that has not met us.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use farhand_ledger::VerifiedOpening;
use farhand_wire::{BadSignature, Challenge, PublicKey, Role, Said, SessionId, Statement};
use thiserror::Error;

use crate::signal::{self, BadSdp, BadSignal, Signal};

/// Paths between a console and this edge box.
pub const CONSOLE_PATHS_MAX: usize = 2;
/// Paths that are being met: those of as many peers as the server has.
pub const MEETINGS_MAX: usize = 64 * CONSOLE_PATHS_MAX;
/// No peer's name is longer, in bytes: the server's are 32 digits.
pub const PEER_NAME_BYTES_MAX: usize = 64;

/// Who is behind a session key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    pub role: Role,
    pub pseudonym: String,
    /// Signs all that this console says.
    pub session_key: PublicKey,
    /// The statement by which a key of the roster made it so, as signed.
    pub endorsement: Bytes,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A peer's signal. `nonce`: 32 fresh random bytes, in case it is greeted.
    Said { signal: &'a str, nonce: Challenge },
    /// The answer that [`Output::MakeAnswer`] asked for, candidates included.
    Answered { path: u8, sdp: &'a str },
    /// There is none.
    NotAnswered { path: u8 },
    /// The peer left its signalling channel.
    Gone,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this signal.
    Tell { peer: String, signal: String },
    /// Make a WebRTC answer to this offer, for this guest; then say [`Input::Answered`]. `vouched`: the guest's signed word
    /// for the certificate that the offer names.
    MakeAnswer { peer: String, path: u8, guest: Guest, sdp: String, vouched: Bytes },
    /// Our own signed word for our certificate went out.
    Vouched { statement: Bytes },
}

/// Why a peer is not let in. It is told code and words.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    #[error("the session is not open yet")]
    NotOpen,
    #[error(transparent)]
    Signal(#[from] BadSignal),
    #[error("that signal was not expected now")]
    OutOfTurn,
    #[error("there is no path {seen}; the paths here are {paths}, counted from 0")]
    Path { seen: u8, paths: u8 },
    #[error("the endorsement: {0}")]
    Endorsement(BadStatement),
    #[error("{role:?} has no console at the bedside")]
    Role { role: Role },
    #[error("the fingerprint: {0}")]
    Fingerprint(BadStatement),
    #[error("the certificate that was signed is not the one that the SDP names")]
    OtherCertificate,
    #[error("the nonce is not the one that was given out")]
    OtherNonce,
    #[error(transparent)]
    Sdp(#[from] BadSdp),
    #[error("the connection could not be made")]
    NoAnswer,
}

/// Why a signed statement does not serve.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BadStatement {
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error("it is for session {seen}, this is {expected}")]
    Session { seen: SessionId, expected: SessionId },
    #[error("it is not by {expected}, but by {seen}")]
    Author { seen: PublicKey, expected: PublicKey },
    #[error("{author} is not on the session's roster")]
    Stranger { author: PublicKey },
    #[error("it says something else")]
    Other,
}

impl Refusal {
    /// The code that the page knows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOpen => "not-open",
            Self::Signal(_) => "malformed",
            Self::OutOfTurn => "out-of-turn",
            Self::Path { .. } => "path",
            Self::Endorsement(_) => "endorsement",
            Self::Role { .. } => "role",
            Self::Fingerprint(_) | Self::OtherCertificate | Self::OtherNonce => "fingerprint",
            Self::Sdp(_) => "sdp",
            Self::NoAnswer => "no-answer",
        }
    }
}

/// All peers that are meeting this edge box.
#[derive(Debug)]
pub struct Meetings {
    device: SigningKey,
    paths: u8,
    opening: Option<VerifiedOpening>,
    met: BTreeMap<Way, Stage>,
    /// In order of their first hello, oldest first.
    order: VecDeque<Way>,
    outputs: VecDeque<Output>,
}

/// A peer, and which of its paths.
type Way = (String, u8);

#[derive(Clone, Debug)]
enum Stage {
    /// We said hello.
    Greeted(Greeting),
    /// An answer is being made.
    Answering(Greeting),
    /// The answer went out.
    Met,
}

#[derive(Clone, Debug)]
struct Greeting {
    guest: Guest,
    console_nonce: Challenge,
    edge_nonce: Challenge,
}

impl Meetings {
    /// Nobody is let in before [`Meetings::open`]. `paths`: how many each console may have, at most
    /// [`CONSOLE_PATHS_MAX`].
    #[must_use]
    pub fn new(device: SigningKey, paths: u8) -> Self {
        Self {
            device,
            paths,
            opening: None,
            met: BTreeMap::new(),
            order: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// From now on the roster decides.
    pub fn open(&mut self, opening: VerifiedOpening) {
        self.opening = Some(opening);
    }

    /// The cloud is not there: whoever was on the way in is not any more. Connections that stand are not touched.
    pub fn forget_all(&mut self) {
        self.met.clear();
        self.order.clear();
    }

    /// **Takes one thing that happened to one peer; then [`Meetings::poll`] until it has no more.**
    pub fn handle(&mut self, peer: &str, input: Input<'_>) {
        if peer.len() > PEER_NAME_BYTES_MAX {
            return;
        }
        let (path, outcome) = match input {
            Input::Said { signal, nonce } => match Signal::read(signal) {
                Ok(signal) => (signal.path(), self.said(peer, signal, nonce)),
                Err(error) => (0, Err(error.into())),
            },
            Input::Answered { path, sdp } => (path, self.answered((peer.to_owned(), path), sdp)),
            Input::NotAnswered { path } => (path, Err(Refusal::NoAnswer)),
            Input::Gone => return self.forget_peer(peer),
        };
        if let Err(refusal) = outcome {
            self.forget(&(peer.to_owned(), path));
            let signal =
                Signal::Error { path, code: refusal.code().to_owned(), message: refusal.to_string() };
            self.tell(peer, &signal);
        }
    }

    /// What to do next: at most two things after each input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn said(&mut self, peer: &str, signal: Signal, nonce: Challenge) -> Result<(), Refusal> {
        let (path, paths) = (signal.path(), self.paths);
        if path >= paths {
            return Err(Refusal::Path { seen: path, paths });
        }
        let way = (peer.to_owned(), path);
        match signal {
            Signal::Hello { nonce: theirs, endorsement, .. } => self.hello(way, &theirs, endorsement, nonce),
            Signal::Offer { sdp, fingerprint, .. } => self.offer(way, sdp, &fingerprint),
            // A connection that stands ends by its own means, never by a word through the cloud. What went wrong there
            // is that side's to show.
            Signal::Error { .. } => {
                self.forget(&way);
                Ok(())
            }
            Signal::Bye => {
                self.forget_peer(peer);
                Ok(())
            }
            _ => Err(Refusal::OutOfTurn),
        }
    }

    fn hello(
        &mut self,
        way: Way,
        nonce: &str,
        endorsement: Option<String>,
        edge_nonce: Challenge,
    ) -> Result<(), Refusal> {
        let opening = self.opening.as_ref().ok_or(Refusal::NotOpen)?;
        let endorsement = signal::decode("endorsement", &endorsement.unwrap_or_default())?;
        let guest = guest(opening, endorsement)?;
        let console_nonce = Challenge(signal::decode_32("nonce", nonce)?);
        let (path, nonce) = (way.1, signal::encode(&edge_nonce.0));
        let paths = (self.paths > 1).then_some(self.paths);
        self.tell(&way.0, &Signal::Hello { path, nonce, endorsement: None, paths });
        self.remember(way, Stage::Greeted(Greeting { guest, console_nonce, edge_nonce }));
        Ok(())
    }

    fn offer(&mut self, way: Way, sdp: String, vouched: &str) -> Result<(), Refusal> {
        let opening = self.opening.as_ref().ok_or(Refusal::NotOpen)?;
        let Some(Stage::Greeted(greeting)) = self.met.get(&way) else {
            return Err(Refusal::OutOfTurn);
        };
        let greeting = greeting.clone();
        let vouched = Bytes::from(signal::decode("fingerprint", vouched)?);
        check_vouched(&vouched, opening.session(), greeting.guest.session_key, greeting.edge_nonce, &sdp)?;
        let guest = greeting.guest.clone();
        let (peer, path) = way.clone();
        // Our nonce is spent: a second offer needs a new hello.
        self.met.insert(way, Stage::Answering(greeting));
        self.outputs.push_back(Output::MakeAnswer { peer, path, guest, sdp, vouched });
        Ok(())
    }

    fn answered(&mut self, way: Way, sdp: &str) -> Result<(), Refusal> {
        let Some(Stage::Answering(greeting)) = self.met.get(&way) else {
            return Ok(()); // left meanwhile
        };
        let opening = self.opening.as_ref().ok_or(Refusal::NotOpen)?;
        let said =
            Said::Fingerprint { dtls_sha256: signal::fingerprint(sdp)?, nonce: greeting.console_nonce };
        let statement = Bytes::from(Statement { session: opening.session(), said }.sign(&self.device));
        let fingerprint = signal::encode(&statement);
        self.outputs.push_back(Output::Vouched { statement });
        self.tell(&way.0, &Signal::Answer { path: way.1, sdp: sdp.to_owned(), fingerprint });
        self.met.insert(way, Stage::Met);
        Ok(())
    }

    fn remember(&mut self, way: Way, stage: Stage) {
        if self.met.insert(way.clone(), stage).is_none() {
            self.order.push_back(way);
        }
        while self.order.len() > MEETINGS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.met.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, way: &Way) {
        if self.met.remove(way).is_some() {
            self.order.retain(|other| other != way);
        }
    }

    fn forget_peer(&mut self, peer: &str) {
        self.met.retain(|(other, _), _| other != peer);
        self.order.retain(|(other, _)| other != peer);
    }

    fn tell(&mut self, peer: &str, signal: &Signal) {
        self.outputs.push_back(Output::Tell { peer: peer.to_owned(), signal: signal.to_text() });
    }
}

/// Whom the endorsement speaks for.
fn guest(opening: &VerifiedOpening, endorsement: Vec<u8>) -> Result<Guest, Refusal> {
    let (author, said) = statement(&endorsement, opening.session()).map_err(Refusal::Endorsement)?;
    let Said::Endorse { session_key } = said else {
        return Err(Refusal::Endorsement(BadStatement::Other));
    };
    let member = opening.member(author).ok_or(Refusal::Endorsement(BadStatement::Stranger { author }))?;
    match member.role {
        Role::Surgeon | Role::Bedside | Role::Field => Ok(Guest {
            role: member.role,
            pseudonym: member.pseudonym.clone(),
            session_key,
            endorsement: endorsement.into(),
        }),
        role => Err(Refusal::Role { role }),
    }
}

/// That `author` signed, over this `nonce`, the certificate that `sdp` names.
pub(crate) fn check_vouched(
    vouched: &[u8],
    session: SessionId,
    expected: PublicKey,
    nonce: Challenge,
    sdp: &str,
) -> Result<(), Refusal> {
    let (author, said) = statement(vouched, session).map_err(Refusal::Fingerprint)?;
    if author != expected {
        return Err(Refusal::Fingerprint(BadStatement::Author { seen: author, expected }));
    }
    let Said::Fingerprint { dtls_sha256, nonce: signed } = said else {
        return Err(Refusal::Fingerprint(BadStatement::Other));
    };
    if signed != nonce {
        return Err(Refusal::OtherNonce);
    }
    if signal::fingerprint(sdp)? == dtls_sha256 { Ok(()) } else { Err(Refusal::OtherCertificate) }
}

fn statement(bytes: &[u8], session: SessionId) -> Result<(PublicKey, Said), BadStatement> {
    let (author, statement) = Statement::open(bytes)?;
    if statement.session != session {
        return Err(BadStatement::Session { seen: statement.session, expected: session });
    }
    Ok((author, statement.said))
}

#[cfg(test)]
pub(crate) mod tests;
