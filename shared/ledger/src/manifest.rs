//! The bundle's manifest: what the edge box says about the whole session besides its leaves. The sealing transaction
//! carries its hash, so it is as authentic as the seal.

use farhand_wire::SessionId;
use minicbor::{Decode, Encode};

use crate::{
    Cbor, Hash, Malformed, TRUST_BYTES_MAX,
    cbor::{at_most, within},
    transaction::name,
};

const FORMAT: &str = "farhand manifest v1";
const SOFTWARE_MAX: usize = 64;

/// About one session.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Manifest {
    #[n(0)]
    format: String,
    #[n(1)]
    pub session: SessionId,
    /// The ledger's trust root, with the epochs that the edge box knew. It proves nothing by itself: see [`TrustRoot`](crate::TrustRoot).
    #[cbor(n(2), with = "minicbor::bytes")]
    pub trust: Vec<u8>,
    #[n(3)]
    pub binding: Binding,
    /// What ran: binaries, the console's files, models.
    #[n(4)]
    pub software: Vec<Software>,
}

/// What bound the people's session keys to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Binding {
    /// A one-time link, in a local trial: whoever held it.
    #[n(0)]
    Link,
    /// A passkey's assertion over the session key's hash.
    #[n(1)]
    Passkey,
}

/// One thing that ran.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Software {
    #[n(0)]
    pub name: String,
    /// SHA-256.
    #[n(1)]
    pub digest: Hash,
}

impl Manifest {
    /// A manifest of this version.
    #[must_use]
    pub fn new(session: SessionId, trust: Vec<u8>, binding: Binding, software: Vec<Software>) -> Self {
        Self { format: FORMAT.to_owned(), session, trust, binding, software }
    }
}

impl Cbor for Manifest {
    const WHAT: &'static str = "manifest";
    const BYTES_MAX: usize = TRUST_BYTES_MAX + 64 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        if self.format != FORMAT {
            return Err(Malformed::Cbor { what: Self::WHAT });
        }
        at_most("trust root", self.trust.len(), TRUST_BYTES_MAX)?;
        within("software in a manifest", self.software.len() as u64, 0, SOFTWARE_MAX as u64)?;
        self.software.iter().try_for_each(|software| name("software", &software.name))
    }
}
