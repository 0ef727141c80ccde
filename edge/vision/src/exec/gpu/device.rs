//! The graphics device, the first fault that it reported, and a few makers of its objects.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::GpuError;

/// A pass takes milliseconds; what is not done by then never will be.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) adapter: String,
    fault: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// The best Vulkan adapter: a real GPU where there is one, else Mesa's renderer on the processor.
    pub(super) fn open() -> Result<Self, GpuError> {
        Self::of(&best()?)
    }

    /// No renderer on the processor.
    pub(super) fn open_hardware() -> Result<Self, GpuError> {
        let adapter = best()?;
        let info = adapter.get_info();
        if info.device_type == wgpu::DeviceType::Cpu {
            return Err(GpuError::Software { adapter: info.name });
        }
        Self::of(&adapter)
    }

    fn of(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let name = adapter.get_info().name;
        let opened = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()));
        let (device, queue) = opened
            .map_err(|error| GpuError::NoDevice { adapter: name.clone(), reason: error.to_string() })?;
        let fault = watch(&device);
        Ok(Self { device, queue, adapter: name, fault })
    }

    /// Bytes that a shader can be given at once.
    pub(super) fn bytes_max(&self) -> u64 {
        let limits = self.device.limits();
        limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
    }

    pub(super) fn buffer(&self, label: &str, bytes: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = (bytes as u64).max(16).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT);
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    pub(super) fn filled<T: bytemuck::NoUninit>(
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

    pub(super) fn shader(&self, label: &str, wgsl: &str) -> wgpu::ShaderModule {
        self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        })
    }

    pub(super) fn pipeline(
        &self,
        shader: &wgpu::ShaderModule,
        entry: &str,
        layout: Option<&wgpu::PipelineLayout>,
    ) -> wgpu::ComputePipeline {
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout,
            module: shader,
            entry_point: Some(entry),
            compilation_options: Default::default(),
            cache: None,
        })
    }

    /// Bindings of group 0, numbered in this order.
    pub(super) fn bind(
        &self,
        layout: &wgpu::BindGroupLayout,
        resources: &[wgpu::BindingResource<'_>],
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
    }

    /// Waits until all submitted work is done.
    pub(super) fn wait(&self) -> Result<(), GpuError> {
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(WAIT_MAX) };
        let polled = self.device.poll(wait);
        self.check()?;
        polled.map(|_| ()).map_err(|error| GpuError::Failed { reason: error.to_string() })
    }

    /// The first fault since the device was opened, if there was one.
    pub(super) fn check(&self) -> Result<(), GpuError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.as_ref().map_or(Ok(()), |reason| Err(GpuError::Failed { reason: reason.clone() }))
    }

    /// Hands over what a buffer holds, for which a copy was submitted.
    pub(super) fn read<R>(
        &self,
        buffer: &wgpu::Buffer,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, GpuError> {
        // The outcome of the mapping shows in `get_mapped_range`.
        buffer.map_async(wgpu::MapMode::Read, .., |_| {});
        self.wait()?;
        let view =
            buffer.get_mapped_range(..).map_err(|error| GpuError::Failed { reason: error.to_string() })?;
        let result = read(&view);
        drop(view);
        buffer.unmap();
        Ok(result)
    }
}

fn best() -> Result<wgpu::Adapter, GpuError> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let wanted = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    pollster::block_on(instance.request_adapter(&wanted))
        .map_err(|error| GpuError::NoAdapter { reason: error.to_string() })
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
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| on_error(error.to_string())));
    device.set_device_lost_callback(move |_, text| on_lost(format!("the device is lost: {text}")));
    fault
}
