//! An allocator that stops whoever asks for too much at once.

use std::alloc::{GlobalAlloc, Layout, System};

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
