//! The scene: one device, one picture size, and from each state a frame.
//!
//! Invariant (local): `last` describes exactly what the device's NV12 buffer and `nv12` hold, or is `None`. Every
//! failure between two frames sets it to `None`, so that the next frame is drawn whole.

use nalgebra::Isometry3;

use crate::compose::Compose;
use crate::conditions::Conditions;
use crate::cover::{Cover, Tile};
use crate::dress::Dress;
use crate::error::SceneError;
use crate::gpu::Gpu;
use crate::ground::{self, Ground};
use crate::instrument::Posture;
use crate::labels::Labels;
use crate::lens::Lens;
use crate::solids::{Crop, CropUniform, Solids};
use crate::staging::Staging;
use crate::state::SceneState;
use crate::view::{Lamp, View};

/// Frames a second that the default size is meant for: on two cores without a GPU a moving tool then takes about a
/// third of one core, and 1280 x 720 at 25 a second about half of one.
pub const DEFAULT_RATE_HZ: u32 = 30;
/// Smallest side of a picture, in pixels.
const SIDE_PX_MIN: u32 = 64;
/// Largest, where the device allows it.
pub(crate) const SIDE_PX_MAX: u32 = 4096;

/// What stays the same for all frames of a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneSettings {
    /// Width of the picture in pixels, a multiple of 4.
    pub width: u32,
    /// Height of the picture in pixels, even.
    pub height: u32,
    /// Pose of the tissue in the base frame: its z points out of the tissue, its origin is the middle of the
    /// field of work.
    pub base_from_tissue: Isometry3<f64>,
}

impl Default for SceneSettings {
    /// 960 x 540, the tissue level and 150 mm below the first arm's remote centre.
    fn default() -> Self {
        Self { width: 960, height: 540, base_from_tissue: Isometry3::translation(0.0, 0.0, -0.15) }
    }
}

/// A picture, valid until the scene draws the next one.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// NV12: `width * height` bytes of luma, then half as many of interleaved Cb and Cr, rows without padding.
    /// BT.709, limited range.
    pub nv12: &'a [u8],
    /// Tiles of 32 x 16 pixels that were drawn for this frame; none if its state equals the last one's.
    pub tiles_drawn: usize,
}

/// Draws what the endoscope sees.
#[derive(Debug)]
pub struct Scene {
    settings: SceneSettings,
    gpu: Gpu,
    view_buffer: wgpu::Buffer,
    crop_buffer: wgpu::Buffer,
    ground: Ground,
    solids: Solids,
    compose: Compose,
    /// Made when first needed.
    lens: Option<Lens>,
    labels: Labels,
    staging: Staging,
    before: Cover,
    tiles: Vec<Tile>,
    nv12: Vec<u8>,
    last: Option<(SceneState, Conditions)>,
}

impl Scene {
    /// Opens the graphics device and makes everything that does not depend on a state.
    ///
    /// # Errors
    /// [`SceneError::NoAdapter`] without a Vulkan driver, [`SceneError::NoDevice`] if it does not open,
    /// [`SceneError::BadSize`] for a picture size that NV12 or the device does not allow.
    pub fn new(settings: SceneSettings) -> Result<Self, SceneError> {
        let (width, height) = (settings.width, settings.height);
        check_size(width, height, SIDE_PX_MAX)?;
        let gpu = Gpu::open()?;
        check_size(width, height, gpu.largest_side_px())?;
        let view_buffer = ground::view_buffer(&gpu);
        let crop_buffer = gpu.uniform("crop", size_of::<CropUniform>());
        let whole = Crop { x: 0, y: 0, width, height }.uniform(width, height);
        let whole_buffer = gpu.filled("whole crop", &[whole], wgpu::BufferUsages::UNIFORM);
        let ground = Ground::new(&gpu, width, height);
        let solids = Solids::new(&gpu, [&view_buffer, &crop_buffer, &whole_buffer], ground.distance());
        let staging = Staging::new(width, height);
        let bytes = nv12_bytes(&settings);
        let scene = Self {
            compose: Compose::new(&gpu, staging.cover.all().len(), bytes),
            lens: None,
            labels: Labels::new(&gpu, width, height),
            before: staging.cover.clone(),
            tiles: Vec::with_capacity(staging.cover.all().len()),
            nv12: vec![0; bytes],
            last: None,
            settings,
            view_buffer,
            crop_buffer,
            ground,
            solids,
            staging,
            gpu,
        };
        scene.gpu.check()?;
        Ok(scene)
    }

    /// What this scene was made with.
    #[must_use]
    pub fn settings(&self) -> &SceneSettings {
        &self.settings
    }

    /// Name of the adapter that draws, as its driver gives it; Mesa's CPU renderer is called `llvmpipe`.
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        self.gpu.adapter_name()
    }

    /// Size of a frame in bytes.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.nv12.len()
    }

    /// Draws a state and waits for the picture.
    ///
    /// Only what changed since the last frame is drawn: the tools, their shadows, targets and goals. Another camera
    /// pose or other fixtures draw the tissue anew, another seed bakes it anew.
    ///
    /// # Errors
    /// Those of [`SceneState::check`], and [`SceneError::DeviceFailed`] if the driver gives up.
    pub fn render(&mut self, state: &SceneState) -> Result<Frame<'_>, SceneError> {
        self.render_under(state, &Conditions::default())
    }

    /// As [`Self::render`], under these conditions.
    ///
    /// What light, fluids and the tissue's look change is drawn anew only when it changes; smoke, lens and sensor cost one
    /// pass over the whole picture each time.
    ///
    /// # Errors
    /// Those of [`Self::render`] and of [`Conditions::check`].
    pub fn render_under(
        &mut self,
        state: &SceneState,
        conditions: &Conditions,
    ) -> Result<Frame<'_>, SceneError> {
        state.check()?;
        conditions.check()?;
        if self.last.as_ref().is_some_and(|(then, under)| then == state && under == conditions) {
            self.tiles.clear();
        } else {
            self.draw(state, conditions)?;
        }
        Ok(Frame {
            width: self.settings.width,
            height: self.settings.height,
            nv12: &self.nv12,
            tiles_drawn: self.tiles.len(),
        })
    }

    /// As [`Self::render`], into a buffer of the caller's of exactly [`Self::frame_bytes`].
    ///
    /// # Errors
    /// Those of [`Self::render`], and [`SceneError::BufferSize`].
    pub fn render_into(&mut self, state: &SceneState, nv12: &mut [u8]) -> Result<(), SceneError> {
        if nv12.len() != self.nv12.len() {
            return Err(SceneError::BufferSize { given: nv12.len(), needed: self.nv12.len() });
        }
        let frame = self.render(state)?;
        nv12.copy_from_slice(frame.nv12);
        Ok(())
    }

    /// Draws the classes of a state, one byte a pixel, row after row; see [`Class`](crate::Class).
    ///
    /// A pixel has the class of what its middle shows, without blending. Shadows and ink have no class.
    ///
    /// # Errors
    /// As for [`Self::render`], and [`SceneError::BufferSize`] unless `labels` has a byte for every pixel.
    pub fn render_labels(&mut self, state: &SceneState, labels: &mut [u8]) -> Result<(), SceneError> {
        self.render_labels_under(state, &Conditions::default(), labels)
    }

    /// As [`Self::render_labels`], under these conditions: they say which instruments the tools are and how many vessels the
    /// tissue has. Nothing else in them moves or hides a label.
    ///
    /// # Errors
    /// Those of [`Self::render_labels`] and of [`Conditions::check`].
    pub fn render_labels_under(
        &mut self,
        state: &SceneState,
        conditions: &Conditions,
        labels: &mut [u8],
    ) -> Result<(), SceneError> {
        state.check()?;
        conditions.check()?;
        let needed = self.settings.width as usize * self.settings.height as usize;
        if labels.len() != needed {
            return Err(SceneError::BufferSize { given: labels.len(), needed });
        }
        self.grow_and_look(state, conditions);
        // The kept picture of the tissue may now belong to another camera.
        self.last = None;
        self.solids.place(&self.gpu, state, &postures(state, conditions));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.labels.draw(&mut encoder, &self.ground, &self.solids);
        self.gpu.queue.submit([encoder.finish()]);
        self.labels.read(&self.gpu, labels)
    }

    fn draw(&mut self, state: &SceneState, conditions: &Conditions) -> Result<(), SceneError> {
        let last = self.last.take();
        let same = |(last, under): &(SceneState, Conditions)| {
            last.camera == state.camera
                && last.seed == state.seed
                && last.fixtures == state.fixtures
                && under.same_ground(conditions)
        };
        let same_ground = last.as_ref().is_some_and(same);
        let view =
            if same_ground { self.view(state, conditions) } else { self.draw_ground(state, conditions)? };
        self.stage(&view, state, conditions, same_ground);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.draw_solids_and_compose(&mut encoder, conditions.are_rich());
        self.hand_over(&mut encoder, conditions);
        self.gpu.queue.submit([encoder.finish()]);
        let nv12 = &mut self.nv12;
        self.gpu.read_back(self.compose.readable(), |bytes| nv12.copy_from_slice(bytes))?;
        self.last = Some((state.clone(), *conditions));
        Ok(())
    }

    /// Draws the kept picture of the tissue anew and finds where each tile's piece of it lies.
    fn draw_ground(&mut self, state: &SceneState, conditions: &Conditions) -> Result<View, SceneError> {
        let view = self.grow_and_look(state, conditions);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        if conditions.are_rich() {
            self.ground.enrich(&self.gpu, &self.view_buffer);
            self.solids.enrich(&self.gpu, [&self.view_buffer, &self.crop_buffer], &self.ground);
        }
        self.ground.draw(&mut encoder, conditions.are_rich());
        self.gpu.queue.submit([encoder.finish()]);
        let staging = &mut self.staging;
        self.ground.read_distance(&self.gpu, |distance_m, row| staging.lay_out(&view, distance_m, row))?;
        Ok(view)
    }

    /// Finds what the state puts over the tissue, and which tiles that changes.
    fn stage(&mut self, view: &View, state: &SceneState, conditions: &Conditions, same_ground: bool) {
        let postures = postures(state, conditions);
        std::mem::swap(&mut self.before, &mut self.staging.cover);
        self.staging.set(view, state, &postures);
        if same_ground {
            self.staging.cover.changed_since(&self.before, &mut self.tiles);
        } else {
            self.tiles.clear();
            self.tiles.extend_from_slice(self.staging.cover.all());
        }
        self.solids.place(&self.gpu, state, &postures);
    }

    fn draw_solids_and_compose(&mut self, encoder: &mut wgpu::CommandEncoder, rich: bool) {
        let (width, height) = (self.settings.width, self.settings.height);
        // Without solids a small layer is bound, and no tile looks at it.
        let crop = self.staging.crop.unwrap_or(Crop { x: 0, y: 0, width: width / 8, height: height / 8 });
        self.gpu.queue.write_buffer(&self.crop_buffer, 0, bytemuck::bytes_of(&crop.uniform(width, height)));
        let layer = self.solids.layer(&self.gpu, [crop.width, crop.height]);
        let group = self.compose.group(&self.gpu, &self.view_buffer, &self.crop_buffer, &self.ground, layer);
        if self.staging.crop.is_some() {
            self.solids.draw(encoder, rich);
        }
        self.compose.run(&self.gpu, encoder, &self.staging.bodies, &self.tiles, &group);
    }

    /// Puts the picture where it can be read, through the lens if that does anything.
    fn hand_over(&mut self, encoder: &mut wgpu::CommandEncoder, conditions: &Conditions) {
        if !conditions.alter_lens() {
            return self.compose.copy(encoder, self.compose.composed());
        }
        let lens = self.lens.get_or_insert_with(|| Lens::new(&self.gpu, self.compose.composed()));
        let shown = lens.run(&self.gpu, encoder, conditions, [self.settings.width, self.settings.height]);
        self.compose.copy(encoder, shown);
    }

    /// Makes sure of the right tissue and hands the camera to the shaders.
    fn grow_and_look(&mut self, state: &SceneState, conditions: &Conditions) -> View {
        let dress = Dress::of(state.seed, conditions);
        if self.ground.dress() != Some(dress) {
            self.ground.grow(&self.gpu, &self.view_buffer, dress, &self.settings.base_from_tissue);
        }
        self.ground.furnish(&self.gpu, &self.view_buffer, &state.fixtures);
        let view = self.view(state, conditions);
        self.gpu.queue.write_buffer(&self.view_buffer, 0, bytemuck::bytes_of(&view.uniform()));
        view
    }

    fn view(&self, state: &SceneState, conditions: &Conditions) -> View {
        View {
            camera: state.camera,
            width_px: self.settings.width,
            height_px: self.settings.height,
            base_from_tissue: self.settings.base_from_tissue,
            lamp: Lamp::of(conditions),
        }
    }
}

/// The tools as the instruments that they are.
fn postures(state: &SceneState, conditions: &Conditions) -> Vec<Posture> {
    state.tools.iter().zip(&conditions.instruments).map(|(tool, what)| Posture::of(tool, *what)).collect()
}

fn nv12_bytes(settings: &SceneSettings) -> usize {
    settings.width as usize * settings.height as usize * 3 / 2
}

pub(crate) fn check_size(width: u32, height: u32, max: u32) -> Result<(), SceneError> {
    let within = |side: u32| (SIDE_PX_MIN..=max).contains(&side);
    if within(width) && within(height) && width.is_multiple_of(4) && height.is_multiple_of(2) {
        Ok(())
    } else {
        Err(SceneError::BadSize { width, height, min: SIDE_PX_MIN, max })
    }
}
