use farhand_wire::KitTick;

use super::Guard;
use crate::explore::{Key, Moment};

impl Guard {
    pub(crate) fn key(&self, at: &Moment<'_>) -> impl Key + use<> {
        let Self {
            limits,
            arm: _,
            estop,
            rituals,
            leases,
            engagements,
            frames,
            armed,
            closed,
            consent_withdrawn,
            way_out,
            regions,
            deadlines,
            errand,
            faulted,
            arm_heard,
            arm_flags,
            newest,
            held,
            record,
            line: _,
            applied,
            refused: _,
            last: _,
            speed_mm_s: _,
            intent: _,
            mode: _,
            reason: _,
            ages_ms: _,
            lag: _,
            counts: _,
            setpoints: _,
        } = self;
        let heard = (*arm_heard > KitTick(0)).then(|| at.age(*arm_heard, limits.arm_silence_ms_max));
        let silence_ms_max = limits.silence_hold_ms_max.max(limits.silence_pause_ms_max);
        let silent = applied.map(|applied| at.age(applied.at, silence_ms_max));
        let held = held.map(|held| at.age(held, limits.silence_pause_ms_max));
        (
            (estop.key(), rituals.key(), leases.key(at), engagements.key(at), frames.key(at)),
            (
                *armed,
                *closed,
                *consent_withdrawn,
                *way_out,
                faulted.map(|why| why.parts().0),
                *regions,
                *errand,
            ),
            (deadlines.key(at), record.key(at, *newest)),
            (heard, *arm_flags, silent, held),
        )
    }
}
