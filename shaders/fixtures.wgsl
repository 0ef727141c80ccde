// Draws what stands in the field and stays where it is, into the kept picture of the tissue: a board, pegs, a wire.
// Colours leave encoded for display (power 1/2.2); the second target is the distance along the optical axis, in metres.

// Straight pieces that throw a shadow on the other fixtures.
struct Shades {
    // How many, in x.
    count: vec4<u32>,
    // From, and the radius; to.
    pieces: array<array<vec4<f32>, 2>, 64>,
}

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

@fragment
fn fs_fixture(in: Surface) -> Shaded {
    let to_eye = view.eye_m.xyz - in.place_m;
    let v = normalize(to_eye);
    var n = normalize(in.normal);
    n = select(-n, n, dot(n, v) >= 0.0);
    let l = normalize(view.light_m.xyz - in.place_m);
    let nl = max(dot(n, l), 0.0);
    let light = light_under(in.place_m) * lit(in.place_m);
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
