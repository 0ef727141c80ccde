//! Lines around what is seen: what a page draws over the picture.

use contour::ContourBuilder;
use farhand_wire::overlay::{self, CONTOUR_POINTS_MAX, CONTOURS_MAX, Contour};

use crate::segment::Segmentation;

/// An area of fewer pixels of the net's is a speck.
const AREA_MIN: f64 = 12.0;
/// A share is a byte, and half of it is where one class ends.
const HALF: f64 = 127.5;

impl Segmentation {
    /// Around each area of these classes, by their numbers among the model's: the largest first, as many as fit into one overlay.
    #[must_use]
    pub fn contours(&self, classes: &[Option<overlay::Class>]) -> Vec<Contour> {
        let known = classes.iter().enumerate().filter_map(|(number, class)| Some((number, (*class)?)));
        let mut found: Vec<(f64, Contour)> =
            known.flat_map(|(number, class)| self.contours_of(number, class)).collect();
        found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut left = CONTOUR_POINTS_MAX;
        let mut fits = |contour: &Contour| {
            let fits = contour.points.len() <= left;
            left -= if fits { contour.points.len() } else { 0 };
            fits
        };
        found.into_iter().map(|(_, contour)| contour).filter(|it| fits(it)).take(CONTOURS_MAX).collect()
    }

    /// With their areas in pixels. A hole has a line of its own.
    fn contours_of(&self, number: usize, class: overlay::Class) -> Vec<(f64, Contour)> {
        if !self.classes.iter().any(|seen| usize::from(*seen) == number) {
            return Vec::new();
        }
        let values: Vec<f64> =
            self.classes.iter().zip(&self.shares).map(|seen| share(seen, number)).collect();
        let traced = ContourBuilder::new(self.width, self.height, true).contours(&values, &[HALF]);
        // The one thing that it refuses is a grid of another size.
        let areas = traced.unwrap_or_default().into_iter().flat_map(|it| it.into_inner().0.0);
        let rings = areas.flat_map(|area| {
            let (outside, holes) = area.into_inner();
            std::iter::once(outside).chain(holes).map(|ring| ring.0)
        });
        let large = rings.map(|ring| (area(&ring), ring)).filter(|(area, _)| *area >= AREA_MIN);
        large.map(|(area, ring)| (area, Contour { class, points: self.points(&ring) })).collect()
    }

    /// In shares of the picture's sides. The last of a ring's points is its first.
    fn points(&self, ring: &[contour::Pt]) -> Vec<[u16; 2]> {
        let share = |at: f64, side: usize| (at / side as f64 * f64::from(u16::MAX)).round() as u16;
        let (_, open) = ring.split_last().unwrap_or((&contour::Pt { x: 0.0, y: 0.0 }, &[]));
        open.iter().map(|point| [share(point.x, self.width), share(point.y, self.height)]).collect()
    }
}

/// Of one class, as far as it is known: the winner's is told, and the others have at most what is left.
fn share((seen, share): (&u8, &u8), number: usize) -> f64 {
    let share = f64::from(*share);
    if usize::from(*seen) == number { share.max(HALF + 0.5) } else { (255.0 - share).min(HALF - 0.5) }
}

/// By the shoelace formula, whichever way round it goes.
fn area(ring: &[contour::Pt]) -> f64 {
    let twice: f64 = ring.windows(2).map(|pair| pair[0].x * pair[1].y - pair[1].x * pair[0].y).sum();
    twice.abs() / 2.0
}

#[cfg(test)]
mod tests {
    use farhand_wire::overlay::Class;

    use super::*;

    fn seen(width: usize, height: usize, class: impl Fn(usize, usize) -> u8) -> Segmentation {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let classes: Vec<u8> = pixels.map(|(x, y)| class(x, y)).collect();
        Segmentation { height, width, shares: vec![255; classes.len()], classes }
    }

    const CLASSES: [Option<Class>; 3] = [None, Some(Class::Shaft), Some(Class::Jaws)];

    /// Goal: a box is lined where it ends, in shares of the picture; a speck and what has no class are not.
    #[test]
    fn a_box_is_lined_where_it_ends() {
        let picture = seen(20, 10, |x, y| match (x, y) {
            (5..=14, 2..=7) => 2,
            (1, 1) => 1,
            _ => 0,
        });
        let contours = picture.contours(&CLASSES);
        let [Contour { class: Class::Jaws, points }] = &contours[..] else { unreachable!("{contours:?}") };
        let side = |axis: usize| points.iter().map(move |point| f64::from(point[axis]) / 65535.0);
        let (left, right) = (side(0).fold(1.0, f64::min), side(0).fold(0.0, f64::max));
        let (top, bottom) = (side(1).fold(1.0, f64::min), side(1).fold(0.0, f64::max));
        for (seen, expected) in [(left, 0.25), (right, 0.75), (top, 0.2), (bottom, 0.8)] {
            assert!((seen - expected).abs() < 1e-3, "{seen}, expected {expected}");
        }
    }

    /// Goal: what reaches the picture's edge is closed there, a hole has its own line, and an empty picture has none.
    #[test]
    fn edges_and_holes_are_lined() {
        let ring = seen(30, 30, |x, y| u8::from(!((10..20).contains(&x) && (10..20).contains(&y))));
        let contours = ring.contours(&CLASSES);
        assert_eq!(contours.len(), 2);
        let corner = contours[0].points.iter().any(|point| point[0] == 0 || point[1] == 0);
        assert!(corner, "{:?}", contours[0]);
        assert!(seen(30, 30, |_, _| 0).contours(&CLASSES).is_empty());
    }

    /// Goal: of more than fits the largest are kept, whole.
    #[test]
    fn the_largest_are_kept() {
        let many = seen(200, 200, |x, y| u8::from(x % 8 < 5 && y % 8 < 5 || x < 60 && y < 60));
        let contours = many.contours(&CLASSES);
        let points: usize = contours.iter().map(|contour| contour.points.len()).sum();
        assert!(contours.len() <= CONTOURS_MAX && points <= CONTOUR_POINTS_MAX);
        assert!(contours[0].points.len() > contours[1].points.len());
    }
}
