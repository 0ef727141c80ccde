//! The gate: everything that comes from the edge box is checked here, on the receiving thread, before the loop sees it.
//!
//! **Nothing passes that is not authentic.** Malformed, unauthentic and unauthorised messages are counted; what the
//! loop gets is fixed in size and typed. The gate also keeps the secrets: the device key, and the keys of the lease.

use std::collections::VecDeque;
use std::fmt;

use arrayvec::ArrayVec;
use ed25519_dalek::SigningKey;
use farhand_guard::{Report, Response, Said, Verifier};
use farhand_ledger::{Cbor, Hash, OpeningEvidence, TrustRoot, VerifiedOpening, verify_opening};
use farhand_motion::{REGIONS_MAX, Region, RegionError};
use farhand_wire::{
    ArmNotice, FrameMark, Kind, KitBootId, KitNotice, KitState, KitTick, LeaseKeys, LeaseToken,
    LeaseTranscript, MacKey, Malformed, PublicKey, Rejection, SessionId, Statement, VERDICTS_MAX, Verdict,
    Watermark, region::of_millionths,
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x25519_dalek::{PublicKey as Point, StaticSecret};

use crate::{
    FromCore, NotSigned, Snapshot, Stage, ToCore,
    custody::{Asked, Custodian, message},
    journal::Journal,
};

/// A notice goes out when something changed, and at least once in so many µs.
const NOTICE_US: u64 = 250_000;
/// Verdicts that wait for a state with room; the journal has them all.
const VERDICTS_WAITING_MAX: usize = 256;

/// What the gate answers to an input.
#[derive(Debug)]
pub enum FromGate {
    /// To the loop.
    Core(ToCore),
    /// To the edge box, unreliably: the newest counts.
    Datagram(Vec<u8>),
    /// To the edge box, reliably and in order.
    Reliable(Vec<u8>),
    /// A new segment of the kit's log: onto the kit's own disk.
    Segment(Vec<u8>),
    /// Store this token durably, then say so with [`Gate::token_stored`].
    Store(LeaseToken),
    /// Store durably that this session is over: a kit that restarts must know.
    StoreClosed(SessionId),
}

/// Who the kit is, and whom it trusts.
pub struct Identity {
    pub key: SigningKey,
    pub boot: KitBootId,
    /// The edge box that this kit is paired with: its device key.
    pub edge: PublicKey,
    pub trust: TrustRoot,
    /// SHA-256 of the limits and of the arms, which an opening must name.
    pub limits_digest: [u8; 32],
    pub arm_digest: [u8; 32],
    /// What everybody is told of the arms, in their order.
    pub arms: Vec<ArmNotice>,
    /// Secret, new at each start: the lease's ephemeral keys come from it.
    pub seed: [u8; 32],
    /// What earlier runs left behind.
    pub past: Past,
}

/// What a kit remembers of earlier runs.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Sessions that were closed.
    pub closed: Vec<SessionId>,
    /// Messages with segments of its log, oldest first: an edge box may lack them.
    pub segments: Vec<Vec<u8>>,
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
    #[error("the opening is for another edge box, {edge}")]
    OtherEdge { edge: PublicKey },
    #[error("the forbidden regions are refused: {0}")]
    Region(#[from] RegionError),
    #[error("{regions} forbidden regions, limit {max}")]
    TooManyRegions { regions: usize, max: usize },
    #[error("the lease transcript is not the one that was granted")]
    OtherTranscript,
    #[error(transparent)]
    Custody(#[from] NotSigned),
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
    verdicts: VecDeque<Verdict>,
    /// The evidence that opened the session.
    opened: Option<Hash>,
    /// The edge box that is connected has shown the opening, and got what was kept.
    caught_up: bool,
    /// The operation is over, and everybody who must know was told.
    closed: bool,
    /// Nothing arms the kit again in this session, and a restart will know.
    ended: bool,
    journal: Journal,
    custodian: Custodian,
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
        let kit = PublicKey(identity.key.verifying_key().to_bytes());
        Self {
            journal: Journal::new(identity.key.clone(), identity.boot),
            custodian: Custodian::new(kit, identity.edge),
            verdicts: VecDeque::new(),
            opened: None,
            caught_up: false,
            closed: false,
            ended: false,
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

    /// Opens a session for which opening, consent and custody are proven against the pinned trust root. Once a run; the
    /// same evidence again is no error.
    pub fn open(&mut self, evidence: &[u8]) -> Result<SessionId, GateError> {
        let shown = Hash::of(evidence);
        if let Some(verifier) = &self.verifier {
            if self.opened == Some(shown) {
                return Ok(verifier.session());
            }
            return Err(GateError::AlreadyOpen { open: verifier.session() });
        }
        let evidence =
            OpeningEvidence::read(evidence).map_err(|why| GateError::Opening { why: why.to_string() })?;
        let opening = verify_opening(&evidence, &self.identity.trust)
            .map_err(|why| GateError::Opening { why: why.to_string() })?;
        self.is_for_us(&opening)?;
        self.verifier = Some(Verifier::new(&opening, self.identity.boot));
        self.journal.open(opening.session(), std::mem::take(&mut self.identity.past.segments));
        self.opened = Some(shown);
        Ok(opening.session())
    }

    fn is_for_us(&self, opening: &VerifiedOpening) -> Result<(), GateError> {
        let kit = PublicKey(self.identity.key.verifying_key().to_bytes());
        if opening.kit() != kit {
            return Err(GateError::OtherKit { kit: opening.kit() });
        }
        if opening.edge() != self.identity.edge {
            return Err(GateError::OtherEdge { edge: opening.edge() });
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
        self.admit(bytes, &mut out).inspect_err(|_| {
            self.unauthentic += 1;
            self.journal.unauthentic();
        })
    }

    fn admit(&mut self, bytes: &[u8], out: &mut impl FnMut(FromGate)) -> Result<(), GateError> {
        match Kind::of(bytes)? {
            Kind::Opening => {
                let session = self.open(Kind::Opening.content(bytes)?)?;
                if self.identity.past.closed.contains(&session) {
                    out(FromGate::Core(ToCore::Closed));
                }
                self.catch_up(out);
                Ok(())
            }
            Kind::Command => {
                let verifier = self.verifier.as_ref().ok_or(GateError::NoSession)?;
                out(FromGate::Core(ToCore::Command(verifier.command(bytes)?)));
                Ok(())
            }
            Kind::FrameMark => {
                out(FromGate::Core(ToCore::Frame(FrameMark::read(bytes)?)));
                Ok(())
            }
            Kind::Watermark => {
                out(FromGate::Core(ToCore::Watermark(Watermark::read(bytes)?)));
                Ok(())
            }
            Kind::Signed => self.statement(bytes, out),
            Kind::CustodyAsk => self.custody(Kind::CustodyAsk.content(bytes)?, out),
            other => Err(Malformed::Kind { kind: other as u8 }.into()),
        }
    }

    fn custody(&mut self, content: &[u8], out: &mut impl FnMut(FromGate)) -> Result<(), GateError> {
        let Identity { trust, key, .. } = &self.identity;
        match self.custodian.ask(content, self.verifier.is_some(), trust, key)? {
            Asked::Answer(answer) => out(FromGate::Reliable(message(&answer))),
            Asked::SelfTest => out(FromGate::Core(ToCore::SelfTest)),
        }
        Ok(())
    }

    /// The edge box has come, or come back: it gets a notice soon, and all that is kept once it has shown the opening.
    pub fn edge_connected(&mut self) {
        (self.noticed, self.caught_up) = (None, false);
    }

    /// An edge box that shows the opening can record: it gets every segment that is kept, those that it has among them.
    fn catch_up(&mut self, out: &mut impl FnMut(FromGate)) {
        if !std::mem::replace(&mut self.caught_up, true) {
            self.journal.kept().for_each(|segment| out(FromGate::Reliable(segment.clone())));
        }
    }

    /// A new segment goes onto the disk, and to an edge box that has all those before it.
    fn log(&self, segment: Option<Vec<u8>>, out: &mut impl FnMut(FromGate)) {
        let Some(segment) = segment else { return };
        if self.caught_up {
            out(FromGate::Reliable(segment.clone()));
        }
        out(FromGate::Segment(segment));
    }

    fn statement(&mut self, bytes: &[u8], out: &mut impl FnMut(FromGate)) -> Result<(), GateError> {
        let verifier = self.verifier.as_mut().ok_or(GateError::NoSession)?;
        let Some(order) = verifier.statement(bytes)? else { return Ok(()) };
        if let Said::Forbid { .. } = order.said() {
            stage(bytes)?.into_iter().for_each(|staged| out(FromGate::Core(ToCore::Region(staged))));
        }
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
            FromCore::Judged(judged) => {
                if self.verdicts.len() == VERDICTS_WAITING_MAX {
                    self.verdicts.pop_front();
                }
                self.verdicts.push_back(judged.verdict);
                let ended = self.journal.judged(&judged);
                self.log(ended, &mut out);
            }
            FromCore::Snapshot(snapshot) if snapshot.due => self.tell(&snapshot, &mut out),
            FromCore::Snapshot(_) => {}
            FromCore::SelfTest(test) => {
                let Identity { trust, key, limits_digest, arm_digest, arms, .. } = &self.identity;
                let answer = self.custodian.tested(&test, arms, (*limits_digest, *arm_digest), trust, key);
                answer.into_iter().for_each(|answer| out(FromGate::Reliable(message(&answer))));
            }
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
            Response::Nothing | Response::Verdict(_) | Response::Latched { .. } => {}
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
        let state = self.state(snapshot);
        out(FromGate::Datagram(state.seal(&self.kit_to_console).to_vec()));
        let notice = self.notice(snapshot);
        let closes = notice.closed && !std::mem::replace(&mut self.closed, notice.closed);
        let ended = snapshot.report.ended;
        if ended && !std::mem::replace(&mut self.ended, ended) {
            out(FromGate::StoreClosed(self.session()));
        }
        // Whoever hears that the operation is over has heard every verdict.
        let segment = if closes {
            self.journal.end_now(snapshot.tick)
        } else {
            self.journal.tick(snapshot.tick, snapshot.report.token)
        };
        self.log(segment, out);
        let due = self
            .noticed
            .as_ref()
            .is_none_or(|(told, last)| snapshot.tick.us_since(*told) >= NOTICE_US || changed(last, &notice));
        if due {
            out(FromGate::Reliable(self.say(farhand_wire::Said::Notice { notice: notice.clone() })));
            self.noticed = Some((snapshot.tick, notice));
        }
    }

    fn state(&mut self, snapshot: &Snapshot) -> KitState {
        let Snapshot { report, arm, .. } = snapshot;
        let waiting = self.verdicts.len().min(VERDICTS_MAX);
        let verdicts = self.verdicts.drain(..waiting).collect();
        KitState {
            session: self.session(),
            token: report.token,
            tick: snapshot.tick,
            arm: snapshot.of,
            mode: report.arm.mode,
            operating_state: report.arm.operating_state,
            flags: report.arm.flags,
            engagement: report.engagement,
            hold: report.hold,
            newest: report.newest,
            applied: report.applied,
            rejected: report.rejected,
            unauthentic: self.unauthentic,
            newest_frame: report.newest_frame,
            setpoint: arm.setpoint,
            measured: arm.measured,
            jaw_rad: arm.jaw_rad,
            speed_limit_mm_s: report.speed_limit_mm_s as f32,
            command_age_ms: report.command_age_ms as f32,
            picture_age_ms: report.picture_age_ms as f32,
            lag_mm: report.lag_mm as f32,
            reason: report.arm.reason,
            verdicts,
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
            mode: report.kit.mode as u8,
            operating_state: report.kit.operating_state as u8,
            flags: report.kit.flags,
            arms: self.identity.arms.clone(),
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
            reason: report.kit.reason.map_or(String::new(), |reason| self.in_words(report, &reason)),
            closed: report.closed,
            regions: report.regions,
        }
    }

    /// Of several arms, whose fault it is.
    fn in_words(&self, report: &Report, reason: &Rejection) -> String {
        let arms = &self.identity.arms;
        match report.faulted.and_then(|arm| arms.get(arm)).filter(|_| arms.len() > 1) {
            Some(ArmNotice { name, .. }) => format!("{name}: {reason}"),
            None => reason.to_string(),
        }
    }

    /// Segments that an edge box that comes back can't have any more.
    #[must_use]
    pub fn segments_forgotten(&self) -> u64 {
        self.journal.forgotten()
    }

    /// Messages that went no further, since the start.
    #[must_use]
    pub fn unauthentic(&self) -> u64 {
        self.unauthentic
    }
}

/// The regions of a statement that was checked, for the loop.
fn stage(bytes: &[u8]) -> Result<ArrayVec<Stage, REGIONS_MAX>, GateError> {
    let (_, statement) = Statement::open(bytes).map_err(farhand_guard::NotAuthorised::from)?;
    let farhand_wire::Said::Forbid { version, regions, .. } = statement.said else {
        return Ok(ArrayVec::new());
    };
    if regions.len() > REGIONS_MAX {
        return Err(GateError::TooManyRegions { regions: regions.len(), max: REGIONS_MAX });
    }
    let staged =
        |(number, told): (usize, &farhand_wire::Region)| Ok(Stage { version, number, region: region(told)? });
    regions.iter().enumerate().map(staged).collect()
}

fn region(told: &farhand_wire::Region) -> Result<Region, RegionError> {
    match *told {
        farhand_wire::Region::Capsule { from_um, to_um, radius_um } => {
            let [radius_m] = of_millionths([radius_um]);
            Region::capsule(of_millionths(from_um), of_millionths(to_um), radius_m)
        }
        farhand_wire::Region::HalfSpace { point_um, outward_millionths } => {
            Region::half_space(of_millionths(point_um), of_millionths(outward_millionths))
        }
        farhand_wire::Region::Block { centre_um, orientation_wxyz_millionths, half_um } => Region::block(
            of_millionths(centre_um),
            of_millionths(orientation_wxyz_millionths),
            of_millionths(half_um),
        ),
    }
}

/// Whether more changed than the numbers that change with every tick.
fn changed(last: &KitNotice, next: &KitNotice) -> bool {
    let same = KitNotice { tick: last.tick, reason: last.reason.clone(), ..next.clone() };
    *last != same || last.reason.is_empty() != next.reason.is_empty()
}
