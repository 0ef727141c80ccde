//! Why the guard refused an authentic command: the value it saw and the limit it holds to, in the same words
//! everywhere (page, log, report).

use thiserror::Error;

use crate::Malformed;

macro_rules! rejections {
    ($($(#[doc = $doc:literal])* $code:literal $name:ident { $seen:ident, $limit:ident }, $words:literal;)*) => {
        /// A refusal. `seen` and `limit` of each are named by what they mean, units last.
        #[derive(Clone, Copy, Debug, PartialEq, Error)]
        pub enum Rejection {
            $($(#[doc = $doc])* #[error($words)] $name { $seen: f64, $limit: f64 },)*
        }

        impl Rejection {
            /// Number on the wire, value seen, limit.
            #[must_use]
            pub fn parts(&self) -> (u32, f64, f64) {
                match *self {
                    $(Rejection::$name { $seen, $limit } => ($code, $seen, $limit),)*
                }
            }

            /// The refusal with that number on the wire.
            pub fn from_parts(code: u32, seen: f64, limit: f64) -> Result<Self, Malformed> {
                match code {
                    $($code => Ok(Rejection::$name { $seen: seen, $limit: limit }),)*
                    _ => Err(Malformed::Unknown { field: "rejection", value: code.into() }),
                }
            }

            /// One of each, for tables and tests.
            pub const EACH: &[Rejection] = &[$(Rejection::$name { $seen: 0.0, $limit: 0.0 }),*];

            /// Its name, as logs and reports say it.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Rejection::$name { .. } => stringify!($name),)* }
            }
        }
    };
}

rejections! {
    /// The command echoes an old kit tick.
    1 StaleCommand { age_ms, max_ms }, "command is {age_ms:.0} ms old, limit {max_ms:.0}";
    /// The command echoes a tick that the kit has not reached.
    2 FutureEcho { ahead_ms, max_ms }, "command echoes a kit tick {ahead_ms:.0} ms in the future, limit {max_ms:.0}";
    /// The frame that the surgeon saw is old.
    3 StalePicture { age_ms, max_ms }, "picture is {age_ms:.0} ms old, limit {max_ms:.0}";
    /// The command names a frame that the edge box never announced, or one too old to be remembered.
    4 UnknownFrame { frame, newest_frame }, "picture {frame:.0} is not known, newest is {newest_frame:.0}";
    /// Not above the newest authentic command that was taken in.
    5 OldSequence { sequence, newest }, "command {sequence:.0} is not newer than {newest:.0}";
    /// Sealed under a lease that is no longer in force.
    6 OldToken { token, current }, "lease token {token:.0} is not the one in force, {current:.0}";
    /// The control lease has run out.
    7 LeaseExpired { idle_ms, max_ms }, "control lease idle for {idle_ms:.0} ms, limit {max_ms:.0}";
    /// Fewer than two people have armed the arm, or nobody at the bedside has.
    8 NotArmed { people, needed }, "armed by {people:.0} people, {needed:.0} are needed, one at the bedside";
    /// The arm has not found its home.
    9 NotHomed { joints_homed, needed }, "{joints_homed:.0} joints are homed, {needed:.0} are needed";
    /// An e-stop is latched.
    10 EmergencyStopped { presses, max }, "e-stop is latched by {presses:.0} presses, {max:.0} allowed";
    /// The arm is paused: let the dead-man go, press it again, and start a new engagement.
    11 Paused { silent_ms, max_ms }, "paused after {silent_ms:.0} ms without a fresh command, limit {max_ms:.0}: release and press again";
    /// Not the engagement that is running, or one that has ended.
    12 EngagementMismatch { engagement, current }, "engagement {engagement:.0} does not match {current:.0}";
    /// The engagement did not start from the setpoint that the arm holds.
    13 HoldMismatch { hold, current }, "engagement starts from hold {hold:.0}, the arm holds {current:.0}";
    /// A new engagement before the arm has come to rest.
    14 NotAtRest { speed_mm_s, max_mm_s }, "tool still moves at {speed_mm_s:.2} mm/s, a new engagement starts at {max_mm_s:.2}";
    /// The target is too far from the tool to be chased.
    15 LagTooFar { lag_mm, max_mm }, "target is {lag_mm:.1} mm from the tool, limit {max_mm:.1}: release and press again";
    /// The target is turned too far from the tool to be chased.
    16 LagTurned { lag_deg, max_deg }, "target is turned {lag_deg:.1}° from the tool, limit {max_deg:.1}: release and press again";
    /// The first engagement under a lease, or after a pause, needs the dead-man to have been seen released.
    17 NotReleased { releases, needed }, "dead-man seen released {releases:.0} times since the stop, {needed:.0} needed: release and press again";
    /// Not an arm that this kit has.
    18 NoSuchArm { arm, arms }, "arm {arm:.0} of {arms:.0} arms";
    /// No command was applied for a while.
    19 Silent { silent_ms, max_ms }, "no fresh command for {silent_ms:.0} ms, limit {max_ms:.0}";
    /// The arm reports a fault, or somebody pressed its button: FAULT until it is cleared.
    20 Faulted { faults, max }, "the arm reports a fault, or its button was pressed";
    /// What was applied is not durable on record yet, or was not when the tool came to hold.
    21 Unrecorded { lead_ms, max_ms }, "motion is {lead_ms:.0} ms ahead of its record, limit {max_ms:.0}";
    /// The surgeon's own signed list of commands lags behind what was applied.
    22 Unlisted { silent_ms, max_ms }, "no signed list of the surgeon's commands on record for {silent_ms:.0} ms, limit {max_ms:.0}";
    /// The kit's loop missed its deadlines, so that the tool came to hold.
    23 LoopLate { missed, max }, "the kit's loop missed {missed:.0} ticks in a row, limit {max:.0}";
    /// The patient's consent was withdrawn: the tool may only be drawn out.
    24 ConsentWithdrawn { withdrawn, max }, "consent was withdrawn: hold the dead-man to draw the tool out, nothing else moves it";
    /// The arm's cable says nothing: FAULT until it is cleared.
    25 ArmSilent { silent_ms, max_ms }, "no word from the arm for {silent_ms:.0} ms, limit {max_ms:.0}";
    /// The kit's own motion proposed what the arm must not do, so the arm was stopped: FAULT until it is cleared.
    26 ImpossibleSetpoint { value, max }, "the kit refused its own setpoint: {value:.3}, limit {max:.3}";
    /// Somebody at the bedside moves an arm, counted from 1, by its switch or by an order.
    27 ErrandUnderWay { arm, arms }, "the bedside moves arm {arm:.0} of {arms:.0}: wait, then release and press again";
}
