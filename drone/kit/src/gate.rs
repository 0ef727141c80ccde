//! The gate: everything that comes from the edge box is checked here, on the receiving thread, before the loop sees it.
//!
//! **Nothing passes that is not authentic.** Malformed, unauthentic and unauthorised messages are counted; what the
//! loop gets is fixed in size and typed. The gate also keeps the secrets: the device key, and the keys of the lease.

use std::fmt;

use ed25519_dalek::SigningKey;
use farhand_guard::{Response, Said, Verifier};
use farhand_ledger::{Cbor, OpeningEvidence, TrustRoot, VerifiedOpening, verify_opening};
use farhand_wire::{
    FrameMark, Kind, KitBootId, KitNotice, KitState, KitTick, LeaseKeys, LeaseToken, LeaseTranscript, MacKey,
    Malformed, PublicKey, SessionId, Statement,
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x25519_dalek::{PublicKey as Point, StaticSecret};

use crate::{FromCore, Snapshot, ToCore};

/// A notice goes out when something changed, and at least once in so many µs.
const NOTICE_US: u64 = 250_000;

/// What the gate answers to an input.
#[derive(Debug)]
pub enum FromGate {
    /// To the loop.
    Core(ToCore),
    /// To the edge box, unreliably: the newest counts.
    Datagram(Vec<u8>),
    /// To the edge box, reliably and in order.
    Reliable(Vec<u8>),
    /// Store this token durably, then say so with [`Gate::token_stored`].
    Store(LeaseToken),
}

/// Who the kit is, and whom it trusts.
pub struct Identity {
    pub key: SigningKey,
    pub boot: KitBootId,
    pub trust: TrustRoot,
    /// SHA-256 of the limits and of the arm's file, which an opening must name.
    pub limits_digest: [u8; 32],
    pub arm_digest: [u8; 32],
    /// Secret, new at each start: the lease's ephemeral keys come from it.
    pub seed: [u8; 32],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("boot", &self.boot).finish_non_exhaustive()
    }
}

/// Why a message went no further.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum GateError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Unauthentic(#[from] farhand_wire::Unauthentic),
    #[error(transparent)]
    NotAuthorised(#[from] farhand_guard::NotAuthorised),
    #[error("no session is open yet")]
    NoSession,
    #[error("session {open} is open already")]
    AlreadyOpen { open: SessionId },
    #[error("the opening does not hold: {why}")]
    Opening { why: String },
    #[error("the opening names other {what} than this kit runs with")]
    OtherDigest { what: &'static str },
    #[error("the opening is for another kit, {kit}")]
    OtherKit { kit: PublicKey },
    #[error("the lease transcript is not the one that was granted")]
    OtherTranscript,
}

/// A lease on its way: asked for, stored, granted.
struct Handshake {
    holder: PublicKey,
    holder_x25519: PublicKey,
    granted: Option<(LeaseTranscript, LeaseKeys)>,
}

/// The gate's state.
pub struct Gate {
    identity: Identity,
    verifier: Option<Verifier>,
    handshake: Option<Handshake>,
    /// Newest request of anybody, until the loop has answered it.
    requested: Option<(PublicKey, PublicKey)>,
    kit_to_console: MacKey,
    ephemeral_count: u64,
    unauthentic: u64,
    noticed: Option<(KitTick, KitNotice)>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("identity", &self.identity)
            .field("unauthentic", &self.unauthentic)
            .finish()
    }
}

impl Gate {
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            verifier: None,
            handshake: None,
            requested: None,
            // Until a lease begins the states' code is under a key that everybody knows, and proves nothing.
            kit_to_console: MacKey::new(&[0; 32]),
            ephemeral_count: 0,
            unauthentic: 0,
            noticed: None,
        }
    }

    /// Opens a session for which opening, consent and custody are proven against the pinned trust root. Once a run.
    pub fn open(&mut self, evidence: &[u8]) -> Result<SessionId, GateError> {
        if let Some(verifier) = &self.verifier {
            return Err(GateError::AlreadyOpen { open: verifier.session() });
        }
        let evidence =
            OpeningEvidence::read(evidence).map_err(|why| GateError::Opening { why: why.to_string() })?;
        let opening = verify_opening(&evidence, &self.identity.trust)
            .map_err(|why| GateError::Opening { why: why.to_string() })?;
        self.is_for_us(&opening)?;
        self.verifier = Some(Verifier::new(&opening, self.identity.boot));
        Ok(opening.session())
    }

    fn is_for_us(&self, opening: &VerifiedOpening) -> Result<(), GateError> {
        let kit = PublicKey(self.identity.key.verifying_key().to_bytes());
        if opening.kit() != kit {
            return Err(GateError::OtherKit { kit: opening.kit() });
        }
        if opening.limits_digest().0 != self.identity.limits_digest {
            return Err(GateError::OtherDigest { what: "limits" });
        }
        if opening.arm_digest().0 != self.identity.arm_digest {
            return Err(GateError::OtherDigest { what: "arm" });
        }
        Ok(())
    }

    /// Takes one message from the edge box. An error is counted, and changes nothing.
    pub fn take(&mut self, bytes: &[u8], mut out: impl FnMut(FromGate)) -> Result<(), GateError> {
        self.admit(bytes, &mut out).inspect_err(|_| self.unauthentic += 1)
    }

    fn admit(&mut self, bytes: &[u8], out: &mut impl FnMut(FromGate)) -> Result<(), GateError> {
        match Kind::of(bytes)? {
            Kind::Opening => self.open(Kind::Opening.content(bytes)?).map(|_| ()),
            Kind::Command => {
                let verifier = self.verifier.as_ref().ok_or(GateError::NoSession)?;
                out(FromGate::Core(ToCore::Command(verifier.command(bytes)?)));
                Ok(())
            }
            Kind::FrameMark => {
                out(FromGate::Core(ToCore::Frame(FrameMark::read(bytes)?)));
                Ok(())
            }
            Kind::Signed => self.statement(bytes, out),
            other => Err(Malformed::Kind { kind: other as u8 }.into()),
        }
    }

    fn statement(&mut self, bytes: &[u8], out: &mut impl FnMut(FromGate)) -> Result<(), GateError> {
        let verifier = self.verifier.as_mut().ok_or(GateError::NoSession)?;
        let Some(order) = verifier.statement(bytes)? else { return Ok(()) };
        match *order.said() {
            Said::LeaseRequest { x25519, .. } => self.requested = Some((order.author(), x25519)),
            Said::LeaseConfirm { transcript, .. } => self.is_granted(transcript)?,
            _ => {}
        }
        out(FromGate::Core(ToCore::Order(order)));
        Ok(())
    }

    fn is_granted(&self, hash: [u8; 32]) -> Result<(), GateError> {
        let granted = self.handshake.as_ref().and_then(|handshake| handshake.granted.as_ref());
        match granted {
            Some((transcript, _)) if transcript.hash() == hash => Ok(()),
            _ => Err(GateError::OtherTranscript),
        }
    }

    /// The store has the token for good.
    pub fn token_stored(&mut self, token: LeaseToken, mut out: impl FnMut(FromGate)) {
        out(FromGate::Core(ToCore::TokenStored(token)));
    }

    /// Takes what the loop says.
    pub fn from_core(&mut self, said: FromCore, mut out: impl FnMut(FromGate)) {
        match said {
            FromCore::Response(response) => self.respond(response, &mut out),
            FromCore::Snapshot(snapshot) => self.tell(&snapshot, &mut out),
        }
    }

    fn respond(&mut self, response: Response, out: &mut impl FnMut(FromGate)) {
        match response {
            Response::StoreToken { token, to } => {
                self.handshake = self
                    .requested
                    .take_if(|(by, _)| *by == to)
                    .map(|(holder, holder_x25519)| Handshake { holder, holder_x25519, granted: None });
                out(FromGate::Store(token));
            }
            Response::Grant { token, to } => self.grant(token, to, out),
            Response::Leased { .. } => self.adopt(),
            Response::Refused { to, why } => {
                out(FromGate::Reliable(self.say(farhand_wire::Said::Refused { to, why: why.to_string() })));
            }
            Response::Nothing | Response::Verdict(_) => {}
        }
    }

    /// Grants a token that is durable, under a fresh key of ours.
    fn grant(&mut self, token: LeaseToken, to: PublicKey, out: &mut impl FnMut(FromGate)) {
        let secret = self.ephemeral();
        let session = self.session();
        let (boot, kit) = (self.identity.boot, PublicKey(self.identity.key.verifying_key().to_bytes()));
        let Some(handshake) = self.handshake.as_mut().filter(|handshake| handshake.holder == to) else {
            return;
        };
        let transcript = LeaseTranscript {
            session,
            token,
            boot,
            holder: to,
            kit,
            holder_x25519: handshake.holder_x25519,
            kit_x25519: PublicKey(Point::from(&secret).to_bytes()),
        };
        let shared = secret.diffie_hellman(&Point::from(handshake.holder_x25519.0));
        handshake.granted = LeaseKeys::derive(&transcript, &shared).map(|keys| (transcript, keys));
        if handshake.granted.is_some() {
            out(FromGate::Reliable(self.say(farhand_wire::Said::LeaseGrant { transcript })));
        }
    }

    fn adopt(&mut self) {
        if let (Some(verifier), Some(Handshake { granted: Some((_, keys)), .. })) =
            (self.verifier.as_mut(), self.handshake.take())
        {
            verifier.adopt(keys.console_to_kit);
            self.kit_to_console = keys.kit_to_console;
        }
    }

    fn ephemeral(&mut self) -> StaticSecret {
        self.ephemeral_count += 1;
        let mut hash = Sha256::new();
        hash.update(b"farhand/v1 ephemeral\0");
        hash.update(self.identity.seed);
        hash.update(self.ephemeral_count.to_le_bytes());
        StaticSecret::from(<[u8; 32]>::from(hash.finalize()))
    }

    fn session(&self) -> SessionId {
        self.verifier.as_ref().map_or(SessionId::default(), Verifier::session)
    }

    fn say(&self, said: farhand_wire::Said) -> Vec<u8> {
        Statement { session: self.session(), said }.sign(&self.identity.key)
    }

    fn tell(&mut self, snapshot: &Snapshot, out: &mut impl FnMut(FromGate)) {
        out(FromGate::Datagram(self.state(snapshot).seal(&self.kit_to_console).to_vec()));
        let notice = self.notice(snapshot);
        let due = self
            .noticed
            .as_ref()
            .is_none_or(|(told, last)| snapshot.tick.us_since(*told) >= NOTICE_US || changed(last, &notice));
        if due {
            out(FromGate::Reliable(self.say(farhand_wire::Said::Notice { notice: notice.clone() })));
            self.noticed = Some((snapshot.tick, notice));
        }
    }

    fn state(&self, snapshot: &Snapshot) -> KitState {
        let report = &snapshot.report;
        KitState {
            session: self.session(),
            token: report.token,
            tick: snapshot.tick,
            mode: report.mode,
            operating_state: report.operating_state,
            flags: report.flags,
            engagement: report.engagement,
            hold: report.hold,
            newest: report.newest,
            applied: report.applied,
            rejected: report.rejected,
            unauthentic: self.unauthentic,
            newest_frame: report.newest_frame,
            setpoint: snapshot.setpoint,
            measured: snapshot.measured,
            jaw_rad: snapshot.jaw_rad,
            speed_limit_mm_s: report.speed_limit_mm_s as f32,
            command_age_ms: report.command_age_ms as f32,
            picture_age_ms: report.picture_age_ms as f32,
            lag_mm: report.lag_mm as f32,
            reason: report.reason,
            verdicts: snapshot.verdicts.clone(),
        }
    }

    fn notice(&self, snapshot: &Snapshot) -> KitNotice {
        let report = &snapshot.report;
        let signed =
            |(number, _): &(usize, PublicKey)| report.signed_by & (1 << (*number as u32 % u32::BITS)) != 0;
        KitNotice {
            boot: self.identity.boot,
            tick: snapshot.tick,
            challenge: report.challenge,
            mode: report.mode as u8,
            operating_state: report.operating_state as u8,
            flags: report.flags & !farhand_wire::state_flags::CLAMPED,
            hold: report.hold,
            token: report.token,
            holder: report.holder,
            signed_by: self
                .verifier
                .iter()
                .flat_map(Verifier::members)
                .enumerate()
                .filter(signed)
                .map(|(_, key)| key)
                .collect(),
            presses: snapshot.presses.to_vec(),
            reason: report.reason.map_or(String::new(), |reason| reason.to_string()),
            closed: report.closed,
        }
    }

    /// Messages that went no further, since the start.
    #[must_use]
    pub fn unauthentic(&self) -> u64 {
        self.unauthentic
    }
}

/// Whether more changed than the numbers that change with every tick.
fn changed(last: &KitNotice, next: &KitNotice) -> bool {
    let same = KitNotice { tick: last.tick, reason: last.reason.clone(), ..next.clone() };
    *last != same || last.reason.is_empty() != next.reason.is_empty()
}
