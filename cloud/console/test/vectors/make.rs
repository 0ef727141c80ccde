//! Prints vectors for the console's tests as JSON of hex strings: what `farhand-wire` and `farhand-ledger` write.
//! `README.md` in this folder says how to run it.

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Cbor, Custody, CustodyStep, DisplayReport, Event, Hash, LedgerId, Link, Member, Segment, Sent, Shown,
    SurgeonSegment, Transaction, Utc,
    five_keys::{FiveKeys, Plan},
    picture::hashes,
};
use farhand_wire::{
    ArmKind, ArmNotice, ArmOf, Camera, Challenge, ClockPing, ClockPong, Command, EdgeTick, EngagementId,
    FrameId, FrameRecord, HoldNumber, Kind, KitBootId, KitNotice, KitState, KitTick, LeaseKeys, LeaseToken,
    LeaseTranscript, MacKey, Mode, OperatingState, Pose, PressId, PublicKey, Region, Rejection, Role, Said,
    Sequence, SessionId, Statement, Verdict, Watermark,
    overlay::{Class, Contour, Doubt, Overlay, Seen},
    state_flags,
};
use serde_json::{Map, Value, json};
use x25519_dalek::StaticSecret;

const SESSION: SessionId = SessionId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

fn main() {
    let which = std::env::args().nth(1).expect("wire or ledger");
    let made = if which == "wire" { wire() } else { ledger() };
    println!("{}", serde_json::to_string_pretty(&made).expect("hex strings alone"));
}

fn sha(text: &str) -> [u8; 32] {
    Hash::of(text.as_bytes()).0
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&sha(&format!("console test key {name}")))
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

fn sixteen(text: &str) -> [u8; 16] {
    *sha(text).first_chunk().expect("16 of 32 bytes")
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode(bytes))
}

fn target() -> Pose {
    Pose { position_m: [0.01, -0.02, -0.15], orientation_wxyz: [0.5, 0.5, -0.5, 0.5] }
}

fn wire() -> Value {
    let mac_key = sha("mac key");
    let mac = MacKey::new(&mac_key);
    let surgeon = key("surgeon session");
    let ours = StaticSecret::from(sha("ours"));
    let transcript = transcript(&surgeon, &ours);
    let theirs = x25519_dalek::PublicKey::from(transcript.kit_x25519.0);
    let secret = ours.diffie_hellman(&theirs);
    let keys = LeaseKeys::derive(&transcript, &secret).expect("an honest point");
    json!({
        "mac_key": hex(mac_key),
        "command": hex(command().seal(&mac)),
        "command_unknown_age": hex(unknown_age().seal(&mac)),
        "kit_state": hex(kit_state().seal(&mac)),
        "frame_record": hex(frame_record().to_bytes()),
        "camera": hex(camera(None).to_bytes()),
        "camera_carried": hex(camera(Some(2)).to_bytes()),
        "camera_stereo": hex(Camera { stereo: true, ..camera(None) }.to_bytes()),
        "overlay": hex(overlay(seen()).to_bytes()),
        "overlay_doubt": hex(overlay(Seen::Doubt(Doubt::Blurred)).to_bytes()),
        "clock_ping": hex(ClockPing { sent_us: 123_456_789_012 }.to_bytes()),
        "clock_pong": hex(ClockPong { sent_us: 123_456_789_012, edge: EdgeTick(42_000_000) }.to_bytes()),
        "watermark": hex(Watermark { token: LeaseToken(7), newest: Sequence(1 << 40), segments: 12 }.to_bytes()),
        "access_unit": hex(access_unit()),
        "picture_hash": hex(hashes(&access_unit()).picture_hash.0),
        "seed": hex(surgeon.to_bytes()),
        "author": hex(public(&surgeon).0),
        "statements": statements(&surgeon, transcript),
        "segments": segments(&surgeon),
        "lease": {
            "x25519_secret": hex(ours.to_bytes()),
            "kit_x25519": hex(transcript.kit_x25519.0),
            "secret": hex(secret.as_bytes()),
            "transcript_hash": hex(transcript.hash()),
            "console_to_kit_code": hex(keys.console_to_kit.code(&[1])),
            "kit_to_console_code": hex(keys.kit_to_console.code(&[1])),
        },
    })
}

fn command() -> Command {
    Command {
        session: SESSION,
        token: LeaseToken(7),
        sequence: Sequence(1234),
        kit_tick_echo: KitTick(98_765_432_109),
        arm: 1,
        dead_man: true,
        clutch: true,
        engagement: EngagementId(3),
        hold: HoldNumber(11),
        target: target(),
        jaw_rad: 0.25,
        frame_seen: FrameId(456),
        frame_age_us: Some(48_200),
    }
}

fn unknown_age() -> Command {
    Command {
        sequence: Sequence(1235),
        kit_tick_echo: KitTick((1 << 63) + 5),
        dead_man: false,
        clutch: false,
        jaw_rad: -0.25,
        frame_seen: FrameId(0),
        frame_age_us: None,
        ..command()
    }
}

fn kit_state() -> KitState {
    let verdict = |sequence, rejection| Verdict { sequence: Sequence(sequence), rejection };
    let stale = Rejection::StalePicture { age_ms: 420.4, max_ms: 400.0 };
    let released = Rejection::from_parts(17, 0.0, 1.0).expect("not released");
    KitState {
        session: SESSION,
        token: LeaseToken(7),
        tick: KitTick(98_765_440_000),
        arm: ArmOf { number: 1, arms: 3 },
        mode: Mode::Holding,
        operating_state: OperatingState::Enabled,
        flags: state_flags::HOMED | state_flags::ARMED | state_flags::LEASED,
        engagement: EngagementId(3),
        hold: HoldNumber(11),
        newest: Sequence(1234),
        applied: 900,
        rejected: 12,
        unauthentic: 4,
        newest_frame: FrameId(457),
        setpoint: target(),
        measured: Pose { position_m: [0.011, -0.021, -0.149], orientation_wxyz: [1.0, 0.0, 0.0, 0.0] },
        jaw_rad: 0.3,
        speed_limit_mm_s: 200.0,
        command_age_ms: 21.5,
        picture_age_ms: 61.25,
        lag_mm: 0.75,
        reason: Some(stale),
        verdicts: [verdict(1230, None), verdict(1231, Some(stale)), verdict(1232, Some(released))]
            .into_iter()
            .collect(),
    }
}

fn frame_record() -> FrameRecord {
    FrameRecord {
        frame: FrameId(457),
        rtp_timestamp: 4_294_967_000,
        captured: EdgeTick(1_234_567_890),
        key_frame: true,
        au_hash: sha("au"),
        picture_hash: sha("picture"),
    }
}

fn camera(arm: Option<u8>) -> Camera {
    Camera { arm, parent_from_camera: target(), fov_y_rad: 0.75, stereo: false }
}

fn overlay(seen: Seen) -> Overlay {
    Overlay { rtp_timestamp: 4_294_967_000, captured: EdgeTick(5_000_000_123), seen }
}

fn seen() -> Seen {
    let contour = |class, points: &[[u16; 2]]| Contour { class, points: points.to_vec() };
    Seen::Contours(vec![
        contour(Class::Shaft, &[[0, 0], [65_535, 1], [32_768, 65_535]]),
        contour(Class::Vessel, &[[7, 8], [9, 10]]),
    ])
}

/// Delimiter, parameter sets, filler, two slices; start codes of both lengths, zero bytes at an end.
fn access_unit() -> Vec<u8> {
    [
        &[0, 0, 0, 1, 9, 16][..],
        &[0, 0, 0, 1, 0x67, 66, 0, 31, 1],
        &[0, 0, 1, 0x68, 0xce, 6],
        &[0, 0, 1, 12, 0xff, 0x80],
        &[0, 0, 0, 1, 0x65, 0x88, 0x84, 0, 3, 0, 0, 0],
        &[0, 0, 1, 0x41, 0x9a, 2, 0, 0, 3, 1, 7, 0],
    ]
    .concat()
}

fn transcript(surgeon: &SigningKey, ours: &StaticSecret) -> LeaseTranscript {
    let x25519 = |secret: &StaticSecret| PublicKey(x25519_dalek::PublicKey::from(secret).to_bytes());
    LeaseTranscript {
        session: SESSION,
        token: LeaseToken(7),
        boot: KitBootId(sixteen("boot")),
        holder: public(surgeon),
        kit: public(&key("kit")),
        holder_x25519: x25519(ours),
        kit_x25519: x25519(&StaticSecret::from(sha("theirs"))),
    }
}

fn statements(surgeon: &SigningKey, transcript: LeaseTranscript) -> Value {
    let (challenge, press) = (Challenge(sha("challenge")), PressId(sixteen("press")));
    let other = public(&key("other"));
    let why = "the arm is not armed: two people sign, one of them at the bedside".to_owned();
    let said = [
        ("endorse", Said::Endorse { session_key: public(surgeon) }),
        ("fingerprint", Said::Fingerprint { dtls_sha256: sha("dtls"), nonce: Challenge(sha("nonce")) }),
        ("e-stop", Said::EStop { press }),
        ("clear-e-stop", Said::ClearEStop { challenge }),
        ("arm", Said::Arm { challenge }),
        ("disarm", Said::Disarm {}),
        ("home", Said::Home { challenge }),
        ("withdraw", Said::Withdraw { challenge }),
        ("lease-request", Said::LeaseRequest { challenge, x25519: transcript.holder_x25519 }),
        ("lease-grant", Said::LeaseGrant { transcript }),
        ("lease-confirm", Said::LeaseConfirm { transcript }),
        ("hand-over", Said::HandOver { token: LeaseToken(7), to: other }),
        ("take-over", Said::TakeOver { challenge, to: other }),
        ("notice", Said::Notice { notice: notice(surgeon, challenge, press) }),
        ("notice, nobody holds control", Said::Notice { notice: lonely(challenge) }),
        ("refused", Said::Refused { to: public(surgeon), why }),
        ("close", Said::Close {}),
        ("withdraw-consent", Said::WithdrawConsent {}),
        ("forbid", Said::Forbid { challenge, version: 3, regions: regions() }),
    ];
    let signed = |said| hex(Statement { session: SESSION, said }.sign(surgeon));
    said.into_iter().map(|(name, said)| (name.to_owned(), signed(said))).collect::<Map<_, _>>().into()
}

fn regions() -> Vec<Region> {
    vec![
        Region::Capsule { from_um: [1_000, -2_000, -120_000], to_um: [0; 3], radius_um: 5_000 },
        Region::HalfSpace { point_um: [0, 0, -150_000], outward_millionths: [0, 0, 1_000_000] },
        Region::Block {
            centre_um: [0, 7_000, -100_000],
            orientation_wxyz_millionths: [800_000, 600_000, 0, 0],
            half_um: [10_000, 20_000, 5_000],
        },
    ]
}

fn notice(surgeon: &SigningKey, challenge: Challenge, press: PressId) -> KitNotice {
    KitNotice {
        boot: KitBootId(sixteen("boot")),
        tick: KitTick(98_765_440_000),
        challenge,
        mode: 5,
        operating_state: 3,
        flags: state_flags::E_STOP | state_flags::HOMED,
        arms: vec![
            arm("PSM1", ArmKind::Instrument, 0),
            arm("PSM2", ArmKind::Instrument, 110_000),
            arm("ECM", ArmKind::Endoscope, -55_000),
        ],
        token: LeaseToken(7),
        holder: Some(public(surgeon)),
        signed_by: vec![public(&key("bedside"))],
        presses: vec![press],
        reason: "e-stop is latched by 1 presses, 0 allowed".to_owned(),
        closed: false,
        regions: Some(3),
    }
}

fn arm(name: &str, kind: ArmKind, x_um: i32) -> ArmNotice {
    let (position_um, orientation_wxyz_millionths) = ([x_um, -30_000, 20_000], [800_000, 0, -600_000, 0]);
    ArmNotice { name: name.to_owned(), kind, position_um, orientation_wxyz_millionths }
}

fn lonely(challenge: Challenge) -> KitNotice {
    KitNotice {
        boot: KitBootId(sixteen("boot")),
        tick: KitTick((1 << 53) + 1),
        challenge,
        mode: 3,
        operating_state: 0,
        flags: 0,
        arms: vec![arm("PSM1", ArmKind::Instrument, 0)],
        token: LeaseToken(0),
        holder: None,
        signed_by: Vec::new(),
        presses: Vec::new(),
        reason: String::new(),
        closed: true,
        regions: None,
    }
}

fn segments(surgeon: &SigningKey) -> Value {
    let first = Link { session: SESSION, number: 1, previous: Hash::ZERO };
    let sent = |sequence: u64| Sent {
        sequence: Sequence(sequence),
        hash: Hash(sha(&format!("command {sequence}"))),
    };
    let one = SurgeonSegment { link: first, token: LeaseToken(7), sent: (1..=3).map(sent).collect() };
    let one_signed = one.sign(surgeon).expect("three items");
    let link = Link { session: SESSION, number: 2, previous: Hash::of(&one_signed) };
    let two = SurgeonSegment { link, token: LeaseToken(8), sent: vec![sent(1 << 33)] };
    let shown = Shown {
        frame: FrameId(457),
        picture_hash: Hash(sha("picture")),
        shown_us: 5_000_000,
        glass_to_glass_us: 61_250,
    };
    let report = DisplayReport { link: first, shown: vec![shown, Shown { frame: FrameId(458), ..shown }] };
    json!({
        "surgeon_first": hex(Kind::SurgeonSegment.wrap(&one_signed)),
        "surgeon_second": hex(Kind::SurgeonSegment.wrap(&two.sign(surgeon).expect("one item"))),
        "display": hex(Kind::DisplayReport.wrap(&report.sign(surgeon).expect("two items"))),
    })
}

fn ledger() -> Value {
    let mut five = FiveKeys::new(sha("five keys"));
    let session = SessionId(sixteen("session"));
    let member = |name: &str, role| Member { key: public(&key(name)), role, pseudonym: format!("{name}-1") };
    let roster = vec![
        member("surgeon", Role::Surgeon),
        member("bedside", Role::Bedside),
        member("field", Role::Field),
    ];
    let (kit, field) = (key("kit"), key("field"));
    let at = Utc { us: 1_700_000_000_000_000, uncertainty_us: 2000 };
    let plan = Plan {
        session,
        roster,
        edge: public(&key("edge")),
        kit: &kit,
        field: &field,
        limits_digest: Hash(sha("limits")),
        arm_digest: Hash(sha("arm")),
        at,
    };
    let evidence = five.open(plan).expect("all within bounds");
    let trust = five.trust();
    json!({
        "trust_root": hex(trust.to_bytes()),
        "fingerprint": hex(trust.fingerprint().0),
        "opening": hex(evidence.to_bytes()),
        "session": hex(session.0),
        "edge": hex(public(&key("edge")).0),
        "kit": hex(public(&kit).0),
        "surgeon": hex(public(&key("surgeon")).0),
        "custody": evidence.custody.iter().map(|proof| hex(proof.to_bytes())).collect::<Vec<_>>(),
        "seeds": seeds(),
        "field_session_seed": hex(key("field session").to_bytes()),
        "transactions": transactions(trust.ledger(), &evidence.custody),
    })
}

fn seeds() -> Value {
    let names = ["surgeon", "bedside", "field", "edge", "kit"];
    names.map(|name| (name.to_owned(), hex(key(name).to_bytes()))).into_iter().collect::<Map<_, _>>().into()
}

/// What a field team signs, with the step before that each names; and one that is something else.
fn transactions(ledger: LedgerId, custody: &[farhand_ledger::TransactionProof]) -> Value {
    let signer = key("field session");
    let at = Utc { us: 1_700_000_000_000_000, uncertainty_us: 50_000 };
    let step = |sequence: u64, step| {
        let previous = Hash::of(&custody[sequence as usize - 2].transaction);
        let custody = Custody { kit: public(&key("kit")), sequence, step, previous };
        Transaction { ledger, at, event: Event::Custody(custody) }
    };
    let both = |transaction: Transaction| json!({ "body": hex(transaction.to_bytes()), "signed": hex(transaction.sign(&signer).expect("within bounds")) });
    let consent = farhand_ledger::Consent { session: SESSION, commitment: Hash(sha("consent")), given: true };
    json!({
        "loaded": both(step(2, CustodyStep::Loaded)),
        "unsealed": both(step(5, CustodyStep::Unsealed)),
        "consent": both(Transaction { ledger, at, event: Event::Consent(consent) }),
    })
}
