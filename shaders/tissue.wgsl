// Draws the tissue: lit from beside the lens, wet, with its baked colour and relief.
// Colours leave encoded for display (power 1/2.2), because shadows and the instrument are mixed in that space.
// The second target is the distance along the optical axis, in metres.

@group(0) @binding(1) var albedo_map: texture_2d<f32>;
@group(0) @binding(2) var detail_map: texture_2d<f32>;
@group(0) @binding(3) var trilinear: sampler;

struct Surface {
    @builtin(position) clip: vec4<f32>,
    @location(0) place_m: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) map: vec2<f32>,
}

struct Shaded {
    @location(0) color: vec4<f32>,
    @location(1) depth_m: f32,
}

@vertex
fn vs_tissue(
    @location(0) place_m: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) map: vec2<f32>,
) -> Surface {
    var out: Surface;
    out.clip = view.clip_from_base * vec4<f32>(place_m, 1.0);
    out.place_m = place_m;
    out.normal = normal;
    out.map = map;
    return out;
}

// The lamp's highlight on a surface that reflects `f0` head on.
fn wet_highlight(n: vec3<f32>, v: vec3<f32>, l: vec3<f32>, roughness: f32, f0: f32) -> f32 {
    let fresnel = f0 + (1.0 - f0) * pow(1.0 - max(dot(normalize(v + l), v), 0.0), 5.0);
    return highlight(n, v, l, roughness) * fresnel;
}

@fragment
fn fs_tissue(in: Surface) -> Shaded {
    let base = textureSample(albedo_map, trilinear, in.map);
    let detail = textureSample(detail_map, trilinear, in.map);
    let slopes = (detail.xy - 0.5) * 2.0;
    let n0 = normalize(in.normal);
    let n = normalize(n0 - (view.tissue_x.xyz * slopes.x + view.tissue_y.xyz * slopes.y) * 0.85);
    let to_eye = view.eye_m.xyz - in.place_m;
    let v = normalize(to_eye);
    let l = normalize(view.light_m.xyz - in.place_m);
    let light = light_at(in.place_m);
    let open = mix(0.55, 1.0, clamp(detail.a * 2.0, 0.0, 1.0));

    // Light that enters the tissue comes out around the corner, redder: wrap the diffuse term per channel.
    let nl = dot(n, l);
    let wrap = vec3<f32>(0.30, 0.14, 0.12);
    let diffuse = max((vec3<f32>(nl) + wrap) / (1.0 + wrap), vec3<f32>(0.0));
    let ambient = 0.06 * base.rgb + vec3<f32>(0.008, 0.001, 0.001);
    var color = (base.rgb * diffuse * open + ambient * open) * light;

    // A thin film of fluid: sharp small highlights on the relief, a broad soft sheen beneath.
    let film_n = normalize(n + v * 0.30);
    color += vec3<f32>(wet_highlight(film_n, v, l, base.a * 0.62, 0.030)) * light * 0.8;
    color += vec3<f32>(wet_highlight(n0, v, l, 0.55, 0.02)) * light * 0.7;

    var out: Shaded;
    out.color = vec4<f32>(encode(color) * vignette(in.clip.xy), 1.0);
    out.depth_m = -dot(to_eye, view.forward.xyz);
    return out;
}

// The class is baked as n/255 and must not be mixed with its neighbours'.
@fragment
fn fs_tissue_label(in: Surface) -> @location(0) u32 {
    let size = vec2<f32>(textureDimensions(detail_map));
    let at = clamp(vec2<i32>(in.map * size), vec2<i32>(0), vec2<i32>(size) - vec2<i32>(1));
    return u32(textureLoad(detail_map, at, 0).b * 255.0 + 0.5);
}
