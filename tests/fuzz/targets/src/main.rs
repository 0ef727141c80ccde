//! libFuzzer behind every target, in one program: `FARHAND_FUZZ=NAME farhand-fuzz-targets [CORPUS…]`;
//! `-targets` lists them.
#![no_main]

mod bounded;

use std::sync::OnceLock;

use farhand_fuzz::TARGETS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: list_if_asked(), |bytes: &[u8]| {
    static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
    CHOSEN.get_or_init(chosen)(bytes);
});

fn list_if_asked() {
    if std::env::args().any(|argument| argument == "-targets") {
        TARGETS.iter().for_each(|(name, _)| println!("{name}"));
        std::process::exit(0);
    }
}

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("FARHAND_FUZZ").unwrap_or_default();
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("FARHAND_FUZZ names no target, but {name:?}; -targets lists them")).1
}
