//! Verifies a session's bundle offline, trusting nobody: the library under `farhand-audit`.
//!
//! [`audit`] reads a bundle once, from disk, and says everything there is to say in one [`Report`]: for a program as JSON
//! (the fields of [`Report`]), for a person as text ([`words`]). It needs no network, no clock and no key of ours; what it
//! must be given is the ledger's genesis ([`TrustRoot`](farhand_ledger::TrustRoot)), from somewhere else than the bundle.
//! [`screen()`] answers what the surgeon saw when a command was sent, [`write_html`] writes the report that people print, [`export()`] tables and FHIR resources for other programs.

mod audit;
mod export;
mod files;
mod following;
mod html;
mod mp4;
mod people;
mod report;
mod screen;
mod show;
mod story;
mod time;
mod words;

pub use audit::{audit, audit_and, leave_out, session_of};
pub use export::{Format, export};
pub use farhand_bundle::{BadMarks, BadRedaction, Redaction};
pub use files::NotWritten;
pub use html::{Page, write_html};
pub use people::{Named, People, Record, Vault, VaultError, people};
pub use report::{
    Commands, FindingLine, Frames, Leaves, Machines, Person, Range, Report, Session, Software, Times,
    TrustUsed, VerdictName,
};
pub use screen::{Asked, NoPicture, NoScreen, SaidCommand, SaidFrame, SaidShown, Screen, screen};
pub use show::{Line, lines};
pub use words::{plain, verdict, words};
