use super::Guard;
use crate::explore::{Key, Moment};

impl Guard {
    pub(crate) fn key(&self, at: &Moment<'_>) -> impl Key + use<> {
        let Self {
            limits: _,
            arms,
            estop,
            rituals,
            leases,
            frames,
            armed,
            closed,
            consent_withdrawn,
            regions,
            deadlines,
            faulted,
            newest,
            released,
            record,
            line: _,
            ages_ms: _,
            counts: _,
        } = self;
        (
            (estop.key(), rituals.key(), leases.key(at), frames.key(at)),
            (*armed, *closed, *consent_withdrawn, faulted.map(|(arm, why)| (arm, why.parts().0)), *regions),
            (deadlines.key(at), record.key(at, *newest), newest.0.saturating_sub(released.0).min(2)),
            arms.iter().map(|arm| arm.key(at, *newest)).collect::<Vec<_>>(),
        )
    }
}
