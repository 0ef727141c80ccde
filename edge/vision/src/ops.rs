//! The kernels as candle's operations, each with its way back, so that one net both runs and learns.
//!
//! Candle's own grouped convolution takes six times as long on a processor, and its own way back through an upsampling is wrong.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Tensor};

use crate::kernels::{self, Plane};

/// 3 x 3, each channel by itself, over (pictures, channels, rows, columns), with (channels, 1, 3, 3) and (channels).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depthwise {
    pub(crate) stride: usize,
    pub(crate) relu: bool,
}

/// Adds (channels) to (pictures, channels, ...), and cuts below zero if `relu`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BiasRelu {
    pub(crate) relu: bool,
}

/// (pictures, channels, rows, columns) to (pictures, channels and taps, output pixels).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

/// Each value four times, cut to this height and width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upsample {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        kernel: &CpuStorage,
        kernel_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (pictures, channels, height, width) = input_layout.shape().dims4()?;
        let plane = Plane { height, width, stride: self.stride };
        let from = (values(input, input_layout)?, values(kernel, kernel_layout)?, values(bias, bias_layout)?);
        let mut output = vec![0.0; pictures * channels * plane.out_len()];
        kernels::depthwise(plane, from, self.relu, &mut output);
        let shape = Shape::from((pictures, channels, plane.out_height(), plane.out_width()));
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(
        &self,
        input: &Tensor,
        kernel: &Tensor,
        _bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, channels, height, width) = input.dims4()?;
        let plane = Plane { height, width, stride: self.stride };
        let gradient = before_relu(self.relu, output, gradient)?;
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (of_input, of_planes) =
            kernels::depthwise_backward(plane, (&flat(input)?, &flat(kernel)?), &gradient);
        let mut of_kernel = vec![0.0; channels * 9];
        for (index, of_plane) in of_planes.iter().enumerate() {
            let of = &mut of_kernel[index % channels * 9..][..9];
            of.iter_mut().zip(of_plane).for_each(|(of, one)| *of += one);
        }
        let of_bias = sums(plane.out_len(), channels, &gradient);
        let device = input.device();
        Ok((
            Some(Tensor::from_vec(of_input, input.shape(), device)?),
            Some(Tensor::from_vec(of_kernel, kernel.shape(), device)?),
            Some(Tensor::from_vec(of_bias, channels, device)?),
        ))
    }
}

impl CustomOp2 for BiasRelu {
    fn name(&self) -> &'static str {
        "bias-relu"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut output = values(input, input_layout)?.to_vec();
        let plane = plane_of(input_layout.shape());
        kernels::bias_relu(plane, values(bias, bias_layout)?, self.relu, &mut output);
        Ok((CpuStorage::F32(output), input_layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = before_relu(self.relu, output, gradient)?;
        let of_bias = sums(plane_of(input.shape()), bias.elem_count(), &gradient);
        let device = input.device();
        Ok((
            Some(Tensor::from_vec(gradient, input.shape(), device)?),
            Some(Tensor::from_vec(of_bias, bias.shape(), device)?),
        ))
    }
}

impl CustomOp1 for Columns {
    fn name(&self) -> &'static str {
        "columns"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (pictures, channels, height, width) = layout.shape().dims4()?;
        let plane = Plane { height, width, stride: self.stride };
        let rows = channels * self.kernel * self.kernel;
        let mut output = vec![0.0; pictures * rows * plane.out_len()];
        let input = values(input, layout)?;
        let pairs =
            input.chunks_exact(channels * plane.len()).zip(output.chunks_exact_mut(rows * plane.out_len()));
        pairs.for_each(|(input, output)| kernels::columns(plane, self.kernel, input, output));
        Ok((CpuStorage::F32(output), Shape::from((pictures, rows, plane.out_len()))))
    }
}

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (pictures, channels, height, width) = layout.shape().dims4()?;
        let mut output = vec![0.0; pictures * channels * self.height * self.width];
        let input = values(input, layout)?;
        kernels::upsample((height, width), (self.height, self.width), input, &mut output);
        Ok((CpuStorage::F32(output), Shape::from((pictures, channels, self.height, self.width))))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, height, width) = input.dims4()?;
        let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        let of_input = kernels::upsample_backward((height, width), (self.height, self.width), &gradient);
        Ok(Some(Tensor::from_vec(of_input, input.shape(), input.device())?))
    }
}

/// The gradient, without what the cut below zero swallowed.
fn before_relu(relu: bool, output: &Tensor, gradient: &Tensor) -> Result<Vec<f32>> {
    let mut gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
    if relu {
        let output = output.flatten_all()?.to_vec1::<f32>()?;
        gradient.iter_mut().zip(output).for_each(|(of, value)| *of = if value > 0.0 { *of } else { 0.0 });
    }
    Ok(gradient)
}

/// By channel, over all pictures.
fn sums(plane: usize, channels: usize, gradient: &[f32]) -> Vec<f32> {
    let mut of_bias = vec![0.0; channels];
    for (index, plane) in gradient.chunks_exact(plane).enumerate() {
        of_bias[index % channels] += plane.iter().sum::<f32>();
    }
    of_bias
}

fn plane_of(shape: &Shape) -> usize {
    shape.dims().iter().skip(2).product()
}

/// A tensor that lies in memory as it is counted.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else {
        return Err(Error::RequiresContiguous { op: "vision" }.bt());
    };
    Ok(&storage.as_slice::<f32>()?[from..to])
}
