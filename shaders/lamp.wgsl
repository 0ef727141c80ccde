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

fn encode(linear: vec3<f32>) -> vec3<f32> {
    let mapped = 1.0 - exp(-linear * 1.35);
    return pow(mapped, vec3<f32>(1.0 / 2.2));
}

// The lens darkens toward its rim.
fn vignette(pixel: vec2<f32>) -> f32 {
    let off = (pixel - view.size_exposure.xy * 0.5) / (view.size_exposure.x * 0.5);
    return 1.0 - 0.32 * dot(off, off) * dot(off, off);
}
