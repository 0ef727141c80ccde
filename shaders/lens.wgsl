// Looks at the composed picture (NV12, BT.709, limited range) through smoke, a lens and a sensor, and writes NV12.
// One invocation does 4 x 2 pixels: two words of luma, one of chroma. Colours are worked on as encoded for display.

struct Lens {
    // Width and height in pixels, the frame's number, the seed.
    size_frame_seed: vec4<u32>,
    // Radius of the circle of confusion, the smear along x and y, in pixels; unused.
    blur: vec4<f32>,
    // Opacity of smoke, where it has drifted to, the corner's loss of light.
    veil: vec4<f32>,
    // Factors on red, green and blue; standard deviation of luma's noise.
    gains_noise: vec4<f32>,
    // Round field: middle and radius in pixels, no radius for none; how many drops.
    stop_drops: vec4<f32>,
    // Middle and radius in pixels, strength.
    drops: array<vec4<f32>, 9>,
}

@group(0) @binding(0) var<uniform> lens: Lens;
@group(0) @binding(1) var<storage, read> composed: array<u32>;
@group(0) @binding(2) var<storage, read_write> shown: array<u32>;

const TAPS_MAX: f32 = 32.0;
const LUMA: vec3<f32> = vec3<f32>(0.2126, 0.7152, 0.0722);

fn within_picture(at: vec2<f32>) -> vec2<u32> {
    return vec2<u32>(clamp(at, vec2<f32>(0.0), vec2<f32>(lens.size_frame_seed.xy) - 1.0));
}

// Luma as 0 to 1 of full range.
fn luma_at(at: vec2<f32>) -> f32 {
    let p = within_picture(at);
    let i = p.y * lens.size_frame_seed.x + p.x;
    return (f32((composed[i / 4u] >> ((i % 4u) * 8u)) & 255u) - 16.0) / 219.0;
}

fn chroma_at(at: vec2<f32>) -> vec2<f32> {
    let p = within_picture(at);
    let i = (lens.size_frame_seed.y + p.y / 2u) * lens.size_frame_seed.x + (p.x & 0xfffffffeu);
    let word = composed[i / 4u] >> ((i % 4u) * 8u);
    return (vec2<f32>(f32(word & 255u), f32((word >> 8u) & 255u)) - 128.0) / 224.0;
}

fn bits(place: vec2<u32>, salt: u32) -> u32 {
    var h = (place.x * 0x85ebca6bu) ^ (place.y * 0xc2b2ae35u) ^ lens.size_frame_seed.w ^ (salt * 0x9e3779b9u);
    h = (h ^ (h >> 15u)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12u)) * 0x297a2d39u;
    return h ^ (h >> 15u);
}

// About normal, standard deviation 1: the sum of four bytes.
fn gauss(place: vec2<u32>, salt: u32) -> f32 {
    let h = bits(place, salt + lens.size_frame_seed.z * 7919u);
    let sum = (h & 255u) + ((h >> 8u) & 255u) + ((h >> 16u) & 255u) + (h >> 24u);
    return (f32(sum) - 510.0) / 147.8;
}

fn noise(p: vec2<f32>, salt: u32) -> f32 {
    let cell = vec2<i32>(floor(p));
    let f = fract(p);
    let u = f * f * (3.0 - 2.0 * f);
    let at = vec4<f32>(
        f32(bits(vec2<u32>(cell), salt) >> 8u),
        f32(bits(vec2<u32>(cell + vec2<i32>(1, 0)), salt) >> 8u),
        f32(bits(vec2<u32>(cell + vec2<i32>(0, 1)), salt) >> 8u),
        f32(bits(vec2<u32>(cell + vec2<i32>(1, 1)), salt) >> 8u),
    ) / 16777216.0;
    return mix(mix(at.x, at.y, u.x), mix(at.z, at.w, u.x), u.y);
}

// How opaque smoke is at a place: billows that drift, torn by finer ones.
fn smoke(at: vec2<f32>) -> f32 {
    let p = at / f32(lens.size_frame_seed.y) + lens.veil.yz;
    let bent = p * 1.5 + vec2<f32>(noise(p * 2.3, 3u), noise(p * 2.3, 5u)) * 0.6;
    let billow = noise(bent, 7u) * 0.62 + noise(bent * 2.1, 11u) * 0.27 + noise(bent * 4.7, 13u) * 0.11;
    return clamp(lens.veil.x * (0.35 + 1.25 * smoothstep(0.15, 0.90, billow)), 0.0, 0.85);
}

// Where a place is seen from, how blurred, and how much light is left.
struct Way {
    off: vec2<f32>,
    blur_px: f32,
    light: f32,
}

// A drop bends and blurs what is behind it; too near to the lens to be sharp itself, it has no edge.
fn way(at: vec2<f32>) -> Way {
    var out = Way(vec2<f32>(0.0), lens.blur.x, 1.0);
    for (var i = 0u; i < u32(lens.stop_drops.w); i++) {
        let drop = lens.drops[i];
        let from_middle = at - drop.xy;
        // Not quite round.
        let swell = 1.0 + 0.16 * sin(2.0 * atan2(from_middle.y, from_middle.x) + drop.x);
        let share = length(from_middle) / (drop.z * swell);
        let inside = (1.0 - smoothstep(0.35, 1.0, share)) * drop.w;
        out.off -= from_middle * inside * 0.55;
        out.blur_px = max(out.blur_px, smoothstep(0.0, 0.5, inside) * drop.z * 0.24);
        let rim = smoothstep(0.30, 0.75, share) * (1.0 - smoothstep(0.75, 1.15, share));
        out.light *= 1.0 + 0.10 * drop.w * inside - 0.16 * drop.w * rim * (0.4 + 0.6 * clamp(from_middle.y / drop.z, -1.0, 1.0));
    }
    return out;
}

fn reach(blur_px: f32) -> f32 {
    return blur_px + length(lens.blur.yz) * 0.5;
}

fn taps(blur_px: f32) -> u32 {
    let reach_px = reach(blur_px);
    return u32(select(1.0, min(reach_px * 5.0 + 12.0, TAPS_MAX), reach_px > 0.0));
}

// The i-th of n places in a disc that is smeared along a line: evenly along the line, so that nothing shifts.
fn tap(i: u32, n: u32, blur_px: f32) -> vec2<f32> {
    let number = f32(i);
    let turn = number * 2.399963;
    let out = sqrt(fract(number * 0.7548777 + 0.5)) * blur_px;
    let along = (number + 0.5) / f32(n) - 0.5;
    // Spread over a pixel as well, so that less than one is a blur too.
    let in_pixel = fract(number * vec2<f32>(0.5698403, 0.4142136) + 0.5) - 0.5;
    return vec2<f32>(cos(turn), sin(turn)) * out + lens.blur.yz * along + in_pixel * min(2.0 * reach(blur_px), 1.0);
}

// A square of 2 x 2 pixels as the lens gives it: luma of the upper two and of the lower two, and chroma.
struct Blurred {
    luma: vec4<f32>,
    chroma: vec2<f32>,
}

// Light adds up, encoded colours do not: so highlights spread.
fn blurred(at: vec2<f32>, blur_px: f32, n: u32) -> Blurred {
    var light = vec4<f32>(0.0);
    var chroma = vec2<f32>(0.0);
    for (var i = 0u; i < n; i++) {
        let place = at + tap(i, n, blur_px);
        let upper = vec2<f32>(luma_at(place + 0.5), luma_at(place + vec2<f32>(1.5, 0.5)));
        let lower = vec2<f32>(luma_at(place + vec2<f32>(0.5, 1.5)), luma_at(place + 1.5));
        let y = max(vec4<f32>(upper, lower), vec4<f32>(0.0));
        light += y * y;
        chroma += chroma_at(place + 1.0);
    }
    return Blurred(sqrt(light / f32(n)), chroma / f32(n));
}

fn rgb_of(y: f32, chroma: vec2<f32>) -> vec3<f32> {
    let r = y + 1.5748 * chroma.y;
    let b = y + 1.8556 * chroma.x;
    return vec3<f32>(r, (y - 0.2126 * r - 0.0722 * b) / 0.7152, b);
}

// A square of 2 x 2 pixels, with what it loses.
struct Square {
    luma: vec4<f32>,
    chroma: vec2<f32>,
    smoke: f32,
    light: f32,
}

fn square(at: vec2<f32>) -> Square {
    let middle = at + 1.0;
    let path = way(middle);
    let through = blurred(at + path.off, path.blur_px, taps(path.blur_px));
    let size = vec2<f32>(lens.size_frame_seed.xy);
    let off = (middle - size * 0.5) / length(size * 0.5);
    let rim = dot(off, off);
    let light = path.light * (1.0 - lens.veil.w * rim * (0.35 + 0.65 * rim));
    var veil = 0.0;
    if (lens.veil.x > 0.0) {
        veil = smoke(middle);
    }
    return Square(through.luma, through.chroma, veil, light);
}

// One pixel's colour, all but the sensor's noise.
fn seen(at: vec2<f32>, y: f32, shared_by: Square) -> vec3<f32> {
    // Smoke is lit by the same lamp: it glows where the picture is bright.
    let glow = vec3<f32>(0.66, 0.66, 0.68) + 0.18 * y;
    var color = mix(rgb_of(y, shared_by.chroma), glow, shared_by.smoke);
    color *= shared_by.light * lens.gains_noise.rgb;
    // What is nearly white clips in all channels.
    let over = max(max(color.r, max(color.g, color.b)) - 1.0, 0.0);
    color = color + vec3<f32>(over * 0.5);
    if (lens.stop_drops.z > 0.0) {
        let inside = 1.0 - smoothstep(-1.2, 1.2, distance(at + 0.5, lens.stop_drops.xy) - lens.stop_drops.z);
        color = mix(vec3<f32>(0.012), color, inside);
    }
    return clamp(color, vec3<f32>(0.0), vec3<f32>(1.0));
}

// Dark places are noisier for their brightness, and the encoding shows it.
fn grain(at: vec2<u32>, y: f32) -> f32 {
    return gauss(at, 17u) * lens.gains_noise.w * (1.25 - 0.6 * y);
}

fn luma_byte(at: vec2<u32>, color: vec3<f32>) -> u32 {
    let y = dot(color, LUMA);
    return u32(clamp(y + grain(at, y), 0.0, 1.0) * 219.0 + 16.5);
}

// Noise of colour is coarser: cameras smooth it.
fn chroma_word(at: vec2<u32>, color: vec3<f32>) -> u32 {
    let y = dot(color, LUMA);
    let coarse = vec2<f32>(gauss(at / 2u, 19u), gauss(at / 2u, 23u)) * 0.5
        + vec2<f32>(gauss(at / 6u, 29u), gauss(at / 6u, 31u)) * 0.4;
    let cbcr = vec2<f32>((color.b - y) / 1.8556, (color.r - y) / 1.5748) + coarse * lens.gains_noise.w;
    let bytes = vec2<u32>(clamp(cbcr, vec2<f32>(-0.5), vec2<f32>(0.5)) * 224.0 + 128.5);
    return bytes.x | (bytes.y << 8u);
}

// Two words: luma of the upper and of the lower pair, 16 bits each; chroma.
fn developed(at: vec2<u32>) -> vec3<u32> {
    let shared_by = square(vec2<f32>(at));
    let a = seen(vec2<f32>(at), shared_by.luma.x, shared_by);
    let b = seen(vec2<f32>(at) + vec2<f32>(1.0, 0.0), shared_by.luma.y, shared_by);
    let c = seen(vec2<f32>(at) + vec2<f32>(0.0, 1.0), shared_by.luma.z, shared_by);
    let d = seen(vec2<f32>(at) + vec2<f32>(1.0, 1.0), shared_by.luma.w, shared_by);
    let upper = luma_byte(at, a) | (luma_byte(at + vec2<u32>(1u, 0u), b) << 8u);
    let lower = luma_byte(at + vec2<u32>(0u, 1u), c) | (luma_byte(at + vec2<u32>(1u, 1u), d) << 8u);
    return vec3<u32>(upper, lower, chroma_word(at, (a + b + c + d) * 0.25));
}

@compute @workgroup_size(8, 8)
fn cs_lens(@builtin(global_invocation_id) number: vec3<u32>) {
    let at = number.xy * vec2<u32>(4u, 2u);
    let size = lens.size_frame_seed.xy;
    if (at.x >= size.x || at.y >= size.y) {
        return;
    }
    let left = developed(at);
    let right = developed(at + vec2<u32>(2u, 0u));
    let both = left | (right << vec3<u32>(16u));
    let words = size.x / 4u;
    shown[at.y * words + at.x / 4u] = both.x;
    shown[(at.y + 1u) * words + at.x / 4u] = both.y;
    shown[(size.y + at.y / 2u) * words + at.x / 4u] = both.z;
}
