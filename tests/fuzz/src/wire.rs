//! The fixed frames and the signed statements of `shared/wire`.

use std::fmt::Debug;

use farhand_wire::{
    ArmSetpoint, ArmState, Camera, ClockPing, ClockPong, Command, FrameMark, FrameRecord, Kind, KitState,
    MacKey, Malformed, Observation, PicturesVia, Pose, Signed, Statement, Watermark,
};

use crate::stage::key;

/// As `docs/evidence-format.md` has it.
const STATEMENT_DOMAIN: &[u8] = b"farhand/v1 statement\0";

/// Whether the last 16 bytes are the code over the rest.
pub(crate) fn has_code(bytes: &[u8], key: &MacKey) -> bool {
    bytes.split_last_chunk::<16>().is_some_and(|(content, code)| key.code(content) == *code)
}

/// The same message under a right code.
pub(crate) fn sealed(bytes: &[u8], key: &MacKey) -> Vec<u8> {
    let content = bytes.split_last_chunk::<16>().map_or(&[][..], |(content, _)| content);
    [content, &key.code(content)].concat()
}

/// Every fixed layout: one encoding each, and none is opened without its code.
pub(crate) fn messages(bytes: &[u8]) {
    let key = MacKey::new(&[1; 32]);
    if let Ok(kind) = Kind::of(bytes) {
        assert_eq!(kind.content(bytes).map(|content| kind.wrap(content)), Ok(bytes.to_vec()));
    }
    for (bytes, right) in [(bytes, has_code(bytes, &key)), (&sealed(bytes, &key), true)] {
        assert_eq!(Command::open(bytes, &key).is_ok(), right && Command::read(bytes).is_ok());
        assert_eq!(KitState::open(bytes, &key).is_ok(), right && KitState::read(bytes).is_ok());
        if let Ok(setpoint) = ArmSetpoint::open(bytes, &key) {
            assert_eq!(setpoint.seal(&key), bytes);
        }
        if let Ok(state) = ArmState::open(bytes, &key) {
            assert_eq!(state.seal(&key), bytes);
        }
        if let Ok(observation) = Observation::open(bytes, &key) {
            let apart = |seen| Observation { measured: Pose::default(), setpoint: Pose::default(), ..seen };
            assert_eq!(Observation::open(&observation.seal(&key), &key).map(apart), Ok(apart(observation)));
        }
    }
    if let Ok(command) = Command::read(bytes) {
        // An orientation is brought to length 1 when it is read; all else stays as it was.
        let apart = |command: Command| Command { target: Pose::default(), ..command };
        assert_eq!(Command::read(&command.seal(&key)).map(apart), Ok(apart(command)));
    }
    if let Ok(state) = KitState::read(bytes) {
        assert!(KitState::read(&state.seal(&key)).is_ok());
    }
    if let Ok(camera) = Camera::read(bytes) {
        let apart = |camera: Camera| Camera { parent_from_camera: Pose::default(), ..camera };
        assert_eq!(Camera::read(&camera.to_bytes()).map(apart), Ok(apart(camera)));
    }
    fixed(bytes, FrameMark::read, |mark| mark.to_bytes().to_vec());
    fixed(bytes, PicturesVia::read, |via| via.to_bytes().to_vec());
    fixed(bytes, FrameRecord::read, |record| record.to_bytes().to_vec());
    fixed(bytes, Watermark::read, |mark| mark.to_bytes().to_vec());
    fixed(bytes, ClockPing::read, |ping| ping.to_bytes().to_vec());
    fixed(bytes, ClockPong::read, |pong| pong.to_bytes().to_vec());
    fixed(bytes, Signed::read, Signed::to_bytes);
}

fn fixed<T: Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<T, Malformed>,
    write: impl Fn(&T) -> Vec<u8>,
) {
    if let Ok(value) = read(bytes) {
        assert_eq!(write(&value), bytes, "{value:?} has two encodings");
    }
}

/// A statement as it came, and the same bytes as the body of one that is rightly signed.
pub(crate) fn statement(bytes: &[u8]) {
    if Statement::open(bytes).is_ok() {
        let signed = Signed::read(bytes).expect("what was opened is an envelope");
        assert_eq!(signed.check(STATEMENT_DOMAIN), Ok(()));
    }
    let signed = Signed::new(STATEMENT_DOMAIN, &key(1), bytes.to_vec()).to_bytes();
    if let Ok((author, statement)) = Statement::open(&signed) {
        assert_eq!(author, crate::public(1));
        assert_eq!(statement.sign(&key(1)), signed, "{statement:?} has two encodings");
    }
    let other = Signed::new(b"farhand/v1 other\0", &key(1), bytes.to_vec()).to_bytes();
    assert!(Statement::open(&other).is_err(), "signed as something else");
}
