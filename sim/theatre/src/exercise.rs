//! What came of an exercise, for people and programs.

use farhand_world::exercise::{Errors, Measures, Mistake, PASS_MARK, Progress, Report};
use serde_json::{Map, Value, json};

/// The whole of it.
pub(crate) fn to_json(report: &Report) -> Value {
    json!({
        "exercise": report.exercise.name(),
        "seed": report.seed,
        "phase": report.phase.name(),
        "progress": progress(report.progress),
        "measures": measures(&report.measures),
        "errors": errors(&report.errors),
        "score": report.score.map(|score| score.points()),
        "pass_mark": PASS_MARK,
        "passed": report.passes(),
    })
}

pub(crate) fn progress(progress: Progress) -> Value {
    json!({ "done": progress.done, "of": progress.of })
}

pub(crate) fn measures(measures: &Measures) -> Value {
    json!({
        "time_s": measures.time_s, "path_mm": measures.path_mm, "economy": measures.economy,
        "movements": measures.movements, "smoothness_sparc": measures.smoothness,
    })
}

/// Those that there were.
pub(crate) fn errors(errors: &Errors) -> Value {
    let mut made = Map::new();
    for mistake in Mistake::EACH.iter().filter(|mistake| errors.count(**mistake) > 0) {
        made.insert(mistake.key().to_owned(), json!(errors.count(*mistake)));
        if errors.lasted_ms(*mistake) > 0 {
            made.insert(format!("{}_ms", mistake.key()), json!(errors.lasted_ms(*mistake)));
        }
    }
    Value::Object(made)
}

/// In one line.
pub(crate) fn in_words(report: &Report) -> String {
    let Report { exercise, measures, errors, .. } = report;
    let went = match report.score {
        Some(score) if report.passes() => format!("{:.0} points, passed", score.points()),
        Some(score) => format!("{:.0} points, not passed (pass mark {PASS_MARK})", score.points()),
        None => report.phase.name().to_owned(),
    };
    let smoothness = measures.smoothness.map_or("none".to_owned(), |sparc| format!("{sparc:.2}"));
    format!(
        "{exercise}: {went}; {:.1} s, {:.0} mm, economy {:.2}, {} movements, smoothness {smoothness}; errors: {errors}",
        measures.time_s, measures.path_mm, measures.economy, measures.movements
    )
}
