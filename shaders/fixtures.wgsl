// Draws what stands in the field and stays where it is, into the kept picture of the tissue: a board, pegs, a wire.
// Colours leave encoded for display (power 1/2.2); the second target is the distance along the optical axis, in metres.

struct View {
    clip_from_base: mat4x4<f32>,
    eye_m: vec4<f32>,
    light_m: vec4<f32>,
    tissue_x: vec4<f32>,
    tissue_y: vec4<f32>,
    tissue_up: vec4<f32>,
    forward: vec4<f32>,
    ray_corner: vec4<f32>,
    ray_right: vec4<f32>,
    ray_down: vec4<f32>,
    size_exposure: vec4<f32>,
}

// Straight pieces that throw a shadow on the other fixtures.
struct Shades {
    // How many, in x.
    count: vec4<u32>,
    // From, and the radius; to.
    pieces: array<array<vec4<f32>, 2>, 64>,
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<uniform> shades: Shades;

struct Surface {
    @builtin(position) clip: vec4<f32>,
    @location(0) place_m: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) @interpolate(flat) look: u32,
}

struct Shaded {
    @location(0) color: vec4<f32>,
    @location(1) depth_m: f32,
}

@vertex
fn vs_fixture(
    @location(0) place_m: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) look: u32,
) -> Surface {
    var out: Surface;
    out.clip = view.clip_from_base * vec4<f32>(place_m, 1.0);
    out.place_m = place_m;
    out.normal = normal;
    out.look = look;
    return out;
}

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

fn light_at(place_m: vec3<f32>) -> f32 {
    let set_m = view.size_exposure.z;
    let to = place_m - view.eye_m.xyz;
    let d2 = dot(place_m - view.light_m.xyz, place_m - view.light_m.xyz);
    let cosine = dot(to, view.forward.xyz) * inverseSqrt(dot(to, to));
    let cone = smoothstep(0.62, 0.99, cosine) * 0.85 + 0.15;
    return 1.35 * set_m * set_m / (d2 + 0.35 * set_m * set_m) * cone;
}

// How much of the lamp, a disc, a piece hides from a place; what the place itself is part of hides nothing.
fn hidden(place_m: vec3<f32>, from_m: vec4<f32>, to_m: vec3<f32>) -> f32 {
    let ray = view.light_m.xyz - place_m;
    let bone = to_m - from_m.xyz;
    let off = place_m - from_m.xyz;
    let rr = dot(ray, ray);
    let bb = max(dot(bone, bone), 1e-12);
    let rb = dot(ray, bone);
    let ro = dot(ray, off);
    let bo = dot(bone, off);
    let s0 = clamp((rb * bo - bb * ro) / max(rr * bb - rb * rb, 1e-12), 0.0, 1.0);
    let t = clamp((bo + rb * s0) / bb, 0.0, 1.0);
    let s = clamp((rb * t - ro) / rr, 0.0, 1.0);
    let gap_m = length(off + ray * s - bone * t);
    let lamp_m = view.light_m.w * s + 0.00025;
    let radius_m = from_m.w;
    let cover = 1.0 - smoothstep(radius_m - lamp_m, radius_m + lamp_m, gap_m);
    let itself = length(off - bone * clamp(bo / bb, 0.0, 1.0)) < radius_m * 1.02 + 0.00005;
    return select(cover * min(1.0, radius_m / lamp_m) * 0.70, 0.0, itself);
}

fn lit(place_m: vec3<f32>) -> f32 {
    var worst = 0.0;
    for (var i = 0u; i < shades.count.x; i++) {
        worst = max(worst, hidden(place_m, shades.pieces[i][0], shades.pieces[i][1].xyz));
    }
    return 1.0 - worst;
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

@fragment
fn fs_fixture(in: Surface) -> Shaded {
    let to_eye = view.eye_m.xyz - in.place_m;
    let v = normalize(to_eye);
    var n = normalize(in.normal);
    n = select(-n, n, dot(n, v) >= 0.0);
    let l = normalize(view.light_m.xyz - in.place_m);
    let nl = max(dot(n, l), 0.0);
    let light = light_at(in.place_m) * lit(in.place_m);
    // The board is matt and darker than what stands on it: pegs of pale plastic, a wire of bright steel.
    let base = select(select(vec3<f32>(0.62, 0.64, 0.66), vec3<f32>(0.66, 0.60, 0.46), in.look == 1u),
        vec3<f32>(0.120, 0.150, 0.155), in.look == 0u);
    let shine = select(select(0.55, 0.10, in.look == 1u), 0.01, in.look == 0u);
    let color = base * (nl * 0.85 + 0.12) * light + vec3<f32>(highlight(n, v, l, 0.38)) * shine * light;
    var out: Shaded;
    out.color = vec4<f32>(encode(color) * vignette(in.clip.xy), 1.0);
    out.depth_m = -dot(to_eye, view.forward.xyz);
    return out;
}

// The board is none of the classes; what stands on it is worked on.
@fragment
fn fs_fixture_label(in: Surface) -> @location(0) u32 {
    return select(6u, 0u, in.look == 0u);
}
