//! How well edges lie.

/// How well the edges of two masks lie on each other: the harmonic mean of how much of each lies within `tolerance_px` of the other
/// (boundary F1, Csurka et al. 2013). `None` where neither has an edge.
#[must_use]
pub fn boundary_f1(truth: &[bool], seen: &[bool], width: usize, tolerance_px: usize) -> Option<f64> {
    let (truth, seen) = (edge(truth, width), edge(seen, width));
    let near = |edge: &[bool], of: &[bool]| {
        let wide = widened(of, width, tolerance_px);
        let all = edge.iter().filter(|on| **on).count();
        let hit = edge.iter().zip(&wide).filter(|(on, wide)| **on && **wide).count();
        (all > 0).then(|| hit as f64 / all as f64)
    };
    match (near(&seen, &truth), near(&truth, &seen)) {
        (None, None) => None,
        (Some(precision), Some(recall)) if precision + recall > 0.0 => {
            Some(2.0 * precision * recall / (precision + recall))
        }
        _ => Some(0.0),
    }
}

/// Pixels of the mask beside one that is not, or beside nothing.
fn edge(mask: &[bool], width: usize) -> Vec<bool> {
    let height = mask.len() / width;
    let inside = |x: usize, y: usize| {
        let beside = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
        beside.into_iter().all(|(x, y)| x < width && y < height && mask[y * width + x])
    };
    (0..mask.len()).map(|at| mask[at] && !inside(at % width, at / width)).collect()
}

/// The mask with all that is within so many pixels of it, along either axis.
fn widened(mask: &[bool], width: usize, by_px: usize) -> Vec<bool> {
    let height = mask.len() / width;
    let along = |mask: &[bool], length: usize, count: usize, at: &dyn Fn(usize, usize) -> usize| {
        let mut wide = vec![false; mask.len()];
        for line in 0..count {
            for here in (0..length).filter(|here| mask[at(line, *here)]) {
                let to = (here + by_px).min(length - 1);
                (here.saturating_sub(by_px)..=to).for_each(|near| wide[at(line, near)] = true);
            }
        }
        wide
    };
    let rows = along(mask, width, height, &|line, here| line * width + here);
    along(&rows, height, width, &|line, here| here * width + line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a mask lies on itself, one that is moved by the tolerance does, one that is moved farther does not.
    #[test]
    fn edges_lie_within_the_tolerance() {
        let square = |left: usize| -> Vec<bool> {
            (0..400).map(|at| (left..left + 6).contains(&(at % 20)) && (5..11).contains(&(at / 20))).collect()
        };
        assert_eq!(boundary_f1(&square(4), &square(4), 20, 0), Some(1.0));
        assert_eq!(boundary_f1(&square(4), &square(6), 20, 2), Some(1.0));
        assert!(boundary_f1(&square(4), &square(9), 20, 2).unwrap() < 0.6);
        assert_eq!(boundary_f1(&square(4), &[false; 400], 20, 2), Some(0.0));
        assert_eq!(boundary_f1(&[false; 400], &[false; 400], 20, 2), None);
    }
}
