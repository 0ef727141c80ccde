//! Writes a small session's bundle and its trust root: `small_bundle FILE TRUST [SEED]`, the ledger's keys made from the
//! number SEED. For trying viewers and verifiers.
#![allow(clippy::unwrap_used, reason = "an example may fail")]

#[path = "../tests/sessions/mod.rs"]
mod sessions;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let [file, trust] = [arguments.next().unwrap(), arguments.next().unwrap()];
    let seed = arguments.next().map_or(8, |seed| seed.parse().unwrap());
    let session = sessions::good_under([seed; 32]);
    std::fs::write(file, sessions::bundle(&session)).unwrap();
    std::fs::write(trust, session.keys.trust().to_bytes()).unwrap();
}
