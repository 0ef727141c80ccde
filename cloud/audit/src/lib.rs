//! Verifies a session's bundle offline, trusting nobody: the library under `farhand-audit`.
//!
//! [`audit`] reads a bundle once, from disk, and says everything there is to say in one [`Report`]: for a program as JSON
//! (the fields of [`Report`]), for a person as text ([`words`]). It needs no network, no clock and no key of ours; what it
//! must be given is the ledger's genesis ([`TrustRoot`](farhand_ledger::TrustRoot)), from somewhere else than the bundle.

mod audit;
mod report;
mod show;
mod time;
mod words;

pub use audit::{audit, audit_and};
pub use report::{
    Commands, FindingLine, Frames, Leaves, Machines, Person, Range, Report, Session, Software, Times,
    TrustUsed, VerdictName,
};
pub use show::{Line, lines};
pub use words::{plain, words};
