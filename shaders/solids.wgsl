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

@fragment
fn fs_solid_label(in: Solid) -> @location(0) u32 {
    return in.material_class.y;
}
