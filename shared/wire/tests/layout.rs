//! The layouts hold: what is sealed opens, what is touched does not, and no bytes make it panic.

use ed25519_dalek::SigningKey;
use farhand_wire::*;
use proptest::prelude::*;

fn command() -> Command {
    Command {
        session: SessionId([1; 16]),
        token: LeaseToken(2),
        sequence: Sequence(3),
        kit_tick_echo: KitTick(4_000),
        arm: 0,
        dead_man: true,
        clutch: false,
        engagement: EngagementId(5),
        hold: HoldNumber(6),
        target: Pose { position_m: [0.01, -0.02, -0.1], ..Pose::default() },
        jaw_rad: 0.5,
        frame_seen: FrameId(7),
        frame_age_us: Some(30_000),
    }
}

fn state() -> KitState {
    let rejection = Some(Rejection::StalePicture { age_ms: 420.0, max_ms: 400.0 });
    let mut state =
        KitState { mode: Mode::Holding, tick: KitTick(9), reason: rejection, ..KitState::default() };
    state.verdicts.push(Verdict { sequence: Sequence(3), rejection });
    state.verdicts.push(Verdict { sequence: Sequence(4), rejection: None });
    state
}

/// Goal: a command survives the wire bit for bit, and every flipped bit of it is refused.
#[test]
fn a_command_opens_as_it_was_sealed_and_no_flipped_bit_does() {
    let key = MacKey::new(&[9; 32]);
    let sealed = command().seal(&key);
    assert_eq!(Command::open(&sealed, &key), Ok(command()));
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Command::open(&flipped, &key).is_err(), "bit {bit} flipped unnoticed");
    }
    assert_eq!(Command::open(&sealed, &MacKey::new(&[8; 32])), Err(Unauthentic::Code));
}

/// Goal: the holder of the key cannot send what is out of bounds either.
#[test]
fn a_sealed_command_out_of_bounds_is_refused() {
    let key = MacKey::new(&[9; 32]);
    let bad = [
        Command { jaw_rad: f64::NAN, ..command() },
        Command { target: Pose { position_m: [2.0, 0.0, 0.0], ..Pose::default() }, ..command() },
        Command { target: Pose { orientation_wxyz: [0.0; 4], ..Pose::default() }, ..command() },
    ];
    for command in bad {
        assert!(
            matches!(Command::open(&command.seal(&key), &key), Err(Unauthentic::Malformed(_))),
            "{command:?}"
        );
    }
}

/// Goal: rejections keep both values on their way to the console.
#[test]
fn a_kit_state_carries_its_verdicts_in_words() {
    let key = MacKey::new(&[9; 32]);
    let opened = KitState::open(&state().seal(&key), &key).unwrap();
    assert_eq!(opened, state());
    assert_eq!(opened.reason.unwrap().to_string(), "picture is 420 ms old, limit 400");
}

#[test]
fn every_rejection_has_its_own_number() {
    for rejection in Rejection::EACH {
        let (code, seen, limit) = rejection.parts();
        assert_eq!(Rejection::from_parts(code, seen, limit), Ok(*rejection));
    }
}

/// Goal: the author can say nothing that another signed, and a signature is good for one kind of thing.
#[test]
fn a_statement_opens_only_under_its_author_and_domain() {
    let key = SigningKey::from_bytes(&[5; 32]);
    let statement = Statement { session: SessionId([1; 16]), said: Said::EStop { press: PressId([2; 16]) } };
    let bytes = statement.sign(&key);
    assert_eq!(Statement::open(&bytes), Ok((PublicKey(key.verifying_key().to_bytes()), statement)));
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1;
        assert!(Statement::open(&flipped).is_err(), "byte {byte} flipped unnoticed");
    }
    let body = Signed::read(&bytes).unwrap().body;
    assert!(Statement::open(&Signed::new(b"farhand/v1 transaction\0", &key, body).to_bytes()).is_err());
}

/// Goal: the bytes that the CDDL file describes (`statement`, choice 11) are the bytes that are sent.
#[test]
fn statements_are_the_arrays_that_the_cddl_describes() {
    let statement = Statement {
        session: SessionId([1; 16]),
        said: Said::HandOver { token: LeaseToken(7), to: PublicKey([3; 32]) },
    };
    let body = Signed::read(&statement.sign(&SigningKey::from_bytes(&[5; 32]))).unwrap().body;
    let expected = [&[0x82, 0x50][..], &[1; 16], &[0x82, 11, 0x82, 7, 0x58, 32], &[3; 32]].concat();
    assert_eq!(body, expected);
}

/// Goal: both ends of a lease derive the same keys, one a direction, and a point of low order gives none.
#[test]
fn both_ends_derive_the_same_keys() {
    use x25519_dalek::{PublicKey as Point, StaticSecret};
    let (console, kit) = (StaticSecret::from([1; 32]), StaticSecret::from([2; 32]));
    let publics = [&console, &kit].map(|secret| PublicKey(Point::from(secret).to_bytes()));
    let transcript = LeaseTranscript {
        session: SessionId([1; 16]),
        token: LeaseToken(1),
        boot: KitBootId([2; 16]),
        holder: PublicKey([3; 32]),
        kit: PublicKey([4; 32]),
        holder_x25519: publics[0],
        kit_x25519: publics[1],
    };
    let at_console =
        LeaseKeys::derive(&transcript, &console.diffie_hellman(&Point::from(publics[1].0))).unwrap();
    let at_kit = LeaseKeys::derive(&transcript, &kit.diffie_hellman(&Point::from(publics[0].0))).unwrap();
    assert_eq!(at_console.console_to_kit.code(b"x"), at_kit.console_to_kit.code(b"x"));
    assert_ne!(at_kit.console_to_kit.code(b"x"), at_kit.kit_to_console.code(b"x"));
    assert!(LeaseKeys::derive(&transcript, &kit.diffie_hellman(&Point::from([0; 32]))).is_none());
}

#[test]
fn frame_messages_and_clock_messages_survive_the_wire() {
    let record = FrameRecord {
        frame: FrameId(3),
        rtp_timestamp: 90_000,
        captured: EdgeTick(5),
        key_frame: true,
        au_hash: [6; 32],
        picture_hash: [7; 32],
    };
    assert_eq!(FrameRecord::read(&record.to_bytes()), Ok(record));
    let mark = FrameMark { frame: FrameId(3), kit_tick_at_capture: KitTick(4) };
    assert_eq!(FrameMark::read(&mark.to_bytes()), Ok(mark));
    let via = PicturesVia { path: 1 };
    assert_eq!((PicturesVia::read(&via.to_bytes()), via.to_bytes()), (Ok(via), [23, 1, 1]));
    let camera = Camera { arm: None, parent_from_camera: Pose::default(), fov_y_rad: 0.75, stereo: false };
    assert_eq!(Camera::read(&camera.to_bytes()), Ok(camera));
    let carried = Camera { arm: Some(2), ..camera };
    assert_eq!(Camera::read(&carried.to_bytes()), Ok(carried));
    let of_two_eyes = Camera { stereo: true, ..camera };
    assert_eq!(Camera::read(&of_two_eyes.to_bytes()), Ok(of_two_eyes));
    let by_nobody = Camera { arm: Some(4), ..camera };
    assert!(matches!(Camera::read(&by_nobody.to_bytes()), Err(Malformed::Unknown { .. })));
    let blind = Camera { fov_y_rad: 0.0, ..camera };
    assert!(matches!(Camera::read(&blind.to_bytes()), Err(Malformed::Range { field: "fov_y_rad", .. })));
    let pong = ClockPong { sent_us: 5, edge: EdgeTick(6) };
    assert_eq!(ClockPong::read(&pong.to_bytes()), Ok(pong));
    assert!(matches!(ClockPing::read(&pong.to_bytes()), Err(Malformed::Kind { .. })));
}

/// Goal: a setpoint or an arm state that was not sealed by the other end of the cable moves and tells nothing.
#[test]
fn the_arm_s_cable_is_sealed_in_both_directions() {
    let (key, other) = (MacKey::new(&[1; 32]), MacKey::new(&[2; 32]));
    let setpoint = ArmSetpoint { number: 7, action: Action::Move, joints: [0.1; 6], jaw_rad: 0.2 };
    assert_eq!(ArmSetpoint::open(&setpoint.seal(&key), &key), Ok(setpoint));
    assert!(ArmSetpoint::open(&setpoint.seal(&other), &key).is_err());
    let state = ArmState { setpoint: 7, flags: arm_flags::HOMED, joints: [0.1; 6], jaw_rad: 0.2 };
    assert_eq!(ArmState::open(&state.seal(&key), &key), Ok(state));
}

/// Goal: what an observer is told is what the kit sealed: every flipped bit of it is refused, and so is what is out of bounds.
#[test]
fn an_observation_opens_as_it_was_sealed_and_no_flipped_bit_does() {
    let key = MacKey::new(&[1; 32]);
    let observation = Observation {
        tick: KitTick(7),
        mode: Mode::Holding,
        operating_state: OperatingState::Enabled,
        flags: state_flags::HOMED | state_flags::ARMED,
        measured_joints: [0.1; 6],
        setpoint_velocity: [0.2; 6],
        setpoint_jaw_rad: 0.3,
        ..Observation::default()
    };
    let sealed = observation.seal(&key);
    assert_eq!(Observation::open(&sealed, &key), Ok(observation));
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Observation::open(&flipped, &key).is_err(), "bit {bit} flipped unnoticed");
    }
    for bad in [
        Observation { measured_jaw_rad: f64::NAN, ..observation },
        Observation { setpoint_velocity: [1e6; 6], ..observation },
        Observation { measured: Pose { orientation_wxyz: [0.0; 4], ..Pose::default() }, ..observation },
    ] {
        assert!(
            matches!(Observation::open(&bad.seal(&key), &key), Err(Unauthentic::Malformed(_))),
            "{bad:?}"
        );
    }
}

proptest! {
    /// Goal: no bytes from outside make a parser panic.
    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), kind in 0u8..40) {
        if let [first, second, ..] = bytes.as_mut_slice() {
            (*first, *second) = (kind, VERSION);
        }
        let _ = (Kind::of(&bytes), Command::read(&bytes), KitState::read(&bytes), FrameRecord::read(&bytes));
        let _ = (Statement::open(&bytes), FrameMark::read(&bytes), Watermark::read(&bytes));
    }

    /// Goal: a layout of the right length with any content parses to something within bounds, or not at all.
    #[test]
    fn what_parses_is_within_bounds(content in proptest::collection::vec(any::<u8>(), COMMAND_BYTES - 2)) {
        let bytes = [&[Kind::Command as u8, VERSION][..], &content].concat();
        if let Ok(command) = Command::read(&bytes) {
            prop_assert!(command.target.position_m.iter().all(|m| m.abs() <= POSITION_M_MAX));
            prop_assert!(command.jaw_rad.abs() <= std::f64::consts::PI);
        }
    }
}
