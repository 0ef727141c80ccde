// Paints the vessels of a tissue, as wide soft strokes, into a square picture seen from above.
// Red: artery, green: vein, blue: how far it bulges, alpha: wide enough to bear the label of a vessel.
// Blending keeps the largest value, so that crossing strokes do not add up.

struct Stroke {
    @builtin(position) clip: vec4<f32>,
    @location(0) along_across_m: vec2<f32>,
    @location(1) @interpolate(flat) length_m: f32,
    @location(2) @interpolate(flat) radii_m: vec2<f32>,
    @location(3) @interpolate(flat) vein: f32,
}

// One instance a piece: from.xy, to.xy in -1..1 of the square; radii in metres; vein 0 or 1; half side in metres.
@vertex
fn vs_stroke(
    @builtin(vertex_index) corner: u32,
    @location(0) ends: vec4<f32>,
    @location(1) radii_vein_half: vec4<f32>,
) -> Stroke {
    let half_m = radii_vein_half.w;
    let margin_m = max(radii_vein_half.x, radii_vein_half.y) * 1.6 + 0.0003;
    let from_m = ends.xy * half_m;
    let to_m = ends.zw * half_m;
    let length_m = max(distance(from_m, to_m), 1e-6);
    let along = (to_m - from_m) / length_m;
    let across = vec2<f32>(-along.y, along.x);
    let at_end = f32(corner & 1u);
    let side = f32((corner >> 1u) & 1u) * 2.0 - 1.0;
    let along_m = at_end * length_m + (at_end * 2.0 - 1.0) * margin_m;
    let place_m = from_m + along * along_m + across * side * margin_m;
    var out: Stroke;
    // The picture's first row is the tissue's smallest y.
    out.clip = vec4<f32>(place_m.x / half_m, -place_m.y / half_m, 0.5, 1.0);
    out.along_across_m = vec2<f32>(along_m, side * margin_m);
    out.length_m = length_m;
    out.radii_m = radii_vein_half.xy;
    out.vein = radii_vein_half.z;
    return out;
}

@fragment
fn fs_stroke(in: Stroke) -> @location(0) vec4<f32> {
    let t = clamp(in.along_across_m.x / in.length_m, 0.0, 1.0);
    let radius_m = mix(in.radii_m.x, in.radii_m.y, t);
    let beyond_m = in.along_across_m.x - t * in.length_m;
    let off = length(vec2<f32>(beyond_m, in.along_across_m.y)) / radius_m;
    let edge = 0.00012 / radius_m;
    let inside = 1.0 - smoothstep(1.0 - edge, 1.0 + edge, off);
    let bulge = sqrt(max(1.0 - off * off, 0.0)) * clamp(radius_m / 0.0012, 0.0, 1.0);
    let depth = clamp(radius_m / 0.0005, 0.35, 1.0);
    let labelled = select(0.0, 1.0, radius_m > 0.00035 && off < 1.0);
    return vec4<f32>(inside * depth * (1.0 - in.vein), inside * depth * in.vein, bulge, labelled);
}
