//! What can go wrong between a scene and the machine it is drawn on.

/// Why a picture could not be drawn. Every variant carries what was seen and, where there is one, the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// No Vulkan driver answered. The scene needs one, if only Mesa's renderer on the CPU (lavapipe).
    #[error(
        "no Vulkan adapter was found ({reason}); on Debian install `mesa-vulkan-drivers`, \
         which brings a renderer for the CPU, or the Vulkan driver of the GPU"
    )]
    NoAdapter {
        /// What the loader said.
        reason: String,
    },
    /// An adapter was found, but would not open a device.
    #[error("the Vulkan adapter {adapter} would not open a device: {reason}")]
    NoDevice {
        /// Name of the adapter.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// NV12 halves both sides, and a picture is written four pixels at a time.
    #[error(
        "a picture of {width}x{height} cannot be drawn: the width must be a multiple of 4, the height of 2, \
         both from {min} to {max}"
    )]
    BadSize {
        /// Width asked for, in pixels.
        width: u32,
        /// Height asked for, in pixels.
        height: u32,
        /// Smallest side, in pixels.
        min: u32,
        /// Largest side, in pixels.
        max: u32,
    },
    /// A list in the state is longer than the scene draws.
    #[error("{given} {what} in the scene, at most {max} are drawn")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The limit.
        max: usize,
    },
    /// A pose, an angle or a radius is not a finite number in its range.
    #[error("the {what} is outside what can be drawn: {given} (allowed {min} to {max})")]
    OutOfRange {
        /// Which quantity, with its unit.
        what: &'static str,
        /// The value, as text so that the error can be compared.
        given: String,
        /// Smallest value allowed.
        min: &'static str,
        /// Largest value allowed.
        max: &'static str,
    },
    /// The caller's buffer does not fit the picture.
    #[error("the buffer holds {given} bytes, the picture needs {needed}")]
    BufferSize {
        /// Bytes given.
        given: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The driver failed in the middle of the work; the scene must be made anew.
    #[error("the graphics device failed: {reason}")]
    DeviceFailed {
        /// What the driver said.
        reason: String,
    },
}
