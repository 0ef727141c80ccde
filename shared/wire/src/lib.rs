//! Messages between Farhand's parts, and the ids, units and ticks that they are made of.
//!
//! **Every outside byte becomes a type here, once.** The first byte of a message is its [`Kind`], the second the
//! wire version. Hot messages (commands, kit state, frame records) have a fixed little-endian layout that a browser
//! writes with a `DataView`; rare ones are [`Signed`] statements in deterministic CBOR. Floats are finite and bounded,
//! lengths are exact, reserved bits are zero: whatever parses keeps these promises.

mod actuator;
mod command;
mod ids;
mod kind;
mod lease;
mod mac;
mod observation;
pub mod overlay;
mod pose;
pub mod region;
mod rejection;
mod state;
mod statement;
mod tick;
mod video;

pub use actuator::{Action, ArmSetpoint, ArmState, arm_flags};
pub use command::{COMMAND_BYTES, Command, Jaw};
pub use ids::{
    Challenge, EngagementId, FrameId, HoldNumber, KitBootId, LeaseToken, PressId, PublicKey, Sequence,
    SessionId,
};
pub use kind::{Kind, Malformed, VERSION};
pub use lease::{LeaseKeys, LeaseTranscript};
pub use mac::{MAC_BYTES, MacKey, Unauthentic};
pub use observation::{OBSERVATION_BYTES, Observation};
pub use overlay::Overlay;
pub use pose::{POSITION_M_MAX, Pose};
pub use region::Region;
pub use rejection::Rejection;
pub use state::{
    ARMS_MAX, ArmOf, KIT_STATE_BYTES, KitState, Mode, OperatingState, VERDICTS_MAX, Verdict, state_flags,
};
pub use statement::{
    ArmKind, ArmNotice, BadSignature, KitNotice, Role, STATEMENT_BYTES_MAX, Said, Signed, Statement,
};
pub use tick::{EdgeTick, KitTick};
pub use video::{
    Camera, ClockPing, ClockPong, FRAME_RECORD_BYTES, FRAME_RECORD_NAME, FrameMark, FrameRecord, PicturesVia,
    SightWanted, Watermark,
};
