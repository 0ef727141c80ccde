// What every drawn surface shares, put before its own shader: the view, the lamp beside the lens, and the encoding for display.

struct View {
    clip_from_base: mat4x4<f32>,
    eye_m: vec4<f32>,
    // Place of the light and, last, its radius in metres.
    light_m: vec4<f32>,
    // The tissue's axes in the base frame.
    tissue_x: vec4<f32>,
    tissue_y: vec4<f32>,
    tissue_up: vec4<f32>,
    forward: vec4<f32>,
    // Direction of the picture's corner at unit depth, and the steps from pixel to pixel.
    ray_corner: vec4<f32>,
    ray_right: vec4<f32>,
    ray_down: vec4<f32>,
    // Width and height in pixels, the distance in metres for which the light is set, unused.
    size_exposure: vec4<f32>,
    // Additional fall-off of light, blood, additional highlights, seed (as bits); nothing but the seed in a plain picture.
    wet: vec4<f32>,
}

@group(0) @binding(0) var<uniform> view: View;

// Trowbridge-Reitz highlight with a Schlick-Smith visibility.
fn highlight(n: vec3<f32>, v: vec3<f32>, l: vec3<f32>, roughness: f32) -> f32 {
    let h = normalize(v + l);
    let nh = max(dot(n, h), 0.0);
    let nl = max(dot(n, l), 0.0);
    let nv = max(dot(n, v), 0.05);
    let a2 = pow(roughness, 4.0);
    let lobe = nh * nh * (a2 - 1.0) + 1.0;
    let k = roughness * roughness * 0.5;
    return a2 / (3.14159 * lobe * lobe) * nl * 0.25 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k));
}

// Light falls off with distance, gently clamped near the lens, and toward the rim of its cone.
fn light_at(place_m: vec3<f32>) -> f32 {
    let set_m = view.size_exposure.z;
    let to = place_m - view.eye_m.xyz;
    let d2 = dot(place_m - view.light_m.xyz, place_m - view.light_m.xyz);
    let cosine = dot(to, view.forward.xyz) * inverseSqrt(dot(to, to));
    let cone = smoothstep(0.62, 0.99, cosine) * 0.85 + 0.15;
    return 1.35 * set_m * set_m / (d2 + 0.35 * set_m * set_m) * cone;
}

// With the fall-off that the conditions add, with distance and toward the rim of a narrower cone: as strong as before in the
// middle at the distance for which the light is set.
fn light_under(place_m: vec3<f32>) -> f32 {
    let d = max(distance(place_m, view.light_m.xyz), 0.01);
    let to = place_m - view.eye_m.xyz;
    let cosine = clamp(dot(to, view.forward.xyz) * inverseSqrt(dot(to, to)), 0.05, 1.0);
    return light_at(place_m) * min(pow(view.size_exposure.z / d, view.wet.x), 5.0) * pow(cosine, view.wet.x * 3.5);
}

fn wet_hash(cell: vec3<i32>, salt: u32) -> f32 {
    var h = (u32(cell.x) * 0x85ebca6bu) ^ (u32(cell.y) * 0xc2b2ae35u) ^ (u32(cell.z) * 0x27d4eb2fu)
        ^ bitcast<u32>(view.wet.w) ^ (salt * 0x9e3779b9u);
    h = (h ^ (h >> 15u)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12u)) * 0x297a2d39u;
    h = h ^ (h >> 15u);
    return f32(h >> 8u) / 16777216.0;
}

// Smooth noise in space, 0 to 1: where fluids are.
fn wet_noise(p: vec3<f32>, salt: u32) -> f32 {
    let cell = vec3<i32>(floor(p));
    let f = fract(p);
    let u = f * f * (3.0 - 2.0 * f);
    var layers = vec2<f32>(0.0);
    for (var z = 0; z < 2; z++) {
        let at = cell + vec3<i32>(0, 0, z);
        let low = mix(wet_hash(at, salt), wet_hash(at + vec3<i32>(1, 0, 0), salt), u.x);
        let high = mix(wet_hash(at + vec3<i32>(0, 1, 0), salt), wet_hash(at + vec3<i32>(1, 1, 0), salt), u.x);
        layers[z] = mix(low, high, u.y);
    }
    return mix(layers.x, layers.y, u.z);
}

// How deep blood lies at a place given in units of its pools' size, 0 to 1, for a share of the surface to be covered.
fn blood_at(p: vec3<f32>, share: f32) -> f32 {
    if (share <= 0.0) {
        return 0.0;
    }
    let bent = p + (vec3<f32>(wet_noise(p * 1.3, 301u), wet_noise(p * 1.3, 303u), 0.5) - 0.5) * 1.4;
    let pools = wet_noise(bent, 307u) * 0.58 + wet_noise(bent * 2.3, 311u) * 0.25 + wet_noise(bent * 6.1, 313u) * 0.12
        + wet_noise(bent * 17.0, 317u) * 0.05;
    // The noise lies about 0.5 with a deviation of 0.14.
    let level = 0.70 - 0.56 * share;
    return smoothstep(level, level + 0.20, pools);
}

fn encode(linear: vec3<f32>) -> vec3<f32> {
    let mapped = 1.0 - exp(-linear * 1.35);
    return pow(mapped, vec3<f32>(1.0 / 2.2));
}

// The lens darkens toward its rim.
fn vignette(pixel: vec2<f32>) -> f32 {
    let off = (pixel - view.size_exposure.xy * 0.5) / (view.size_exposure.x * 0.5);
    return 1.0 - 0.32 * dot(off, off) * dot(off, off);
}
