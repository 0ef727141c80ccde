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

// The same under conditions: light that falls off, blood, and more wetness. Apart, because a plain picture is drawn faster
// without them.
@fragment
fn fs_tissue_rich(in: Surface) -> Shaded {
    let base = textureSample(albedo_map, trilinear, in.map);
    let detail = textureSample(detail_map, trilinear, in.map);
    let place_mm = vec3<f32>(in.map * 320.0, 0.0);
    let blood = blood_at(place_mm * vec3<f32>(0.075, 0.12, 0.0), view.wet.y);
    let film = smoothstep(0.0, 0.55, blood);
    let slopes = (detail.xy - 0.5) * 2.0;
    let n0 = normalize(in.normal);
    // Blood fills the relief.
    let rough = 0.85 * (1.0 - 0.75 * film);
    let n = normalize(n0 - (view.tissue_x.xyz * slopes.x + view.tissue_y.xyz * slopes.y) * rough);
    let to_eye = view.eye_m.xyz - in.place_m;
    let v = normalize(to_eye);
    let l = normalize(view.light_m.xyz - in.place_m);
    let light = light_under(in.place_m);
    let open = mix(0.55, 1.0, clamp(detail.a * 2.0, 0.0, 1.0));

    // Thin it is bright red over the tissue's own colour, deep nearly black.
    let deep = vec3<f32>(0.150, 0.008, 0.006) * (0.55 + 0.9 * detail.a);
    let stain = mix(base.rgb * vec3<f32>(0.80, 0.20, 0.18), deep, smoothstep(0.20, 0.95, blood));
    let albedo = mix(base.rgb, stain, film);

    let nl = dot(n, l);
    let wrap = vec3<f32>(0.30, 0.14, 0.12);
    let diffuse = max((vec3<f32>(nl) + wrap) / (1.0 + wrap), vec3<f32>(0.0));
    let ambient = 0.06 * albedo + vec3<f32>(0.008, 0.001, 0.001);
    var color = (albedo * diffuse * open + ambient * open) * light;

    let film_n = normalize(n + v * 0.30);
    color += vec3<f32>(wet_highlight(film_n, v, l, mix(base.a * 0.62, 0.14, film), 0.030)) * light * (0.8 + 0.6 * film);
    color += vec3<f32>(wet_highlight(n0, v, l, 0.55, 0.02)) * light * 0.7;
    // Blood is glossy by itself.
    let pool_n = normalize(n0 + v * 0.35 - (view.tissue_x.xyz * slopes.x + view.tissue_y.xyz * slopes.y) * 0.45);
    color += vec3<f32>(wet_highlight(pool_n, v, l, 0.22, 0.035)) * light * film * 0.9;

    // Wetter tissue: a film that ripples by itself, in patches, so that highlights are torn into blots.
    if (view.wet.z > 0.0) {
        let p = place_mm / 3.4;
        let ripple = vec2<f32>(wet_noise(p, 401u), wet_noise(p, 409u)) - 0.5;
        let fine = vec2<f32>(wet_noise(p * 3.7, 419u), wet_noise(p * 3.7, 421u)) - 0.5;
        let tilt = slopes * rough * 0.7 + ripple * 0.40 + fine * 0.16;
        let wet_n = normalize(n0 + v * 0.25 - view.tissue_x.xyz * tilt.x - view.tissue_y.xyz * tilt.y);
        let patches = smoothstep(0.30, 0.62, wet_noise(place_mm / 14.0, 431u));
        let strength = view.wet.z * (0.25 + 0.75 * patches);
        color += vec3<f32>(wet_highlight(wet_n, v, l, 0.19, 0.030)) * light * strength;
        color += vec3<f32>(wet_highlight(normalize(n0 + n), v, l, 0.42, 0.025)) * light * strength * 0.8;
    }

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
