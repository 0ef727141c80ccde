//! The control lease: at most one holder, by a fencing token that only rises.
//!
//! A token is stored durably before it is granted, and the lease begins when its holder confirms. From the moment
//! another token is on its way, the old one is dead: there is no tick in which two are honoured.

use farhand_wire::{KitTick, LeaseToken, PublicKey, Rejection};

use crate::Refusal;

#[cfg(test)]
#[path = "explore/keys/lease.rs"]
mod explored;

/// The lease in force.
#[derive(Clone, Copy, Debug)]
struct Lease {
    token: LeaseToken,
    holder: PublicKey,
    renewed: KitTick,
}

/// A token on its way to its holder.
#[derive(Clone, Copy, Debug)]
struct Pending {
    token: LeaseToken,
    to: PublicKey,
    stored: bool,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Leases {
    highest: LeaseToken,
    current: Option<Lease>,
    pending: Option<Pending>,
    /// Named by the holder who let go, or by two people after the lease ran out.
    successor: Option<PublicKey>,
    lease_ms: f64,
}

impl Leases {
    /// `highest`: the greatest token this kit has ever stored.
    pub(crate) fn new(highest: LeaseToken, lease_ms: f64) -> Self {
        Self { highest, current: None, pending: None, successor: None, lease_ms }
    }

    pub(crate) fn holder(&self) -> Option<PublicKey> {
        self.current.map(|lease| lease.holder)
    }

    /// Zero: none was ever in force.
    pub(crate) fn token(&self) -> LeaseToken {
        self.current.map_or(LeaseToken(0), |lease| lease.token)
    }

    /// Whether a command under `token` may count, and why not.
    pub(crate) fn honours(&self, now: KitTick, token: LeaseToken) -> Result<(), Rejection> {
        let current = self.token();
        if token != current || current == LeaseToken(0) {
            return Err(Rejection::OldToken { token: token.0 as f64, current: current.0 as f64 });
        }
        self.in_force(now)
    }

    /// Whether anybody holds control now.
    pub(crate) fn in_force(&self, now: KitTick) -> Result<(), Rejection> {
        let idle_ms = self.current.map_or(f64::INFINITY, |lease| now.ms_since(lease.renewed));
        if self.successor.is_none() && idle_ms <= self.lease_ms {
            Ok(())
        } else {
            Err(Rejection::LeaseExpired { idle_ms, max_ms: self.lease_ms })
        }
    }

    /// An authentic command under the token in force came in: its holder is there.
    pub(crate) fn renew(&mut self, now: KitTick) {
        if self.in_force(now).is_ok() {
            self.current.iter_mut().for_each(|lease| lease.renewed = now);
        }
    }

    /// A surgeon asks for control. The token returned must be stored before it is granted.
    pub(crate) fn request(&mut self, now: KitTick, by: PublicKey) -> Result<LeaseToken, Refusal> {
        let entitled = match (self.successor, self.current) {
            (Some(named), _) => named == by,
            (None, Some(lease)) => lease.holder == by,
            (None, None) => true,
        };
        if !entitled {
            return Err(Refusal::ControlHeld { lapsed: self.in_force(now).is_err() });
        }
        self.highest = self.highest.next();
        self.pending = Some(Pending { token: self.highest, to: by, stored: false });
        self.current.iter_mut().for_each(|lease| lease.token = LeaseToken(0));
        Ok(self.highest)
    }

    /// The token is durable: to whom it may be granted now.
    pub(crate) fn stored(&mut self, token: LeaseToken) -> Option<PublicKey> {
        let pending = self.pending.as_mut().filter(|pending| pending.token == token)?;
        pending.stored = true;
        Some(pending.to)
    }

    /// Its holder confirms; the lease begins.
    pub(crate) fn confirm(&mut self, now: KitTick, token: LeaseToken, by: PublicKey) -> Result<(), Refusal> {
        match self.pending {
            Some(pending) if pending.stored && pending.token == token && pending.to == by => {
                self.current = Some(Lease { token, holder: by, renewed: now });
                (self.pending, self.successor) = (None, None);
                Ok(())
            }
            _ => Err(Refusal::NoSuchGrant { token }),
        }
    }

    /// The holder lets go in favour of `to`.
    pub(crate) fn hand_over(
        &mut self,
        token: LeaseToken,
        by: PublicKey,
        to: PublicKey,
    ) -> Result<(), Refusal> {
        match self.current {
            Some(lease) if lease.holder == by && lease.token == token => {
                self.successor = Some(to);
                Ok(())
            }
            _ => Err(Refusal::NotTheHolder),
        }
    }

    /// Two people give control to `to`, once its holder has been gone for a whole lease.
    pub(crate) fn may_take_over(&self, now: KitTick) -> Result<(), Refusal> {
        if self.current.is_some() && self.in_force(now).is_ok() {
            return Err(Refusal::ControlHeld { lapsed: false });
        }
        Ok(())
    }

    /// Whoever held control has no say any more, and whoever asked for it before has asked in vain.
    pub(crate) fn take_over(&mut self, to: PublicKey) {
        (self.successor, self.pending) = (Some(to), None);
        self.current.iter_mut().for_each(|lease| lease.token = LeaseToken(0));
    }
}
