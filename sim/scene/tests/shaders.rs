//! Every shader of the project is read and validated without a graphics device.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail it")]

use std::path::{Path, PathBuf};

use wgpu::naga::front::wgsl;
use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};

/// Goal: a shader that no device would take is found here, not when the first picture is drawn.
#[test]
fn every_shader_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shaders");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "wgsl"));
    assert!(names.len() >= 6, "the scene alone has six shaders: {names:?}");
    for path in names {
        let mut text = std::fs::read_to_string(&path).unwrap();
        if text.contains("view.") && !path.ends_with("lamp.wgsl") {
            text.insert_str(0, include_str!("../../../shaders/lamp.wgsl"));
        }
        if let Err(fault) = check(&text) {
            panic!("{}: {fault}", path.display());
        }
    }
}

/// Goal: the check above can fail, on text that is no WGSL and on WGSL with a wrong type.
#[test]
fn a_broken_shader_is_refused() {
    assert!(check("fn f( {").is_err());
    assert!(check("fn f() -> f32 { return vec2<f32>(1.0); }").is_err());
}

fn check(text: &str) -> Result<(), String> {
    let module = wgsl::parse_str(text).map_err(|fault| fault.emit_to_string(text))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    validator.validate(&module).map_err(|fault| fault.emit_to_string(text))?;
    Ok(())
}
