use farhand_wire::PressId;

use super::EStop;

impl EStop {
    /// A bit for each press of the alphabet: latched, cleared.
    pub(crate) fn key(&self) -> (u64, u64) {
        let Self { latched, cleared } = self;
        let bits = |presses: &[PressId]| presses.iter().fold(0, |bits, press| bits | 1 << press.0[0]);
        (bits(latched), bits(cleared))
    }
}
