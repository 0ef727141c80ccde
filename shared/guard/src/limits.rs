//! The limits, with their defaults, and the range that each may be set within.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $default:literal in $min:literal to $max:literal;)*) => {
        /// What the guard holds to. Each is a default that configuration may change within its range.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: f64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// The same, if each value lies within its range.
            pub fn checked(self) -> Result<Self, LimitOutOfRange> {
                $(if !($min..=$max).contains(&self.$name) {
                    return Err(LimitOutOfRange { name: stringify!($name), value: self.$name, min: $min, max: $max });
                })*
                Ok(self)
            }

            /// One `name=value` line each.
            #[must_use]
            pub fn text(&self) -> String {
                [$(format!("{}={}\n", stringify!($name), self.$name)),*].concat()
            }

            /// SHA-256 over [`Limits::text`]: what a session's opening names.
            #[must_use]
            pub fn digest(&self) -> [u8; 32] {
                Sha256::digest(self.text()).into()
            }
        }
    };
}

limits! {
    /// Age of a command on the kit's clock, the whole loop included. 300 ms is suitable, 400 to 500 tire (Xu 2014).
    command_age_ms_max: 300.0 in 50.0 to 500.0;
    /// Age of the picture that a command names, on the kit's clock.
    picture_age_ms_max: 400.0 in 50.0 to 1000.0;
    /// Loop delay and jitter together up to which the tool may be as fast as the arm. From there on the cap falls, to 0 at `command_age_ms_max`.
    speed_full_ms_max: 100.0 in 10.0 to 200.0;
    /// From standstill back to the arm's own speed, once the line is good again.
    speed_recovery_ms: 2000.0 in 500.0 to 20000.0;
    /// From the tool to the target, farther than which it is not chased.
    lag_mm_max: 10.0 in 1.0 to 50.0;
    /// The same for rotation.
    lag_deg_max: 15.0 in 1.0 to 60.0;
    /// Without a fresh command for so long, the tool holds. The dVRK's watchdog is 30 ms on a wire.
    silence_hold_ms_max: 50.0 in 10.0 to 100.0;
    /// Without one for so long, it pauses: motion needs release, press and a new engagement.
    silence_pause_ms_max: 500.0 in 100.0 to 2000.0;
    /// How far motion may be ahead of its record: from the oldest applied command that is not durable, to now. Beyond it, hold.
    record_lead_hold_ms_max: 100.0 in 20.0 to 500.0;
    /// The same; beyond it, pause.
    record_lead_pause_ms_max: 500.0 in 100.0 to 2000.0;
    /// From the first applied command after the surgeon's newest durable signed list, to now. Beyond it, hold.
    unlisted_hold_ms_max: 2000.0 in 500.0 to 10000.0;
    /// Without an authentic command for so long, the control lease lapses.
    lease_ms: 10000.0 in 1000.0 to 60000.0;
    /// So many ticks of the loop missed in a row, and the tool holds.
    late_ticks_max: 5.0 in 1.0 to 50.0;
    /// Without word from the arm for so long, its cable counts as broken.
    arm_silence_ms_max: 50.0 in 5.0 to 100.0;
}

/// A limit was set outside its range.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{name} is {value}, allowed is {min} to {max}")]
pub struct LimitOutOfRange {
    pub name: &'static str,
    pub value: f64,
    pub min: f64,
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_outside_its_range_is_refused_by_name() {
        let limits = Limits { command_age_ms_max: 900.0, ..Limits::default() };
        let refused = limits.checked().unwrap_err();
        assert_eq!(refused.to_string(), "command_age_ms_max is 900, allowed is 50 to 500");
        assert!(Limits { lease_ms: f64::NAN, ..Limits::default() }.checked().is_err());
    }

    #[test]
    fn defaults_lie_within_their_ranges() {
        assert!(Limits::default().checked().is_ok());
    }
}
