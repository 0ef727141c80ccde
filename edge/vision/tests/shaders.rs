//! The shaders are read and validated without a graphics device.
#![allow(clippy::panic, reason = "a test that can't go on says so")]

use wgpu::naga::{
    front::wgsl,
    valid::{Capabilities, ValidationFlags, Validator},
};

/// Goal: a shader that no device would take is found here, not when the first frame comes.
#[test]
fn every_shader_is_valid() {
    let shaders = [
        ("nv12", include_str!("../../../shaders/vision_nv12.wgsl")),
        ("conv", include_str!("../../../shaders/vision_conv.wgsl")),
        ("argmax", include_str!("../../../shaders/vision_argmax.wgsl")),
    ];
    for (name, text) in shaders {
        let module =
            wgsl::parse_str(text).unwrap_or_else(|fault| panic!("{name}: {}", fault.emit_to_string(text)));
        let validated = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
        assert!(
            validated.is_ok(),
            "{name}: {}",
            validated.err().map_or(String::new(), |fault| fault.emit_to_string(text))
        );
    }
}
