//! The inner loops, over plain slices: row after row, with zeros outside the picture. Compiled for the widest registers that
//! this processor has.

use rayon::prelude::*;

/// One channel's sizes, before and after a 3 x 3 kernel with this stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl Plane {
    pub(crate) fn len(self) -> usize {
        self.height * self.width
    }

    pub(crate) fn out_height(self) -> usize {
        self.height.div_ceil(self.stride)
    }

    pub(crate) fn out_width(self) -> usize {
        self.width.div_ceil(self.stride)
    }

    pub(crate) fn out_len(self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Rows of the input that a row of the kernel (0 to 2) meets, with the output row.
    fn meets(self, row: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..self.out_height()).filter_map(move |out| {
            let from = (out * self.stride + row).checked_sub(1)?;
            (from < self.height).then_some((out, from))
        })
    }
}

/// Runs `work` with the instructions of this processor, as far as all that it calls is inlined.
fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Every channel with its own 3 x 3 kernel: `output` is bias plus products, and not below zero if `relu`.
pub(crate) fn depthwise(
    plane: Plane,
    (input, kernels, biases): (&[f32], &[f32], &[f32]),
    relu: bool,
    output: &mut [f32],
) {
    let channels = biases.len();
    let each = |(index, output): (usize, &mut [f32])| {
        let channel = index % channels;
        let input = &input[index * plane.len()..][..plane.len()];
        let kernel = kernels[channel * 9..].first_chunk().expect("nine a channel");
        widest(|| channel_forward(plane, (input, kernel, biases[channel]), relu, output));
    };
    output.par_chunks_mut(plane.out_len()).enumerate().for_each(each);
}

#[inline(always)]
fn channel_forward(
    plane: Plane,
    (input, kernel, bias): (&[f32], &[f32; 9], f32),
    relu: bool,
    output: &mut [f32],
) {
    let zeros = vec![0.0; plane.width];
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    for (y, out) in output.chunks_exact_mut(plane.out_width()).enumerate() {
        let row = |row: usize| match (y * plane.stride + row).checked_sub(1) {
            Some(from) if from < plane.height => &input[from * plane.width..][..plane.width],
            _ => &zeros[..],
        };
        let rows = [row(0), row(1), row(2)];
        if plane.stride == 1 {
            row_of_ones(rows, kernel, bias, floor, out);
        } else {
            row_of_steps(plane.stride, rows, kernel, bias, floor, out);
        }
    }
}

/// All three rows and the output are equally long.
#[inline(always)]
fn row_of_ones(rows: [&[f32]; 3], kernel: &[f32; 9], bias: f32, floor: f32, out: &mut [f32]) {
    let width = out.len();
    let [a, b, c] = rows.map(|row| &row[..width]);
    let [k0, k1, k2, k3, k4, k5, k6, k7, k8] = *kernel;
    if width >= 3 {
        let inner = width - 2;
        let (a0, a1, a2) = (&a[..inner], &a[1..][..inner], &a[2..][..inner]);
        let (b0, b1, b2) = (&b[..inner], &b[1..][..inner], &b[2..][..inner]);
        let (c0, c1, c2) = (&c[..inner], &c[1..][..inner], &c[2..][..inner]);
        let out = &mut out[1..][..inner];
        for i in 0..inner {
            let upper = a0[i] * k0 + a1[i] * k1 + a2[i] * k2;
            let middle = b0[i] * k3 + b1[i] * k4 + b2[i] * k5;
            let lower = c0[i] * k6 + c1[i] * k7 + c2[i] * k8;
            out[i] = (bias + upper + middle + lower).max(floor);
        }
    }
    for x in [0, width - 1] {
        out[x] = pixel(x, rows, kernel, bias).max(floor);
    }
}

#[inline(always)]
fn row_of_steps(stride: usize, rows: [&[f32]; 3], kernel: &[f32; 9], bias: f32, floor: f32, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = pixel(i * stride, rows, kernel, bias).max(floor);
    }
}

/// The kernel with its middle at `x`.
#[inline(always)]
fn pixel(x: usize, rows: [&[f32]; 3], kernel: &[f32; 9], bias: f32) -> f32 {
    let mut sum = bias;
    for (row, taps) in rows.iter().zip(kernel.as_chunks::<3>().0) {
        sum += row[x] * taps[1];
        if x > 0 {
            sum += row[x - 1] * taps[0];
        }
        if let Some(right) = row.get(x + 1) {
            sum += right * taps[2];
        }
    }
    sum
}

/// What [`depthwise`] owes to its input and its kernels, from the gradient of its output before any `relu`:
/// the gradients of the input, and of each plane's kernel.
pub(crate) fn depthwise_backward(
    plane: Plane,
    (input, kernels): (&[f32], &[f32]),
    gradient: &[f32],
) -> (Vec<f32>, Vec<[f32; 9]>) {
    let channels = kernels.len() / 9;
    let mut of_input = vec![0.0; input.len()];
    let each = |(index, of_input): (usize, &mut [f32])| {
        let input = &input[index * plane.len()..][..plane.len()];
        let gradient = &gradient[index * plane.out_len()..][..plane.out_len()];
        let kernel = kernels[(index % channels) * 9..].first_chunk().expect("nine a channel");
        widest(|| channel_backward(plane, (input, kernel), gradient, of_input))
    };
    let of_kernels = of_input.par_chunks_mut(plane.len()).enumerate().map(each).collect();
    (of_input, of_kernels)
}

#[inline(always)]
fn channel_backward(
    plane: Plane,
    (input, kernel): (&[f32], &[f32; 9]),
    gradient: &[f32],
    of_input: &mut [f32],
) -> [f32; 9] {
    let mut of_kernel = [0.0; 9];
    let (width, out_width) = (plane.width, plane.out_width());
    for row in 0..3 {
        for (out, from) in plane.meets(row) {
            let gradient = &gradient[out * out_width..][..out_width];
            let input = &input[from * width..][..width];
            let of_input = &mut of_input[from * width..][..width];
            for column in 0..3 {
                let tap = row * 3 + column;
                of_kernel[tap] +=
                    tap_backward(plane.stride, column, kernel[tap], (gradient, input), of_input);
            }
        }
    }
    of_kernel
}

/// One tap over one row: spreads the gradient to the input and returns the tap's own.
#[inline(always)]
fn tap_backward(
    stride: usize,
    column: usize,
    weight: f32,
    (gradient, input): (&[f32], &[f32]),
    of_input: &mut [f32],
) -> f32 {
    let first = usize::from(column == 0); // the first output's left tap lies outside
    let start = (first * stride + column) - 1;
    let Some(reach) = input.len().checked_sub(start).filter(|reach| *reach > 0) else { return 0.0 };
    let count = reach.div_ceil(stride).min(gradient.len() - first);
    let gradient = &gradient[first..][..count];
    if stride == 1 {
        let (input, of_input) = (&input[start..][..count], &mut of_input[start..][..count]);
        for (of, gradient) in of_input.iter_mut().zip(gradient) {
            *of += gradient * weight;
        }
        return dot(gradient, input);
    }
    let mut sum = 0.0;
    for (i, gradient) in gradient.iter().enumerate() {
        let at = start + i * stride;
        of_input[at] += gradient * weight;
        sum += gradient * input[at];
    }
    sum
}

/// In eight sums, so that it can be done eight at a time.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Adds each plane's bias in place, and cuts below zero if `relu`.
pub(crate) fn bias_relu(plane: usize, biases: &[f32], relu: bool, values: &mut [f32]) {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    let each = |(index, values): (usize, &mut [f32])| {
        let bias = biases[index % biases.len()];
        widest(|| values.iter_mut().for_each(|value| *value = (*value + bias).max(floor)));
    };
    values.par_chunks_mut(plane).enumerate().for_each(each);
}

/// For each tap of a kernel, the pixels that it meets: a column for every output pixel, a row for every channel and tap.
pub(crate) fn columns(plane: Plane, kernel: usize, input: &[f32], output: &mut [f32]) {
    let each = |(index, output): (usize, &mut [f32])| {
        let (channel, tap) = (index / (kernel * kernel), index % (kernel * kernel));
        let input = &input[channel * plane.len()..][..plane.len()];
        let (row, column) = (tap / kernel, tap % kernel);
        gather(plane, (row, column, kernel / 2), input, output);
    };
    output.par_chunks_mut(plane.out_len()).enumerate().for_each(each);
}

fn gather(plane: Plane, (row, column, half): (usize, usize, usize), input: &[f32], output: &mut [f32]) {
    for (y, out) in output.chunks_exact_mut(plane.out_width()).enumerate() {
        let from = (y * plane.stride + row).checked_sub(half).filter(|from| *from < plane.height);
        let Some(from) = from else {
            out.fill(0.0);
            continue;
        };
        let input = &input[from * plane.width..][..plane.width];
        for (x, out) in out.iter_mut().enumerate() {
            let at = (x * plane.stride + column).checked_sub(half);
            *out = at.and_then(|at| input.get(at)).copied().unwrap_or(0.0);
        }
    }
}

/// Repeats values to twice the sides, cut to `height` and `width`.
pub(crate) fn upsample(
    from: (usize, usize),
    (height, width): (usize, usize),
    input: &[f32],
    output: &mut [f32],
) {
    let each = |(index, output): (usize, &mut [f32])| {
        let input = &input[index * from.0 * from.1..][..from.0 * from.1];
        for (y, out) in output.chunks_exact_mut(width).enumerate() {
            let input = &input[y / 2 * from.1..][..from.1];
            for (pair, value) in out.chunks_mut(2).zip(input) {
                pair.fill(*value);
            }
        }
    };
    output.par_chunks_mut(height * width).enumerate().for_each(each);
}

/// The gradient of [`upsample`]'s input: the sums over what each value became.
pub(crate) fn upsample_backward(
    from: (usize, usize),
    (height, width): (usize, usize),
    gradient: &[f32],
) -> Vec<f32> {
    let planes = gradient.len() / (height * width);
    let mut of_input = vec![0.0; planes * from.0 * from.1];
    let each = |(index, of_input): (usize, &mut [f32])| {
        let gradient = &gradient[index * height * width..][..height * width];
        for (y, gradient) in gradient.chunks_exact(width).enumerate() {
            let of_input = &mut of_input[y / 2 * from.1..][..from.1];
            for (of, pair) in of_input.iter_mut().zip(gradient.chunks(2)) {
                *of += pair.iter().sum::<f32>();
            }
        }
    };
    of_input.par_chunks_mut(from.0 * from.1).enumerate().for_each(each);
    of_input
}
