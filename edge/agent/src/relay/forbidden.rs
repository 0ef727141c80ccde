//! Which forbidden regions are in force, word for word: whoever comes to the operation sees them, and whoever adds one names those
//! that stand.
//!
//! The kit's notice says only which version it keeps to. **Invariant (local):** what is told as in force is the one order of that
//! version that can have been followed; where that is not certain, nothing is told, and a console says that it does not know.

use bytes::Bytes;

/// Orders that the kit has not answered yet, at most.
const PENDING_MAX: usize = 16;

/// Orders to forbid regions.
#[derive(Debug, Default)]
pub(super) struct Forbidden {
    pending: Vec<Order>,
    in_force: Option<(u64, Option<Bytes>)>,
}

#[derive(Debug)]
struct Order {
    version: u64,
    signed: Bytes,
}

impl Forbidden {
    /// Somebody gives this order.
    pub(super) fn ordered(&mut self, version: u64, signed: Bytes) {
        if self.pending.len() >= PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(Order { version, signed });
    }

    /// The kit did not follow an order, and does not say which: it may be any of these.
    pub(super) fn refused(&mut self) {
        self.pending.clear();
    }

    /// The kit says which version is in force: the order, where it is another than before and known.
    pub(super) fn latched(&mut self, version: Option<u64>) -> Option<Bytes> {
        let version = version?;
        if self.in_force.as_ref().is_some_and(|(before, _)| *before == version) {
            return None;
        }
        let mut of_version = self.pending.iter().filter(|order| order.version == version);
        let first = of_version.next().map(|order| order.signed.clone());
        let only = first.filter(|first| of_version.all(|other| other.signed == *first));
        self.in_force = Some((version, only.clone()));
        self.pending.retain(|order| order.version > version);
        only
    }

    /// The order in force, for who comes later.
    pub(super) fn in_force(&self) -> Option<&Bytes> {
        self.in_force.as_ref()?.1.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(orders: &[(u64, &'static str)]) -> Forbidden {
        let mut forbidden = Forbidden::default();
        for (version, signed) in orders {
            forbidden.ordered(*version, Bytes::from_static(signed.as_bytes()));
        }
        forbidden
    }

    /// Goal: an order is told once the kit keeps to it, once, and again to who comes later.
    #[test]
    fn what_the_kit_keeps_to_is_told() {
        let mut forbidden = after(&[(1, "a"), (2, "b")]);
        assert_eq!((forbidden.latched(None), forbidden.in_force()), (None, None));
        assert_eq!(forbidden.latched(Some(1)).as_deref(), Some(&b"a"[..]));
        assert_eq!(forbidden.latched(Some(1)), None);
        assert_eq!(forbidden.latched(Some(2)).as_deref(), Some(&b"b"[..]));
        assert_eq!(forbidden.in_force().map(|signed| &signed[..]), Some(&b"b"[..]));
    }

    /// Goal: of two orders of one version, or after a refusal, nobody guesses which one it was.
    #[test]
    fn what_is_not_certain_is_not_told() {
        let mut forbidden = after(&[(1, "a"), (1, "b")]);
        assert_eq!((forbidden.latched(Some(1)), forbidden.in_force()), (None, None));
        let mut forbidden = after(&[(1, "a")]);
        forbidden.refused();
        assert_eq!(forbidden.latched(Some(1)), None);
        forbidden.ordered(2, Bytes::from_static(b"b"));
        assert_eq!(forbidden.latched(Some(2)).as_deref(), Some(&b"b"[..]));
    }

    /// Goal: said twice over two routes is said once.
    #[test]
    fn a_copy_is_no_doubt() {
        let mut forbidden = after(&[(1, "a"), (1, "a")]);
        assert_eq!(forbidden.latched(Some(1)).as_deref(), Some(&b"a"[..]));
    }
}
