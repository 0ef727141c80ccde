// Halves a picture: each texel is the mean of the four below it. Used to build mip levels.

@group(0) @binding(0) var larger: texture_2d<f32>;

@vertex
fn vs_full(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    let x = f32((corner << 1u) & 2u);
    let y = f32(corner & 2u);
    return vec4<f32>(x * 2.0 - 1.0, y * 2.0 - 1.0, 0.5, 1.0);
}

@fragment
fn fs_halve(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let at = vec2<i32>(pixel.xy) * 2;
    let sum = textureLoad(larger, at, 0)
        + textureLoad(larger, at + vec2<i32>(1, 0), 0)
        + textureLoad(larger, at + vec2<i32>(0, 1), 0)
        + textureLoad(larger, at + vec2<i32>(1, 1), 0);
    return sum * 0.25;
}
