//! libFuzzer behind every target, in one program: `FARHAND_FUZZ=NAME farhand-fuzz-targets [CORPUS…]`;
//! `-targets` lists them.
#![no_main]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::OnceLock,
};

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

/// Whoever asks for more at once believes a length that was only announced.
const BYTES_AT_ONCE_MAX: usize = 64 << 20;

struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// SAFETY: all is handed on to the system's allocator.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        assert!(layout.size() <= BYTES_AT_ONCE_MAX, "{} bytes at once", layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        assert!(layout.size() <= BYTES_AT_ONCE_MAX, "{} bytes at once", layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        assert!(size <= BYTES_AT_ONCE_MAX, "{size} bytes at once");
        unsafe { System.realloc(pointer, layout, size) }
    }
}
