//! The graphics device and a few makers of its objects, so that the passes read as what they draw.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::SceneError;

/// An open device with its queue, and the first fault it reported.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    adapter: wgpu::AdapterInfo,
    fault: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Opens the best Vulkan adapter: a real GPU where there is one, else Mesa's renderer on the CPU.
    pub(crate) fn open() -> Result<Self, SceneError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let wanted = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&wanted))
            .map_err(|e| SceneError::NoAdapter { reason: e.to_string() })?;
        let info = adapter.get_info();
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))
            .map_err(|e| SceneError::NoDevice { adapter: info.name.clone(), reason: e.to_string() })?;
        let fault = watch(&device);
        tracing::info!(adapter = %info.name, driver = %info.driver_info, "the scene is drawn by this adapter");
        Ok(Self { device, queue, adapter: info, fault })
    }

    pub(crate) fn adapter_name(&self) -> &str {
        &self.adapter.name
    }

    pub(crate) fn largest_side_px(&self) -> u32 {
        self.device.limits().max_texture_dimension_2d
    }

    /// The first fault since the device was opened, if there was one.
    pub(crate) fn check(&self) -> Result<(), SceneError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.as_ref().map_or(Ok(()), |reason| Err(SceneError::DeviceFailed { reason: reason.clone() }))
    }

    pub(crate) fn shader(&self, label: &str, wgsl: &str) -> wgpu::ShaderModule {
        self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        })
    }

    /// A shader of surfaces that the lamp lights: after what they share.
    pub(crate) fn lit_shader(&self, label: &str, wgsl: &str) -> wgpu::ShaderModule {
        self.shader(label, &[include_str!("../../../shaders/lamp.wgsl"), wgsl].concat())
    }

    pub(crate) fn buffer(&self, label: &str, size: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = (size as u64).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    pub(crate) fn uniform(&self, label: &str, size: usize) -> wgpu::Buffer {
        self.buffer(label, size, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    /// A buffer that holds these values from the start.
    pub(crate) fn filled<T: bytemuck::NoUninit>(
        &self,
        label: &str,
        values: &[T],
        usage: wgpu::BufferUsages,
    ) -> wgpu::Buffer {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let buffer = self.buffer(label, bytes.len(), usage | wgpu::BufferUsages::COPY_DST);
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    pub(crate) fn texture(&self, wanted: &TextureOf) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(wanted.label),
            size: wgpu::Extent3d { width: wanted.width, height: wanted.height, depth_or_array_layers: 1 },
            mip_level_count: wanted.mips,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wanted.format,
            usage: wanted.usage,
            view_formats: &[],
        })
    }

    /// The bindings of group 0 in the order of their numbers, from `(number, resource)`.
    pub(crate) fn bind(
        &self,
        label: &str,
        layout: &wgpu::BindGroupLayout,
        resources: &[(u32, wgpu::BindingResource<'_>)],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = resources
            .iter()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: *binding, resource: resource.clone() })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout,
            entries: &entries,
        })
    }

    pub(crate) fn pipeline(&self, wanted: &PipelineOf<'_>) -> wgpu::RenderPipeline {
        let targets: Vec<_> = wanted.targets.iter().cloned().map(Some).collect();
        let buffers: Vec<_> = wanted.buffers.iter().cloned().map(Some).collect();
        self.device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some(wanted.label),
            layout: None,
            vertex: wgpu::VertexState {
                module: wanted.shader,
                entry_point: Some(wanted.vertex),
                compilation_options: Default::default(),
                buffers: &buffers,
            },
            fragment: Some(wgpu::FragmentState {
                module: wanted.shader,
                entry_point: Some(wanted.fragment),
                compilation_options: Default::default(),
                targets: &targets,
            }),
            primitive: wgpu::PrimitiveState {
                topology: wanted.topology,
                cull_mode: wanted.cull,
                ..Default::default()
            },
            depth_stencil: wanted.depth.then(depth_state),
            multisample: Default::default(),
            multiview_mask: None,
            cache: None,
        })
    }

    /// Waits until all submitted work is done.
    pub(crate) fn wait(&self) -> Result<(), SceneError> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        polled.map_err(|e| SceneError::DeviceFailed { reason: e.to_string() })?;
        self.check()
    }

    /// Hands the content of a buffer, for which a copy was submitted, to `read`.
    pub(crate) fn read_back<R>(
        &self,
        buffer: &wgpu::Buffer,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, SceneError> {
        // The outcome of the mapping shows in `get_mapped_range`.
        buffer.map_async(wgpu::MapMode::Read, .., |_| {});
        self.wait()?;
        let view =
            buffer.get_mapped_range(..).map_err(|e| SceneError::DeviceFailed { reason: e.to_string() })?;
        let result = read(&view);
        drop(view);
        buffer.unmap();
        Ok(result)
    }
}

/// What a texture shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextureOf {
    pub(crate) label: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) mips: u32,
    pub(crate) format: wgpu::TextureFormat,
    pub(crate) usage: wgpu::TextureUsages,
}

/// What a drawing pipeline shall be.
#[derive(Debug)]
pub(crate) struct PipelineOf<'a> {
    pub(crate) label: &'static str,
    pub(crate) shader: &'a wgpu::ShaderModule,
    pub(crate) vertex: &'static str,
    pub(crate) fragment: &'static str,
    pub(crate) buffers: &'a [wgpu::VertexBufferLayout<'a>],
    pub(crate) targets: &'a [wgpu::ColorTargetState],
    pub(crate) topology: wgpu::PrimitiveTopology,
    pub(crate) depth: bool,
    pub(crate) cull: Option<wgpu::Face>,
}

pub(crate) const DEPTH_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Depth32Float;

/// The whole of a texture.
pub(crate) fn whole(texture: &wgpu::Texture) -> wgpu::TextureView {
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}

/// A colour attachment that begins with `clear`.
pub(crate) fn cleared(
    view: &wgpu::TextureView,
    clear: wgpu::Color,
) -> Option<wgpu::RenderPassColorAttachment<'_>> {
    Some(wgpu::RenderPassColorAttachment {
        view,
        depth_slice: None,
        resolve_target: None,
        ops: wgpu::Operations { load: wgpu::LoadOp::Clear(clear), store: wgpu::StoreOp::Store },
    })
}

/// A depth attachment that begins far away and is not kept.
pub(crate) fn fresh_depth(view: &wgpu::TextureView) -> wgpu::RenderPassDepthStencilAttachment<'_> {
    wgpu::RenderPassDepthStencilAttachment {
        view,
        depth_ops: Some(wgpu::Operations { load: wgpu::LoadOp::Clear(1.0), store: wgpu::StoreOp::Discard }),
        stencil_ops: None,
    }
}

fn depth_state() -> wgpu::DepthStencilState {
    wgpu::DepthStencilState {
        format: DEPTH_FORMAT,
        depth_write_enabled: Some(true),
        depth_compare: Some(wgpu::CompareFunction::Less),
        stencil: Default::default(),
        bias: Default::default(),
    }
}

/// Keeps the first fault, because wgpu's own answer to one is a panic.
fn watch(device: &wgpu::Device) -> Arc<Mutex<Option<String>>> {
    let fault = Arc::new(Mutex::new(None));
    let keep = |into: &Arc<Mutex<Option<String>>>| {
        let into = Arc::clone(into);
        move |reason: String| {
            into.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        }
    };
    let (on_error, on_lost) = (keep(&fault), keep(&fault));
    device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| on_error(e.to_string())));
    device.set_device_lost_callback(move |why, text| {
        if why != wgpu::DeviceLostReason::Destroyed {
            on_lost(text);
        }
    });
    fault
}
