//! Who may be at the other end, and as what.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{DeviceId, PeersError};

/// No device knows more others.
pub const PEERS_MAX: usize = 1024;

/// What a device is for the others. One device, one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceRole {
    /// The box at the bedside that has the camera and talks to the console.
    Edge,
    /// The robot's agent.
    Kit,
    /// The aircraft's companion.
    Flight,
    /// A server that introduces others and serves the console.
    Cloud,
    /// A replica of the ledger.
    Validator,
    /// Tells the ROS world how a kit stands, and in the simulator hears what ROS wants of it.
    Observer,
    /// Of the ROS world: watches, and in the simulator commands.
    Ros,
}

impl fmt::Display for DeviceRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The devices allowed here. Clones share one list, and a change holds from the next handshake on; to end a
/// connection that stands, close it.
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<RwLock<BTreeMap<DeviceId, DeviceRole>>>);

impl Peers {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows `id` as `role`, in place of the role it had.
    ///
    /// # Errors
    /// [`PeersError::Full`] if [`PEERS_MAX`] others are allowed already.
    pub fn allow(&self, id: DeviceId, role: DeviceRole) -> Result<(), PeersError> {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= PEERS_MAX && !list.contains_key(&id) {
            return Err(PeersError::Full { max: PEERS_MAX });
        }
        list.insert(id, role);
        Ok(())
    }

    /// Allows `id` no more. The role it had.
    pub fn forbid(&self, id: &DeviceId) -> Option<DeviceRole> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    #[must_use]
    pub fn role(&self, id: &DeviceId) -> Option<DeviceRole> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

/// What is spoken over a connection, in which version, and by whom. Both ends must have the same `alpn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The name and version that TLS compares (ALPN, RFC 7301), such as `farhand-kit/2`.
    pub alpn: &'static str,
    /// Roles of which the accepting end must have one.
    pub accepting: &'static [DeviceRole],
    /// Roles of which the connecting end must have one.
    pub connecting: &'static [DeviceRole],
}

impl Protocol {
    /// Commands and kit state between the edge box and the kit.
    pub const KIT: Self =
        Self { alpn: "farhand-kit/2", accepting: &[DeviceRole::Kit], connecting: &[DeviceRole::Edge] };
    /// Consensus and batches among validators.
    pub const VALIDATOR: Self = Self {
        alpn: "farhand-validator/1",
        accepting: &[DeviceRole::Validator],
        connecting: &[DeviceRole::Validator],
    };
    /// Transactions to a validator, and proofs back.
    pub const LEDGER: Self = Self {
        alpn: "farhand-ledger/1",
        accepting: &[DeviceRole::Validator],
        // A validator's own organisation, too, ends an epoch through it.
        connecting: &[
            DeviceRole::Edge,
            DeviceRole::Kit,
            DeviceRole::Flight,
            DeviceRole::Cloud,
            DeviceRole::Validator,
        ],
    };
}
