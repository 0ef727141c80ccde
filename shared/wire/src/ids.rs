//! Names of things, a type each, so that one cannot stand where another belongs.

use std::fmt;

use minicbor::{Decode, Encode};

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The one that follows.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
    };
}

bytes_id! {
    /// One operation, from its opening on the ledger to its sealing.
    SessionId, 16
}
bytes_id! {
    /// One run of the kit's program. A kit that restarts is disarmed, and keys agreed before do not outlive it.
    KitBootId, 16
}
bytes_id! {
    /// An Ed25519 public key: who a person or a device is.
    PublicKey, 32
}
bytes_id! {
    /// Made by the kit, valid once. Whatever gives permission signs the current one, so that no permission can be kept for later.
    Challenge, 32
}
bytes_id! {
    /// One press of an e-stop. Unseen ids always latch; a cleared id never latches again.
    PressId, 16
}
number_id! {
    /// Fencing token of the control lease. Only rises, also across restarts of the kit.
    LeaseToken
}
number_id! {
    /// Number of a command within its lease token, from 1.
    Sequence
}
number_id! {
    /// One unbroken hold of the dead-man with the clutch up, numbered by the console within its token, from 1.
    EngagementId
}
number_id! {
    /// Number of a setpoint that the arm holds at rest. An engagement names the one it started from.
    HoldNumber
}
number_id! {
    /// Number of a video frame within the session, from 1. Zero: no frame.
    FrameId
}
