// Puts tissue, shadows, ink and the layer of solids together and writes NV12, BT.709 in limited range.
// One workgroup does one tile of 32 x 16 pixels, one invocation 4 x 2 pixels: two words of luma, one of chroma.
// Only listed tiles are written, so the rest of the picture stays as the last frame left it.
// Chroma is the mean of its four pixels.

struct Crop {
    scale_offset: vec4<f32>,
    origin_size: vec4<f32>,
}

struct Tile {
    // x | y << 16, in tiles.
    place: u32,
    // Which casters may shadow it: bits of casters 0 to 31, of 32 to 63, and of 64 to 95.
    casters_low: u32,
    casters_middle: u32,
    casters_high: u32,
    // Which goals may mark it, as bits; bit 31: the layer of solids covers it.
    goals: u32,
}

struct Caster {
    // From, and the radius.
    from_m: vec4<f32>,
    to_m: vec4<f32>,
}

struct Goal {
    // Middle, and the radius.
    centre_m: vec4<f32>,
    // Strength of its ink, unused.
    ink: vec4<f32>,
}

struct Bodies {
    casters: array<Caster, 96>,
    goals: array<Goal, 4>,
}

@group(0) @binding(1) var<uniform> crop: Crop;
@group(0) @binding(2) var<uniform> bodies: Bodies;
@group(0) @binding(3) var tissue_color: texture_2d<f32>;
@group(0) @binding(4) var tissue_depth: texture_2d<f32>;
@group(0) @binding(5) var layer: texture_2d<f32>;
@group(0) @binding(6) var<storage, read> tiles: array<Tile>;
@group(0) @binding(7) var<storage, read_write> nv12: array<u32>;

// Contact darkens the tissue within this distance of a caster; the tiles are chosen with the same number.
const CONTACT_M: f32 = 0.004;

// How much of the lamp a caster hides, 0 to 1: the lamp is a disc, the caster a capsule between it and the place.
fn hidden(place_m: vec3<f32>, caster: Caster) -> f32 {
    let radius_m = caster.from_m.w;
    let ray = view.light_m.xyz - place_m;
    let bone = caster.to_m.xyz - caster.from_m.xyz;
    let off = place_m - caster.from_m.xyz;
    let rr = dot(ray, ray);
    let bb = max(dot(bone, bone), 1e-12);
    let rb = dot(ray, bone);
    let ro = dot(ray, off);
    let bo = dot(bone, off);
    // Nearest points of the two segments.
    let s0 = clamp((rb * bo - bb * ro) / max(rr * bb - rb * rb, 1e-12), 0.0, 1.0);
    let t = clamp((bo + rb * s0) / bb, 0.0, 1.0);
    let s = clamp((rb * t - ro) / rr, 0.0, 1.0);
    let gap_m = length(off + ray * s - bone * t);
    let lamp_m = view.light_m.w * s + 0.00025;
    let cover = 1.0 - smoothstep(radius_m - lamp_m, radius_m + lamp_m, gap_m);
    let shadow = cover * min(1.0, radius_m / lamp_m) * 0.74;
    // Contact: what is near also hides the light that other tissue throws back.
    let u = clamp(bo / bb, 0.0, 1.0);
    let near_m = length(off - bone * u) - radius_m;
    let contact = 0.55 * (1.0 - smoothstep(0.0, CONTACT_M, near_m));
    return 1.0 - (1.0 - shadow) * (1.0 - contact * contact * 1.6);
}

// How much of the lamp these hide, the caster of bit 0 being the first.
fn hidden_by(marked: u32, first: u32, place_m: vec3<f32>) -> f32 {
    var worst = 0.0;
    var bits = marked;
    while (bits != 0u) {
        let i = firstTrailingBit(bits);
        worst = max(worst, hidden(place_m, bodies.casters[first + i]));
        bits &= bits - 1u;
    }
    return worst;
}

fn lit(place_m: vec3<f32>, tile: Tile) -> f32 {
    let low = hidden_by(tile.casters_low, 0u, place_m);
    let middle = hidden_by(tile.casters_middle, 32u, place_m);
    let high = hidden_by(tile.casters_high, 64u, place_m);
    return 1.0 - max(low, max(middle, high));
}

// A circle of ink on the tissue with a faint fill; the tissue's light and dark stay visible through it.
fn inked(color: vec3<f32>, place_m: vec3<f32>, tile: Tile) -> vec3<f32> {
    var out = color;
    var bits = tile.goals & 15u;
    while (bits != 0u) {
        let goal = bodies.goals[firstTrailingBit(bits)];
        let off = place_m - goal.centre_m.xyz;
        let height_m = dot(off, view.tissue_up.xyz);
        let flat_m = length(off - view.tissue_up.xyz * height_m);
        let radius_m = goal.centre_m.w;
        let line_m = clamp(radius_m * 0.075, 0.00045, 0.0012);
        let line = 1.0 - smoothstep(line_m * 0.6, line_m * 1.25, abs(flat_m - radius_m + line_m));
        let fill = (1.0 - smoothstep(radius_m - line_m, radius_m, flat_m)) * 0.16;
        let luma = dot(out, vec3<f32>(0.3, 0.6, 0.1));
        let ink = vec3<f32>(0.10, 0.78, 0.62) * (0.35 + 0.9 * luma);
        let near = 1.0 - smoothstep(radius_m, radius_m * 1.5, abs(height_m));
        out = mix(out, ink, max(line * 0.88, fill) * goal.ink.x * near);
        bits &= bits - 1u;
    }
    return out;
}

// The layer at one pixel, smoothed where solids end: there, and nowhere else, neighbours are mixed in.
fn solid_at(at: vec2<i32>) -> vec4<f32> {
    let last = vec2<i32>(crop.origin_size.zw) - vec2<i32>(1);
    let in_layer = at - vec2<i32>(crop.origin_size.xy);
    let here = clamp(in_layer, vec2<i32>(0), last);
    let middle = textureLoad(layer, here, 0);
    let around = textureLoad(layer, max(here - vec2<i32>(1, 0), vec2<i32>(0)), 0)
        + textureLoad(layer, min(here + vec2<i32>(1, 0), last), 0)
        + textureLoad(layer, max(here - vec2<i32>(0, 1), vec2<i32>(0)), 0)
        + textureLoad(layer, min(here + vec2<i32>(0, 1), last), 0);
    let edge = abs(around.a - 4.0 * middle.a) > 0.02;
    let smoothed = select(middle, middle * 0.5 + around * 0.125, edge);
    return smoothed * f32(all(here == in_layer));
}

fn place_at(at: vec2<i32>) -> vec3<f32> {
    let depth_m = textureLoad(tissue_depth, at, 0).r;
    let middle = vec2<f32>(at) + 0.5;
    let ray = view.ray_corner.xyz + view.ray_right.xyz * middle.x + view.ray_down.xyz * middle.y;
    return view.eye_m.xyz + ray * depth_m;
}

// How much of the light is left for a square of 2 x 2 pixels, as a factor on encoded colours: shadows are soft,
// and this is the dearest part of a picture. A factor on light is about its square root on an encoded colour.
fn shade(at: vec2<i32>, tile: Tile) -> f32 {
    return sqrt(lit(place_at(at), tile));
}

fn pixel_color(at: vec2<i32>, light: f32, tile: Tile) -> vec3<f32> {
    var color = textureLoad(tissue_color, at, 0).rgb;
    // Loops that run once or never: a CPU renderer skips a loop, but walks through both sides of a branch.
    for (var marked = tile.goals & 15u; marked != 0u; marked = 0u) {
        color = inked(color, place_at(at), tile);
    }
    color *= light;
    for (var covered = tile.goals >> 31u; covered != 0u; covered = 0u) {
        let solid = solid_at(at);
        color = color * (1.0 - solid.a) + solid.rgb;
    }
    return color;
}

const LUMA: vec3<f32> = vec3<f32>(0.2126, 0.7152, 0.0722);

// One row of four pixels: its luma word, and the sums of its two pairs of pixels.
struct Row {
    luma: u32,
    left: vec3<f32>,
    right: vec3<f32>,
}

fn row(at: vec2<i32>, light: vec2<f32>, tile: Tile) -> Row {
    let a = pixel_color(at, light.x, tile);
    let b = pixel_color(at + vec2<i32>(1, 0), light.x, tile);
    let c = pixel_color(at + vec2<i32>(2, 0), light.y, tile);
    let d = pixel_color(at + vec2<i32>(3, 0), light.y, tile);
    let y = vec4<u32>(vec4<f32>(dot(a, LUMA), dot(b, LUMA), dot(c, LUMA), dot(d, LUMA)) * 219.0 + 16.5);
    return Row(y.x | (y.y << 8u) | (y.z << 16u) | (y.w << 24u), a + b, c + d);
}

fn chroma(rgb: vec3<f32>) -> u32 {
    let y = dot(rgb, LUMA);
    let cb = u32((rgb.b - y) * (224.0 / 1.8556) + 128.5);
    let cr = u32((rgb.r - y) * (224.0 / 1.5748) + 128.5);
    return cb | (cr << 8u);
}

@compute @workgroup_size(8, 8)
fn cs_compose(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let tile = tiles[group.x];
    let corner = vec2<u32>(tile.place & 0xffffu, tile.place >> 16u) * vec2<u32>(32u, 16u);
    let at = corner + local.xy * vec2<u32>(4u, 2u);
    let size = vec2<u32>(view.size_exposure.xy);
    if (at.x >= size.x || at.y >= size.y) {
        return;
    }
    let light = vec2<f32>(shade(vec2<i32>(at), tile), shade(vec2<i32>(at) + vec2<i32>(2, 0), tile));
    let upper = row(vec2<i32>(at), light, tile);
    let lower = row(vec2<i32>(at) + vec2<i32>(0, 1), light, tile);
    let words = size.x / 4u;
    nv12[at.y * words + at.x / 4u] = upper.luma;
    nv12[(at.y + 1u) * words + at.x / 4u] = lower.luma;
    let left = chroma((upper.left + lower.left) * 0.25);
    let right = chroma((upper.right + lower.right) * 0.25);
    nv12[size.y * words + (at.y / 2u) * words + at.x / 4u] = left | (right << 16u);
}
