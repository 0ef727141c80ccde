//! Writes a small session's bundle and its trust root: `small_bundle FILE TRUST`. For trying viewers and verifiers.
#![allow(clippy::unwrap_used, reason = "an example may fail")]

#[path = "../tests/sessions/mod.rs"]
mod sessions;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let session = sessions::good();
    std::fs::write(arguments.next().unwrap(), sessions::bundle(&session)).unwrap();
    std::fs::write(arguments.next().unwrap(), session.keys.trust().to_bytes()).unwrap();
}
