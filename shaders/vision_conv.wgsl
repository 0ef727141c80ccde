// The layers of the net. All values stand in one buffer, channel after channel and row after row; a layer says where it reads and writes.
// Zeros stand outside a picture, so a result is as large as what it came from, divided by the stride and rounded up.

struct Layer {
    input_at: u32,
    output_at: u32,
    // Where the weights begin, in fours.
    weights_at: u32,
    inputs: u32,
    outputs: u32,
    // Side of the kernel.
    kernel: u32,
    // For `repeat`: how many times each value stands beside itself.
    stride: u32,
    relu: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
}

@group(0) @binding(0) var<storage, read_write> values: array<f32>;
// Of convolutions: for every eight outputs their biases, then for each input and tap their eight weights, with zeros where there are fewer
// outputs. Of depthwise layers: for each channel nine weights, the bias, and two zeros.
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> layer: Layer;

fn put(channel: u32, pixel: u32, value: f32) {
    if (channel < layer.outputs) {
        let cut = select(value, max(value, 0.0), layer.relu == 1u);
        values[layer.output_at + channel * layer.out_height * layer.out_width + pixel] = cut;
    }
}

fn put_eight(channel: u32, pixel: u32, low: vec4<f32>, high: vec4<f32>) {
    put(channel, pixel, low.x);
    put(channel + 1u, pixel, low.y);
    put(channel + 2u, pixel, low.z);
    put(channel + 3u, pixel, low.w);
    put(channel + 4u, pixel, high.x);
    put(channel + 5u, pixel, high.y);
    put(channel + 6u, pixel, high.z);
    put(channel + 7u, pixel, high.w);
}

// 1 x 1: eight outputs of one pixel a thread, so that each value is read once for eight products.
@compute @workgroup_size(64)
fn pointwise(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group.x * 64u + lane;
    let plane = layer.out_height * layer.out_width;
    if (pixel >= plane) {
        return;
    }
    var at = layer.weights_at + group.y * (1u + layer.inputs) * 2u;
    var low = weights[at];
    var high = weights[at + 1u];
    for (var input = 0u; input < layer.inputs; input++) {
        at += 2u;
        let value = values[layer.input_at + input * plane + pixel];
        low += value * weights[at];
        high += value * weights[at + 1u];
    }
    put_eight(group.y * 8u, pixel, low, high);
}

// Any odd kernel and any stride, eight outputs of one pixel a thread.
@compute @workgroup_size(64)
fn convolve(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group.x * 64u + lane;
    if (pixel >= layer.out_height * layer.out_width) {
        return;
    }
    let taps = layer.kernel * layer.kernel;
    // Where the kernel begins; wrapped below zero it is beyond every side.
    let top = pixel / layer.out_width * layer.stride - layer.kernel / 2u;
    let left = pixel % layer.out_width * layer.stride - layer.kernel / 2u;
    var at = layer.weights_at + group.y * (1u + layer.inputs * taps) * 2u;
    var low = weights[at];
    var high = weights[at + 1u];
    for (var input = 0u; input < layer.inputs; input++) {
        for (var tap = 0u; tap < taps; tap++) {
            at += 2u;
            let y = top + tap / layer.kernel;
            let x = left + tap % layer.kernel;
            if (y < layer.height && x < layer.width) {
                let value = values[layer.input_at + (input * layer.height + y) * layer.width + x];
                low += value * weights[at];
                high += value * weights[at + 1u];
            }
        }
    }
    put_eight(group.y * 8u, pixel, low, high);
}

// Three neighbours in a row of the input, the first at `left`; the one between the others is always inside.
fn row(line: u32, left: u32, y: u32) -> vec3<f32> {
    var three = vec3<f32>(0.0);
    if (y < layer.height) {
        let at = line + y * layer.width;
        if (left < layer.width) {
            three.x = values[at + left];
        }
        three.y = values[at + left + 1u];
        if (left + 2u < layer.width) {
            three.z = values[at + left + 2u];
        }
    }
    return three;
}

// 3 x 3, each channel by itself.
@compute @workgroup_size(64)
fn depthwise(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group.x * 64u + lane;
    if (pixel >= layer.out_height * layer.out_width) {
        return;
    }
    let a = weights[layer.weights_at + group.y * 3u];
    let b = weights[layer.weights_at + group.y * 3u + 1u];
    let c = weights[layer.weights_at + group.y * 3u + 2u];
    let top = pixel / layer.out_width * layer.stride - 1u;
    let left = pixel % layer.out_width * layer.stride - 1u;
    let line = layer.input_at + group.y * layer.height * layer.width;
    let sum = c.y
        + dot(row(line, left, top), a.xyz)
        + dot(row(line, left, top + 1u), vec3<f32>(a.w, b.xy))
        + dot(row(line, left, top + 2u), vec3<f32>(b.zw, c.x));
    put(group.y, pixel, sum);
}

// Each value `stride` times beside and below itself, cut to the result's sides; once is a copy.
@compute @workgroup_size(64)
fn repeat(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group.x * 64u + lane;
    if (pixel >= layer.out_height * layer.out_width) {
        return;
    }
    let y = pixel / layer.out_width / layer.stride;
    let x = pixel % layer.out_width / layer.stride;
    put(group.y, pixel, values[layer.input_at + (group.y * layer.height + y) * layer.width + x]);
}
