//! The ground truth: one class a pixel, drawn on request.

use crate::error::SceneError;
use crate::gpu::{self, Gpu, TextureOf};
use crate::ground::{Ground, LABEL_FORMAT};
use crate::solids::Solids;

/// The textures that labels are drawn into and the buffer they are read from.
#[derive(Debug)]
pub(crate) struct Labels {
    width: u32,
    height: u32,
    picture: wgpu::Texture,
    depth: wgpu::TextureView,
    readable: wgpu::Buffer,
}

impl Labels {
    pub(crate) fn new(gpu: &Gpu, width: u32, height: u32) -> Self {
        let make =
            |label, format, usage| gpu.texture(&TextureOf { label, width, height, mips: 1, format, usage });
        let attachment = wgpu::TextureUsages::RENDER_ATTACHMENT;
        let mapped = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let bytes = padded(width) as usize * height as usize;
        Self {
            width,
            height,
            picture: make("labels", LABEL_FORMAT, attachment | wgpu::TextureUsages::COPY_SRC),
            depth: gpu::whole(&make("label depth", gpu::DEPTH_FORMAT, attachment)),
            readable: gpu.buffer("labels to read", bytes, mapped),
        }
    }

    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, ground: &Ground, solids: &Solids) {
        let view = gpu::whole(&self.picture);
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("labels"),
            color_attachments: &[gpu::cleared(&view, wgpu::Color::TRANSPARENT)],
            depth_stencil_attachment: Some(gpu::fresh_depth(&self.depth)),
            ..Default::default()
        });
        ground.draw_labels(&mut pass);
        solids.draw_labels(&mut pass);
        drop(pass);
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(padded(self.width)),
            rows_per_image: None,
        };
        encoder.copy_texture_to_buffer(
            self.picture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &self.readable, layout },
            self.picture.size(),
        );
    }

    /// Reads what was drawn, row after row without padding. `into` has a byte for every pixel.
    pub(crate) fn read(&self, gpu: &Gpu, into: &mut [u8]) -> Result<(), SceneError> {
        let (row, padded_row) = (self.width as usize, padded(self.width) as usize);
        debug_assert_eq!(into.len(), row * self.height as usize, "the caller checks the size");
        gpu.read_back(&self.readable, |bytes| {
            for (to, from) in into.chunks_exact_mut(row).zip(bytes.chunks_exact(padded_row)) {
                to.copy_from_slice(&from[..row]);
            }
        })
    }
}

/// Rows of a copy begin at multiples of this many bytes.
fn padded(width: u32) -> u32 {
    width.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT)
}
