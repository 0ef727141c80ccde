use farhand_wire::{KitTick, Sequence};

use super::Arm;
use crate::explore::{Key, Moment};

impl Arm {
    /// `any`: the newest command taken in for any arm.
    pub(crate) fn key(&self, at: &Moment<'_>, any: Sequence) -> impl Key + use<> {
        let Self {
            limits: _,
            engagements,
            way_out,
            errand,
            heard,
            flags,
            newest,
            held,
            applied,
            refused: _,
            waits,
            last: _,
            speed_mm_s: _,
            lag: _,
            intent: _,
            mode: _,
            reason: _,
            setpoints: _,
        } = self;
        let limits = at.limits;
        let heard = (*heard > KitTick(0)).then(|| at.age(*heard, limits.arm_silence_ms_max));
        let silence_ms_max = limits.silence_hold_ms_max.max(limits.silence_pause_ms_max);
        let silent = applied.map(|applied| at.age(applied.at, silence_ms_max));
        let held = held.map(|held| at.age(held, limits.silence_pause_ms_max));
        // Acts name sequences by the newest, and the one before.
        let behind = (any.0 - newest.0).min(2);
        (engagements.key(at), *way_out, *errand, waits.is_some(), behind, (heard, *flags, silent, held))
    }
}
