// Bakes what does not change: the tissue's colour, wetness, fine relief and classes, seen from above.
// Pass one (fs_material) writes colour and relief; pass two (fs_detail) turns the relief into slopes.

struct Bake {
    // Side of the square in mm, relief texel in mm, seed (as bits), how large the texture is drawn.
    side_texel_seed: vec4<f32>,
    // Organ: centre in mm, half axes in mm.
    organ: vec4<f32>,
    // Organ: cosine and sine of its turn; how far the threshold of fat sinks.
    organ_turn: vec4<f32>,
    // Colours, each from its darker to its lighter end.
    flesh: array<vec4<f32>, 2>,
    veil: vec4<f32>,
    fat: array<vec4<f32>, 2>,
    organ_colors: array<vec4<f32>, 2>,
}

struct Material {
    @location(0) albedo_roughness: vec4<f32>,
    @location(1) relief_mm: vec4<f32>,
}

@group(0) @binding(0) var<uniform> bake: Bake;
@group(0) @binding(1) var vessels: texture_2d<f32>;
@group(0) @binding(2) var relief: texture_2d<f32>;

@vertex
fn vs_full(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    let x = f32((corner << 1u) & 2u);
    let y = f32(corner & 2u);
    return vec4<f32>(x * 2.0 - 1.0, y * 2.0 - 1.0, 0.5, 1.0);
}

fn hash(cell: vec2<i32>, salt: u32) -> f32 {
    var h = (u32(cell.x) * 0x85ebca6bu) ^ (u32(cell.y) * 0xc2b2ae35u) ^ bitcast<u32>(bake.side_texel_seed.z) ^ (salt * 0x9e3779b9u);
    h = (h ^ (h >> 15u)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12u)) * 0x297a2d39u;
    h = h ^ (h >> 15u);
    return f32(h >> 8u) / 16777216.0;
}

fn noise(p: vec2<f32>, salt: u32) -> f32 {
    let cell = vec2<i32>(floor(p));
    let f = fract(p);
    let u = f * f * (3.0 - 2.0 * f);
    let low = mix(hash(cell, salt), hash(cell + vec2<i32>(1, 0), salt), u.x);
    let high = mix(hash(cell + vec2<i32>(0, 1), salt), hash(cell + vec2<i32>(1, 1), salt), u.x);
    return mix(low, high, u.y);
}

fn fbm(p: vec2<f32>, octaves: i32, salt: u32) -> f32 {
    var sum = 0.0;
    var weight = 0.5;
    var q = p;
    for (var i = 0; i < octaves; i++) {
        sum += weight * noise(q, salt + u32(i));
        q = vec2<f32>(0.8 * q.x - 0.6 * q.y, 0.6 * q.x + 0.8 * q.y) * 2.03;
        weight *= 0.5;
    }
    return sum / (1.0 - 2.0 * weight);
}

// Distance to the nearest and to the second nearest of scattered points, and the nearest one's own number.
fn cells(p: vec2<f32>, salt: u32) -> vec3<f32> {
    let home = vec2<i32>(floor(p));
    var found = vec3<f32>(9.0, 9.0, 0.0);
    for (var y = -1; y <= 1; y++) {
        for (var x = -1; x <= 1; x++) {
            let cell = home + vec2<i32>(x, y);
            let point = vec2<f32>(cell) + vec2<f32>(hash(cell, salt), hash(cell, salt + 1u));
            let d = distance(p, point);
            let nearer = d < found.x;
            found = vec3<f32>(min(found.x, d), select(min(found.y, d), found.x, nearer), select(found.z, hash(cell, salt + 2u), nearer));
        }
    }
    return found;
}

fn organ_distance(place_mm: vec2<f32>) -> f32 {
    let off = place_mm - bake.organ.xy;
    let c = bake.organ_turn.x;
    let s = bake.organ_turn.y;
    return length(vec2<f32>(c * off.x + s * off.y, c * off.y - s * off.x) / bake.organ.zw);
}

@fragment
fn fs_material(@builtin(position) pixel: vec4<f32>) -> Material {
    let side_mm = bake.side_texel_seed.x;
    let true_place = pixel.xy * bake.side_texel_seed.y - vec2<f32>(side_mm / 2.0);
    let place = true_place / bake.side_texel_seed.w;
    let vessel = textureLoad(vessels, vec2<i32>(pixel.xy), 0);
    let warp = vec2<f32>(fbm(place / 17.0, 3, 11u), fbm(place / 17.0, 3, 29u)) * 13.0;

    // Connective tissue over muscle: pink, cloudy, with a whitish veil in places.
    let cloud = fbm((place + warp) / 10.0, 4, 41u);
    let veil = smoothstep(0.52, 0.80, fbm((place + warp * 1.5) / 22.0, 3, 53u));
    var albedo = mix(bake.flesh[0].rgb, bake.flesh[1].rgb, cloud);
    albedo = mix(albedo, bake.veil.rgb, veil * 0.55);

    // Fat: soft yellow lobules, two sizes of them, parted by shallow folds rather than lines.
    let fat_here = smoothstep(0.47 - bake.organ_turn.z, 0.66 - bake.organ_turn.z, fbm((place + warp) / 30.0, 4, 71u));
    let bent = place + warp * 0.6 + vec2<f32>(fbm(place / 5.0, 2, 61u), fbm(place / 5.0, 2, 67u)) * 4.0;
    let large = cells(bent / 9.0, 83u);
    let small = cells(bent / 4.2, 89u);
    let fold = smoothstep(0.0, 0.55, large.y - large.x) * mix(0.75, 1.0, smoothstep(0.0, 0.6, small.y - small.x));
    var fat = mix(bake.fat[0].rgb, bake.fat[1].rgb, large.z * 0.5 + cloud * 0.5);
    fat = mix(fat * vec3<f32>(0.88, 0.66, 0.62), fat, fold);
    albedo = mix(albedo, fat, fat_here * 0.80);

    // The organ: dark red-brown, finely mottled, with a darker crease where it meets the tissue.
    let edge = organ_distance(true_place);
    let organ = 1.0 - smoothstep(1.085, 1.11, edge + (cloud - 0.5) * 0.03);
    let mottle = fbm(place / 1.7, 3, 97u) * 0.6 + cloud * 0.4;
    albedo = mix(albedo, mix(bake.organ_colors[0].rgb, bake.organ_colors[1].rgb, mottle), organ);
    albedo *= 1.0 - 0.45 * (1.0 - smoothstep(0.0, 0.10, abs(edge - 1.13)));

    // Vessels, seen through a thin layer of tissue.
    albedo = mix(albedo, vec3<f32>(0.225, 0.035, 0.075), vessel.g * 0.62 * (1.0 - organ * 0.7));
    albedo = mix(albedo, vec3<f32>(0.40, 0.020, 0.022), vessel.r * 0.70 * (1.0 - organ * 0.7));

    // Relief in mm.
    let dome = fold * (1.0 - 0.35 * large.x * large.x);
    let rough = fbm(place / 2.4, 3, 149u) * 0.22 + fbm((place + warp) / 6.0, 2, 167u) * 0.75;
    let soft = fbm(place / 3.2, 3, 181u) * 0.10 + fbm(place / 9.0, 2, 191u) * 0.35;
    var height = mix(rough, dome * 0.95 + rough * 0.45, fat_here);
    height = mix(height, soft, organ) + vessel.b * 0.30 * (1.0 - organ * 0.6);

    let wet = fbm(place / 7.0, 3, 199u);
    let roughness = mix(mix(0.20, 0.46, wet), mix(0.22, 0.34, wet), organ);
    let class_id = select(select(0.0, 5.0, organ > 0.5), 4.0, vessel.a > 0.5 && organ < 0.5);

    var out: Material;
    out.albedo_roughness = vec4<f32>(albedo, roughness);
    out.relief_mm = vec4<f32>(height, class_id, 0.0, 1.0);
    return out;
}

// Slopes along x and y, -1..1 as 0..1; the class in 1/255; how open the place lies.
@fragment
fn fs_detail(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let at = vec2<i32>(pixel.xy);
    let last = vec2<i32>(textureDimensions(relief)) - vec2<i32>(1);
    let here = textureLoad(relief, at, 0);
    let left = textureLoad(relief, max(at - vec2<i32>(1, 0), vec2<i32>(0)), 0).r;
    let right = textureLoad(relief, min(at + vec2<i32>(1, 0), last), 0).r;
    let down = textureLoad(relief, max(at - vec2<i32>(0, 1), vec2<i32>(0)), 0).r;
    let up = textureLoad(relief, min(at + vec2<i32>(0, 1), last), 0).r;
    let slopes = vec2<f32>(right - left, up - down) / (2.0 * bake.side_texel_seed.y);
    let hollow = clamp((left + right + up + down) * 0.25 - here.r, -0.1, 0.1);
    return vec4<f32>(clamp(slopes * 0.5 + 0.5, vec2<f32>(0.0), vec2<f32>(1.0)), here.g / 255.0, 0.5 - hollow * 5.0);
}
