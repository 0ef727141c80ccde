//! What a fuzzer asks of every parser of outside bytes: a plain function for each, which panics where a promise breaks.
//!
//! More than "does not panic" is asked wherever there is more: what is accepted has one encoding, nothing without a right
//! code or signature is accepted, nothing grows beyond its bound. `tests/fuzz/targets` puts libFuzzer behind these
//! functions; a test here replays every input that is kept.

mod bundle;
mod config;
mod edge;
mod flight;
mod kit;
mod ledger;
mod link;
mod record;
mod server;
mod stage;
mod validator;
mod wire;

pub use stage::{BOOT, SESSION, evidence, key, piece, public, trust};

/// A parser's name, as in `corpus/NAME`, and what is asked of it.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("wire", wire::messages),
    ("statement", wire::statement),
    ("gate", kit::gate),
    ("verifier", kit::verifier),
    ("kit_files", kit::files),
    ("records", ledger::records),
    ("proofs", ledger::proofs),
    ("segments", ledger::segments),
    ("log", ledger::log),
    ("bundle_read", bundle::read),
    ("bundle_verify", bundle::verify),
    ("audit", bundle::audit),
    ("vault", bundle::vault),
    ("marks", bundle::marks),
    ("record", record::open),
    ("link", link::stream),
    ("certificate", link::certificate),
    ("mesh", link::mesh),
    ("submit", validator::client_frames),
    ("validator", validator::peer_frames),
    ("headers", validator::headers),
    ("consensus", validator::consensus),
    ("plan", flight::plan),
    ("order", flight::order),
    ("mavlink", flight::mavlink),
    ("flight_journal", flight::journal),
    ("annexb", edge::annexb),
    ("camera", edge::camera),
    ("signal", edge::signal),
    ("rooms", server::rooms),
    ("field", server::field),
    ("arm", config::arm),
    ("config", config::files),
];
