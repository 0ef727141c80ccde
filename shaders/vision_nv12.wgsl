// A camera's frame (NV12, BT.709 in limited range) as the net takes it: brightness and colour averaged over the area of each of the net's
// pixels, then red, green and blue from 0 to 1, less a mean, over a spread.
//
// Areas are counted in whole numbers: a pixel of the frame is as wide as the net's picture has pixels, a pixel of the net's as the frame
// has. So the sums are exact; with sides up to 4096 they stay below 2^32.

struct Frame {
    width: u32,
    height: u32,
    out_width: u32,
    out_height: u32,
    mean: f32,
    spread: f32,
    // Where the net's picture begins.
    picture_at: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read> bytes: array<u32>;
@group(0) @binding(2) var<uniform> frame: Frame;

fn byte(at: u32) -> u32 {
    return (bytes[at >> 2u] >> ((at & 3u) * 8u)) & 255u;
}

// How much of the frame's pixel `at`, one of `side`, lies in the net's pixel `pixel`, one of `out_side`.
fn part(at: u32, pixel: u32, side: u32, out_side: u32) -> u32 {
    return min((at + 1u) * out_side, (pixel + 1u) * side) - max(at * out_side, pixel * side);
}

fn first(pixel: u32, side: u32, out_side: u32) -> u32 {
    return pixel * side / out_side;
}

fn end(pixel: u32, side: u32, out_side: u32) -> u32 {
    return ((pixel + 1u) * side + out_side - 1u) / out_side;
}

fn luma(x: u32, y: u32) -> f32 {
    let end_x = end(x, frame.width, frame.out_width);
    let end_y = end(y, frame.height, frame.out_height);
    var sum = 0u;
    for (var row = first(y, frame.height, frame.out_height); row < end_y; row++) {
        var line = 0u;
        for (var at = first(x, frame.width, frame.out_width); at < end_x; at++) {
            line += byte(row * frame.width + at) * part(at, x, frame.width, frame.out_width);
        }
        sum += line * part(row, y, frame.height, frame.out_height);
    }
    return f32(sum) / f32(frame.width * frame.height);
}

// Blue's and red's difference: one pair for four pixels, after the brightness.
fn chroma(x: u32, y: u32) -> vec2<f32> {
    let width = frame.width / 2u;
    let height = frame.height / 2u;
    let begin = frame.width * frame.height;
    let end_x = end(x, width, frame.out_width);
    let end_y = end(y, height, frame.out_height);
    var sum = vec2<u32>(0u);
    for (var row = first(y, height, frame.out_height); row < end_y; row++) {
        var line = vec2<u32>(0u);
        for (var at = first(x, width, frame.out_width); at < end_x; at++) {
            let pair = begin + row * frame.width + at * 2u;
            line += vec2<u32>(byte(pair), byte(pair + 1u)) * part(at, x, width, frame.out_width);
        }
        sum += line * part(row, y, height, frame.out_height);
    }
    return vec2<f32>(sum) / f32(width * height);
}

@compute @workgroup_size(8, 8)
fn picture(@builtin(global_invocation_id) pixel: vec3<u32>) {
    if (pixel.x >= frame.out_width || pixel.y >= frame.out_height) {
        return;
    }
    let y = (luma(pixel.x, pixel.y) - 16.0) * 1.164384;
    let c = chroma(pixel.x, pixel.y) - 128.0;
    let rgb = vec3<f32>(y + 1.792741 * c.y, y - 0.213249 * c.x - 0.532909 * c.y, y + 2.112402 * c.x) / 255.0;
    let value = (clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0)) - frame.mean) / frame.spread;
    let plane = frame.out_width * frame.out_height;
    let at = frame.picture_at + pixel.y * frame.out_width + pixel.x;
    values[at] = value.r;
    values[at + plane] = value.g;
    values[at + 2u * plane] = value.b;
}
