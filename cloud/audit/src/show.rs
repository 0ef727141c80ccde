//! What a bundle says, leaf by leaf, in words. **Nothing is checked here**, signatures of statements apart.

use std::path::Path;

use farhand_bundle::{Content, Passed, Unreadable};
use farhand_ledger::{
    Cbor, DisplayReport, Entry, Event, Hash, KitSegment, OpeningEvidence, Outcome, Segment, SurgeonSegment,
    Transaction, TransactionProof, What, verify::Leaf,
};
use farhand_wire::{Command, KitNotice, KitState, Mode, PublicKey, Said, Statement};
use serde::Serialize;

use crate::{
    audit::open,
    report::short,
    time::{duration, rfc3339, with_uncertainty},
};

/// One leaf.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub leaf: u64,
    pub utc: String,
    pub kind: &'static str,
    /// The key that signed it, where one did.
    pub by: Option<String>,
    pub what: String,
    /// Whether it is one of many: commands, frames and what is sent many times a second.
    pub stream: bool,
}

/// Shows every leaf of the bundle at `path` to `see`, in order, until it says no.
pub fn lines(path: &Path, mut see: impl FnMut(Line) -> bool) -> Result<(), Unreadable> {
    let reader = open(path)?;
    for (number, content) in (0..).zip(reader.contents()) {
        if !see(line(number, &content?)) {
            break;
        }
    }
    Ok(())
}

/// A kind, who said it, and what; and whether it is one of many.
type Described = (&'static str, Option<PublicKey>, String, bool);

fn line(leaf: u64, content: &Content) -> Line {
    let described = match &content.leaf {
        Leaf::Redacted(hash) => redacted(*hash),
        Leaf::Whole(bytes) => match Entry::read(bytes) {
            Ok(entry) => describe(&entry.what, content.unit.as_ref().map(Vec::len)),
            Err(error) => ("unreadable", None, error.to_string(), false),
        },
    };
    described_line(leaf, content.utc_us, described)
}

/// The line of a leaf that the verifier has passed, unless it is one of many.
pub(crate) fn line_of(passed: &Passed<'_>) -> Option<Line> {
    let described = match (passed.redacted, passed.entry.map(|entry| &entry.what)) {
        (Some(hash), _) => redacted(hash),
        (None, None) => ("unreadable", None, "see what the verifier found".to_owned(), false),
        // Nobody needs words for these, of which there are thousands.
        (None, Some(What::Command { .. } | What::KitState { .. } | What::Frame(_))) => return None,
        (None, Some(What::SurgeonSegment { .. } | What::KitSegment { .. } | What::DisplayReport { .. })) => {
            return None;
        }
        (None, Some(what)) => describe(what, None),
    };
    Some(described_line(passed.number, passed.utc_us, described)).filter(|line| !line.stream)
}

fn described_line(leaf: u64, utc_us: u64, (kind, by, what, stream): Described) -> Line {
    Line { leaf, utc: rfc3339(utc_us), kind, by: by.map(|key| key.to_string()), what, stream }
}

fn redacted(hash: Hash) -> Described {
    ("redacted", None, format!("leaves its hash, {hash}"), false)
}

fn describe(what: &What, unit_bytes: Option<usize>) -> Described {
    let event = |kind, what: String| (kind, None, what, false);
    let stream = |kind, by, what: String| (kind, by, what, true);
    match what {
        What::Opened { evidence } => opened(evidence),
        What::Command { frame } => stream("command", None, command(frame)),
        What::SurgeonSegment { signed } => surgeon_segment(signed),
        What::KitSegment { signed } => kit_segment(signed),
        What::DisplayReport { signed } => display_report(signed),
        What::Statement { signed } => statement(signed),
        What::KitState { sealed } => stream("kit state", None, kit_state(sealed)),
        What::Frame(frame) => {
            let picture = unit_bytes.map_or("picture left out".to_owned(), |bytes| format!("{bytes} bytes"));
            let key = if frame.key_frame { ", key frame" } else { "" };
            stream("frame", None, format!("{}: {picture}{key}", frame.frame.0))
        }
        What::Overlay { frame, model, .. } => {
            stream("overlay", None, format!("on frame {}, by model {model}", frame.0))
        }
        What::Engagement { token, engagement, first, .. } => {
            event("engagement", format!("{} under token {}, from command {}", engagement.0, token.0, first.0))
        }
        What::Region { version, snapshot } => {
            event("region", format!("version {version}, {} bytes", snapshot.len()))
        }
        What::Switch { what, on, reason } => {
            event("switch", format!("{what} {}: {reason}", if *on { "on" } else { "off" }))
        }
        What::Gap(gap) => {
            event("gap", format!("{:?} {} to {} are missing: {}", gap.of, gap.first, gap.last, gap.reason))
        }
        What::Clock { utc, source, offset_us } => (
            "clock",
            None,
            format!("{}, held by {source}, off by {offset_us} µs", with_uncertainty(*utc)),
            true,
        ),
        What::Proof { proof } => proven(proof),
        What::Personal { commitment } => event("personal", commitment.to_string()),
        What::Restarted { reason } => event("restarted", reason.clone()),
        What::Closed(closing) => event("closed", closing.reason.clone()),
    }
}

fn opened(evidence: &[u8]) -> Described {
    let transaction = OpeningEvidence::read(evidence)
        .map_err(|error| error.to_string())
        .and_then(|evidence| Transaction::open(&evidence.opening.transaction).map_err(|e| e.to_string()));
    match transaction {
        Ok(opening) => ("opened", Some(opening.author), opening.transaction.event.name().to_owned(), false),
        Err(error) => ("opened", None, error, false),
    }
}

fn proven(proof: &[u8]) -> Described {
    let transaction = TransactionProof::read(proof)
        .map_err(|error| error.to_string())
        .and_then(|proof| Transaction::open(&proof.transaction).map_err(|e| e.to_string()));
    match transaction {
        Ok(one) => {
            let what = match &one.transaction.event {
                Event::RosterAdded(added) => format!("{} joined", added.member.pseudonym),
                event => event.name().to_owned(),
            };
            ("proof", Some(one.author), what, false)
        }
        Err(error) => ("proof", None, error, false),
    }
}

fn command(frame: &[u8]) -> String {
    Command::read(frame).map_or_else(
        |error| error.to_string(),
        |command| {
            let held = if command.dead_man { "held" } else { "released" };
            let place = command.target.position_m.map(|metres| format!("{:.1}", metres * 1000.0)).join(" ");
            format!(
                "{} under token {}: dead-man {held}, target {place} mm, having seen {}",
                command.sequence.0,
                command.token.0,
                seen(&command)
            )
        },
    )
}

fn seen(command: &Command) -> String {
    let age =
        command.frame_age_us.map_or("of unknown age".to_owned(), |us| format!("{} old", duration(us.into())));
    match command.frame_seen.0 {
        0 => "no picture".to_owned(),
        frame => format!("frame {frame}, {age}"),
    }
}

fn kit_state(sealed: &[u8]) -> String {
    KitState::read(sealed).map_or_else(
        |error| error.to_string(),
        |state| {
            let KitState { tick, arm, mode, verdicts, .. } = state;
            let arm = if arm.arms > 1 { format!("arm {}, ", arm.number) } else { String::new() };
            format!("tick {} µs, {arm}{mode:?}, {} verdicts", tick.0, verdicts.len())
        },
    )
}

fn surgeon_segment(signed: &[u8]) -> Described {
    segment("surgeon's list", SurgeonSegment::open(signed), |segment| {
        format!("{} commands under token {}", segment.sent.len(), segment.token.0)
    })
}

fn kit_segment(signed: &[u8]) -> Described {
    segment("kit's list", KitSegment::open(signed), |segment| {
        let taken_in = segment.verdicts.iter().filter(|one| one.outcome == Outcome::TakenIn).count();
        let refused = segment.verdicts.len() - taken_in;
        format!("{taken_in} commands applied, {refused} rejected under token {}", segment.token.0)
    })
}

fn display_report(signed: &[u8]) -> Described {
    segment("display report", DisplayReport::open(signed), |report| {
        let (first, last) = (report.shown.first(), report.shown.last());
        let frames = first.zip(last).map(|(first, last)| format!(", from {} to {}", first.frame, last.frame));
        format!("{} frames shown{}", report.shown.len(), frames.unwrap_or_default())
    })
}

fn segment<S, E: std::fmt::Display>(
    kind: &'static str,
    opened: Result<(PublicKey, S), E>,
    words: impl FnOnce(&S) -> String,
) -> Described {
    match opened {
        Ok((author, segment)) => (kind, Some(author), words(&segment), true),
        Err(error) => (kind, None, error.to_string(), true),
    }
}

fn statement(signed: &[u8]) -> Described {
    match Statement::open(signed) {
        Ok((author, statement)) => {
            let notice = matches!(statement.said, Said::Notice { .. });
            ("statement", Some(author), said(&statement.said), notice)
        }
        Err(error) => ("statement", None, error.to_string(), false),
    }
}

fn said(said: &Said) -> String {
    match said {
        Said::Endorse { session_key } => format!("session key {} speaks for me", short(session_key)),
        Said::Fingerprint { .. } => "fingerprint of a connection".to_owned(),
        Said::EStop { .. } => "e-stop".to_owned(),
        Said::ClearEStop { .. } => "clears the e-stop".to_owned(),
        Said::Arm { .. } => "arms the kit".to_owned(),
        Said::Disarm {} => "disarms the kit".to_owned(),
        Said::Home { .. } => "homes the arm".to_owned(),
        Said::Withdraw { .. } => "withdraws the tool".to_owned(),
        Said::LeaseRequest { .. } => "asks for control".to_owned(),
        Said::LeaseGrant { transcript } => {
            format!("control under token {} goes to {}", transcript.token.0, short(&transcript.holder))
        }
        Said::LeaseConfirm { transcript } => format!("takes control under token {}", transcript.token.0),
        Said::HandOver { token, to } => format!("hands token {} over to {}", token.0, short(to)),
        Said::WithdrawConsent {} => "withdraws the patient's consent".to_owned(),
        Said::Forbid { version, regions, .. } => {
            format!("forbids {} regions, version {version}", regions.len())
        }
        Said::TakeOver { to, .. } => format!("gives control to {}", short(to)),
        Said::Notice { notice } => notice_words(notice),
        Said::Refused { to, why } => format!("refuses {}: {why}", short(to)),
        Said::Close {} => "closes the operation".to_owned(),
    }
}

fn notice_words(notice: &KitNotice) -> String {
    let mode = Mode::ALL.into_iter().find(|mode| *mode as u8 == notice.mode);
    let mode = mode.map_or("unknown mode".to_owned(), |mode| format!("{mode:?}"));
    let closed = if notice.closed { ", the operation is over" } else { "" };
    let reason = if notice.reason.is_empty() { String::new() } else { format!(": {}", notice.reason) };
    format!("{mode}{closed}{reason}")
}
