// Draws the instruments and the objects they work on, into a layer of their own that covers a part of the picture.
// Colours are encoded for display (power 1/2.2) and premultiplied by how much of the pixel they cover.

struct Crop {
    // clip.xy of the layer = clip.xy of the picture * xy + clip.w * zw.
    scale_offset: vec4<f32>,
    // The layer's first pixel in the picture, its size.
    origin_size: vec4<f32>,
}

@group(0) @binding(1) var<uniform> crop: Crop;
@group(0) @binding(2) var tissue_depth: texture_2d<f32>;
@group(0) @binding(3) var tissue_color: texture_2d<f32>;

struct Solid {
    @builtin(position) clip: vec4<f32>,
    @location(0) place_m: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) local_m: vec3<f32>,
    @location(3) @interpolate(flat) material_class: vec2<u32>,
    @location(4) @interpolate(flat) tint: vec4<f32>,
}

@vertex
fn vs_solid(
    @location(0) local_m: vec3<f32>,
    @location(1) local_normal: vec3<f32>,
    @location(2) material: u32,
    @location(3) row_x: vec4<f32>,
    @location(4) row_y: vec4<f32>,
    @location(5) row_z: vec4<f32>,
    @location(6) tint: vec4<f32>,
    @location(7) class_id: u32,
) -> Solid {
    let local = vec4<f32>(local_m, 1.0);
    let place_m = vec3<f32>(dot(row_x, local), dot(row_y, local), dot(row_z, local));
    let normal = vec3<f32>(dot(row_x.xyz, local_normal), dot(row_y.xyz, local_normal), dot(row_z.xyz, local_normal));
    let clip = view.clip_from_base * vec4<f32>(place_m, 1.0);
    var out: Solid;
    out.clip = vec4<f32>(clip.xy * crop.scale_offset.xy + clip.w * crop.scale_offset.zw, clip.zw);
    out.place_m = place_m;
    out.normal = normal;
    out.local_m = local_m;
    out.material_class = vec2<u32>(material, class_id);
    out.tint = tint;
    return out;
}

// What polished metal mirrors: reddish tissue below, the dark body above and between, a wide glow around the lamp.
fn mirrored(r: vec3<f32>, to_light: vec3<f32>) -> vec3<f32> {
    let up = dot(r, view.tissue_up.xyz);
    let below = smoothstep(0.05, -0.80, up);
    let glow = max(dot(r, to_light), 0.0);
    let dark = vec3<f32>(0.020, 0.016, 0.017);
    return mix(dark, vec3<f32>(0.150, 0.070, 0.060), below)
        + vec3<f32>(0.60, 0.61, 0.62) * (0.35 * glow * glow + pow(glow, 12.0));
}

@fragment
fn fs_solid(in: Solid) -> @location(0) vec4<f32> {
    let to_eye = view.eye_m.xyz - in.place_m;
    let v = normalize(to_eye);
    var n = normalize(in.normal);
    n = select(-n, n, dot(n, v) >= 0.0);
    let l = normalize(view.light_m.xyz - in.place_m);
    let light = light_at(in.place_m);
    let nl = max(dot(n, l), 0.0);
    let nv = max(dot(n, v), 0.0);
    let fresnel = pow(1.0 - nv, 5.0);
    let material = in.material_class.x;
    let mirror = mirrored(reflect(-v, n), l);

    // Steel, brushed; carbide is steel, darker and hatched; both have no colour of their own.
    let hatch = step(0.5, fract((in.local_m.x + in.local_m.z) * 2600.0)) * step(0.5, fract((in.local_m.x - in.local_m.z) * 2600.0));
    let carbide = f32(material == 2u);
    let metal_f0 = mix(vec3<f32>(0.66, 0.67, 0.68), vec3<f32>(0.36, 0.35, 0.34) * (0.45 + 0.55 * hatch), carbide);
    let metal = metal_f0 * (mirror + highlight(n, v, l, 0.34) * 0.55 + 0.10 * nl) * light + fresnel * mirror * 0.3;

    // The tube: a dark composite with a soft sheen.
    let tube = vec3<f32>(0.018, 0.019, 0.021) * (nl * 0.9 + 0.25) * light
        + (0.045 + 0.25 * fresnel) * mirror * light * 0.55
        + vec3<f32>(highlight(n, v, l, 0.42)) * 0.05 * light;

    // Plastic of the instance's own colour, a bright small highlight, and a rim that keeps it apart from tissue.
    let body = in.tint.rgb * ((nl + 0.22) / 1.22 * 0.95 + 0.10) * light;
    let plastic = body + vec3<f32>(highlight(n, v, l, 0.24) * 0.06 + fresnel * 0.10) * light + in.tint.rgb * in.tint.a;

    let shiny = select(metal, tube, material == 0u);
    let color = select(shiny, plastic, material == 3u);

    // Soft where it dips into the tissue: over half a millimetre, not at a hard line.
    let pixel = in.clip.xy + crop.origin_size.xy;
    let behind_m = -dot(to_eye, view.forward.xyz) - textureLoad(tissue_depth, vec2<i32>(pixel), 0).r;
    let shown = 1.0 - smoothstep(-0.0001, 0.0005, behind_m);
    return vec4<f32>(encode(color) * vignette(pixel) * shown, shown);
}

// The kept picture of the tissue as light again, where a place of the base frame is seen in it; dark outside.
fn tissue_seen(place_m: vec3<f32>) -> vec3<f32> {
    let clip = view.clip_from_base * vec4<f32>(place_m, 1.0);
    let at = (clip.xy / max(clip.w, 1e-4) * vec2<f32>(0.5, -0.5) + 0.5) * view.size_exposure.xy;
    let last = view.size_exposure.xy - 1.0;
    let held = clamp(at, vec2<f32>(0.0), last);
    let beyond = length(at - held) / view.size_exposure.y;
    let color = textureLoad(tissue_color, vec2<i32>(held), 0).rgb;
    let seen = f32(clip.w > 0.0) / (1.0 + 6.0 * beyond);
    return -log(max(1.0 - pow(color, vec3<f32>(2.2)), vec3<f32>(0.02))) / 1.35 * seen;
}

// What metal mirrors: the tissue that the ray would meet if it were flat and as deep as behind this pixel, blurred by
// looking at several rays; and the lamp's glow.
fn mirrored_tissue(in: Solid, r: vec3<f32>, to_light: vec3<f32>, behind_m: f32, light: f32) -> vec3<f32> {
    let up = view.tissue_up.xyz;
    let ray = normalize(in.place_m - view.eye_m.xyz);
    let depth_m = behind_m / max(dot(ray, view.forward.xyz), 0.2);
    let height_m = max(-dot(ray, up) * depth_m, 0.002);
    let sinking = -dot(r, up);
    var sum = vec3<f32>(0.0);
    for (var i = 0; i < 4; i++) {
        let spread = (f32(i) - 1.5) * 0.22;
        let bent = normalize(r + view.tissue_x.xyz * spread + view.tissue_y.xyz * spread * (1.0 - 2.0 * f32(i & 1)));
        let down = max(-dot(bent, up), 0.08);
        sum += tissue_seen(in.place_m + bent * min(height_m / down, 0.12));
    }
    let glow = max(dot(r, to_light), 0.0);
    let below = smoothstep(-0.35, 0.30, sinking);
    // Brushed steel mirrors all around: what comes back is paler than the tissue.
    let tissue = mix(sum * 0.25, vec3<f32>(dot(sum, vec3<f32>(0.075, 0.15, 0.025))), 0.55);
    return mix(vec3<f32>(0.016, 0.013, 0.013), tissue, below)
        + vec3<f32>(0.60, 0.61, 0.62) * (0.35 * glow * glow + pow(glow, 12.0)) * light;
}

// The bare colour of a shaft, and in w how metallic it is. Finishes as in `Finish`.
fn shaft(in: Solid) -> vec4<f32> {
    let finish = u32(in.tint.a + 0.5);
    let z_mm = in.local_m.z * 1000.0;
    // Bands of centimetres, as marks of depth, and one at the end.
    let band = step(0.72, fract(z_mm / 14.0)) * step(z_mm, -16.0);
    let banded = mix(vec3<f32>(0.10, 0.105, 0.11), vec3<f32>(0.62, 0.62, 0.60), band);
    if (finish == 1u) { return vec4<f32>(0.60, 0.60, 0.60, 1.0); }
    if (finish == 2u) { return vec4<f32>(banded, 0.0); }
    if (finish == 3u) { return vec4<f32>(0.17, 0.18, 0.19, 0.0); }
    return vec4<f32>(0.018, 0.019, 0.021, 0.0);
}

// The same under conditions, with every instrument's finish: `tint` is the metal's own tint and, last, the shaft's finish.
@fragment
fn fs_solid_rich(in: Solid) -> @location(0) vec4<f32> {
    let pixel = in.clip.xy + crop.origin_size.xy;
    let to_eye = view.eye_m.xyz - in.place_m;
    let v = normalize(to_eye);
    let material = in.material_class.x;
    let grip = f32(material == 2u);
    // Brushed along its length, with scratches that only ripple the light.
    let scratch = wet_noise(in.local_m * vec3<f32>(9000.0, 9000.0, 700.0), 503u) - 0.5;
    var n = normalize(in.normal + vec3<f32>(select(0.10, 0.0, material == 3u) * scratch));
    n = select(-n, n, dot(n, v) >= 0.0);
    let l = normalize(view.light_m.xyz - in.place_m);
    let light = light_under(in.place_m);
    let nl = max(dot(n, l), 0.0);
    let fresnel = pow(1.0 - max(dot(n, v), 0.0), 5.0);
    let kept_m = textureLoad(tissue_depth, vec2<i32>(pixel), 0).r;
    let behind_m = -dot(to_eye, view.forward.xyz) - kept_m;
    let mirror = mirrored_tissue(in, reflect(-v, n), l, max(-behind_m, 0.0), light);
    // Worn metal is darker (see `tint`) and duller; new metal mirrors and glints.
    let worn = clamp((0.66 - in.tint.r) / 0.36, 0.0, 1.0);
    let glint = highlight(n, v, l, mix(0.22, 0.42, worn)) * (0.75 + 0.40 * view.wet.z);

    let hatch = step(0.5, fract((in.local_m.x + in.local_m.z) * 1900.0)) * step(0.5, fract((in.local_m.x - in.local_m.z) * 1900.0));
    let metal_f0 = in.tint.rgb * mix(vec3<f32>(1.0), vec3<f32>(0.30 + 0.45 * hatch), grip);
    // Light comes back from the tissue around, too, not only along the mirrored ray.
    let metal = metal_f0 * (mirror * mix(1.15, 0.6, worn) + (mix(0.10, 0.30, worn) * nl + glint) * light) + fresnel * mirror * 0.3;

    let bare = shaft(in);
    let sheath = bare.rgb * (nl * 0.9 + 0.20) * light
        + (0.035 + 0.25 * fresnel) * mirror * 0.6
        + vec3<f32>(highlight(n, v, l, 0.40)) * (0.05 + 0.03 * view.wet.z) * light;
    let tube = select(sheath, metal, bare.a > 0.5);

    // A hook's insulator: pale ceramic.
    let insulator = vec3<f32>(0.72, 0.69, 0.60) * (nl * 0.9 + 0.14) * light + mirror * 0.05 + vec3<f32>(highlight(n, v, l, 0.30)) * 0.06 * light;

    let body = in.tint.rgb * ((nl + 0.22) / 1.22 * 0.95 + 0.10) * light;
    let plastic = body + vec3<f32>(highlight(n, v, l, 0.24) * 0.06 + fresnel * 0.10) * light + in.tint.rgb * in.tint.a;

    var color = select(metal, tube, material == 0u);
    color = select(color, insulator, material == 4u);
    color = select(color, plastic, material == 3u);

    // Blood clings to what works, and thins out along the shaft.
    let share = select(view.wet.y * (1.0 - smoothstep(0.008, 0.05, -in.local_m.z) * 0.6), 0.0, material == 3u);
    let blood = blood_at(in.local_m * 260.0 + vec3<f32>(f32(in.material_class.y) * 7.3), share);
    let smear = vec3<f32>(0.15, 0.007, 0.006) * (nl + 0.15) * light + vec3<f32>(highlight(n, v, l, 0.20)) * 0.05 * light;
    color = mix(color, smear, blood * 0.88);

    let shown = 1.0 - smoothstep(-0.0001, 0.0005, behind_m);
    return vec4<f32>(encode(color) * vignette(pixel) * shown, shown);
}

@fragment
fn fs_solid_label(in: Solid) -> @location(0) u32 {
    return in.material_class.y;
}
