use farhand_wire::{LeaseToken, PublicKey};

use super::{Lease, Leases, Pending};
use crate::explore::{Age, Moment};

/// The lease (whether its token is still good, holder, age), the token on its way (whether it is the newest), and who is next.
type Key = (Option<(bool, PublicKey, Age)>, Option<(bool, PublicKey, bool)>, Option<PublicKey>);

impl Leases {
    pub(crate) fn key(&self, at: &Moment<'_>) -> Key {
        let Self { highest, current, pending, successor, lease_ms } = self;
        let current = current.map(|Lease { token, holder, renewed }| {
            (token != LeaseToken(0), holder, at.age(renewed, *lease_ms))
        });
        let pending = pending.map(|Pending { token, to, stored }| (token == *highest, to, stored));
        (current, pending, *successor)
    }
}
