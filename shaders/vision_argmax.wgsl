// Of every pixel the class with the greatest score and the share that it has of all (softmax), four pixels a thread and in one word:
// first the words of all classes, then those of the shares, from 0 to 255.

struct Scores {
    // Where they begin.
    scores_at: u32,
    classes: u32,
    // Pixels.
    plane: u32,
    unused: u32,
}

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> seen: array<u32>;
@group(0) @binding(2) var<uniform> scores: Scores;

// Class and share; the first of equal ones wins.
fn judge(pixel: u32) -> vec2<u32> {
    var best = 0u;
    var greatest = values[scores.scores_at + pixel];
    for (var class_at = 1u; class_at < scores.classes; class_at++) {
        let score = values[scores.scores_at + class_at * scores.plane + pixel];
        if (score > greatest) {
            best = class_at;
            greatest = score;
        }
    }
    var all = 0.0;
    for (var class_at = 0u; class_at < scores.classes; class_at++) {
        all += exp(values[scores.scores_at + class_at * scores.plane + pixel] - greatest);
    }
    return vec2<u32>(best, u32(255.0 / all + 0.5));
}

@compute @workgroup_size(64)
fn argmax(@builtin(global_invocation_id) thread: vec3<u32>) {
    let words = (scores.plane + 3u) / 4u;
    if (thread.x >= words) {
        return;
    }
    var four = vec2<u32>(0u);
    for (var at = 0u; at < 4u; at++) {
        let pixel = thread.x * 4u + at;
        if (pixel < scores.plane) {
            four |= judge(pixel) << vec2<u32>(at * 8u);
        }
    }
    seen[thread.x] = four.x;
    seen[words + thread.x] = four.y;
}
