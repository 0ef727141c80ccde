//! Two clocks that must never be confused. Each is µs since its owner started, so neither says anything about the
//! other, and there is no conversion between them.

use minicbor::{Decode, Encode};

macro_rules! tick {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub u64);

        impl $name {
            /// The tick so many milliseconds later.
            #[must_use]
            pub fn plus_ms(self, ms: u64) -> Self {
                Self(self.0.saturating_add(ms.saturating_mul(1000)))
            }

            /// Milliseconds since `earlier`; zero if `earlier` lies in the future.
            #[must_use]
            pub fn ms_since(self, earlier: Self) -> f64 {
                self.us_since(earlier) as f64 / 1000.0
            }

            /// Microseconds since `earlier`; zero if `earlier` lies in the future.
            #[must_use]
            pub fn us_since(self, earlier: Self) -> u64 {
                self.0.saturating_sub(earlier.0)
            }
        }
    };
}

tick! {
    /// Microseconds since the kit started. The only clock that ages are measured on.
    KitTick
}
tick! {
    /// Microseconds since the edge box started. Frames are captured and recorded on it.
    EdgeTick
}
