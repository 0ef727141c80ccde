//! What a picture must hold, whatever it looks like. No stored pictures: everything is asserted on what is drawn.
//!
//! Without a Vulkan driver each test says "skipped" and ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail it")]

use farhand_scene::{
    Class, Fixture, FixtureLook, Goal, Scene, SceneState, TARGETS_MAX, TOOLS_MAX, Target, TargetShape, Tool,
};
use nalgebra::{Point2, Point3, Translation3, Vector3};

mod common;

use common::{SEED, above, scene, state, target, tool};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
const PIXELS: usize = (WIDTH * HEIGHT) as usize;

fn small_scene() -> Option<Scene> {
    scene(WIDTH, HEIGHT)
}

fn picture(scene: &mut Scene, state: &SceneState) -> Vec<u8> {
    scene.render(state).unwrap().nv12.to_vec()
}

fn labels(scene: &mut Scene, state: &SceneState) -> Vec<u8> {
    let mut labels = vec![0; PIXELS];
    scene.render_labels(state, &mut labels).unwrap();
    labels
}

fn with_tool(tool: Option<Tool>) -> SceneState {
    with_tools(tool.into_iter().collect())
}

fn with_tools(tools: Vec<Tool>) -> SceneState {
    SceneState { tools, targets: vec![], goals: vec![], ..state() }
}

/// The tool as a second arm holds it, whose remote centre is beside the first one's.
fn from_aside(tool: Tool, by_m: Vector3<f64>) -> Tool {
    let moved = Translation3::from(by_m);
    Tool { base_from_tip: moved * tool.base_from_tip, rcm_m: moved * tool.rcm_m, ..tool }
}

/// Tools at several heights, places and bends, with targets of every shape and a goal.
fn varied_states() -> Vec<SceneState> {
    let bead = target(TargetShape::Sphere, -0.012, -0.006, 0.003);
    let shapes = [TargetShape::Ring, TargetShape::Needle, TargetShape::Sphere];
    (0..9)
        .map(|i| {
            let t = f64::from(i);
            let end_m = above(SEED, 0.02 * t.cos(), 0.02 * t.sin(), 0.004 * (t % 4.0));
            let other = target(shapes[i as usize % 3], 0.01 * (t + 1.0).sin(), 0.015 * t.cos(), 0.004);
            let goal =
                Goal { centre_m: above(SEED, 0.005 * t, 0.0, 0.0), radius_m: 0.006, highlighted: i % 2 == 0 };
            SceneState {
                tools: tools_of(i, tool(end_m, [0.5 * t.sin(), 0.5 * t.cos()], t, 0.2 * t)),
                targets: vec![Target { grasped: i > 5, ..bead }, other],
                goals: vec![goal],
                ..state()
            }
        })
        .collect()
}

/// None, one, or the tool and one or two of another arm's.
fn tools_of(i: u32, tool: Tool) -> Vec<Tool> {
    let aside = |x_m| from_aside(tool, Vector3::new(x_m, 0.01, 0.003));
    match i {
        4 => vec![],
        2 | 5 => vec![tool, aside(-0.02)],
        7 => vec![tool, aside(-0.02), aside(0.015)],
        _ => vec![tool],
    }
}

fn instrument(id: u8) -> bool {
    (Class::InstrumentShaft.id()..=Class::InstrumentClasper.id()).contains(&id)
}

/// The pixels within two of one that `wanted` picks.
fn around(labels: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<bool> {
    let (width, height) = (WIDTH as i32, HEIGHT as i32);
    let mut grown = vec![false; PIXELS];
    for (i, _) in labels.iter().enumerate().filter(|(_, id)| wanted(**id)) {
        let (x, y) = (i as i32 % width, i as i32 / width);
        for ny in (y - 2).max(0)..=(y + 2).min(height - 1) {
            for nx in (x - 2).max(0)..=(x + 2).min(width - 1) {
                grown[(ny * width + nx) as usize] = true;
            }
        }
    }
    grown
}

fn middle(i: usize) -> Point2<f64> {
    Point2::new((i % WIDTH as usize) as f64 + 0.5, (i / WIDTH as usize) as f64 + 0.5)
}

/// Goal: evidence and tests can rely on it that a state has one picture, in this scene and in a new one.
#[test]
fn the_same_state_gives_the_same_bytes() {
    let Some(mut first) = small_scene() else { return };
    let before = picture(&mut first, &state());
    picture(&mut first, &with_tool(None));
    assert!(picture(&mut first, &state()) == before, "drawn again in the same scene");
    let Some(mut second) = small_scene() else { return };
    assert!(picture(&mut second, &state()) == before, "drawn in a new scene");
}

/// Goal: drawing only what changed never leaves anything stale. Drawing labels makes a scene draw the next
/// picture whole, which is what the pictures drawn by tiles are compared with.
#[test]
fn a_picture_drawn_by_tiles_equals_one_drawn_whole() {
    let Some(mut scene) = small_scene() else { return };
    let states = varied_states();
    let by_tiles: Vec<Vec<u8>> = states.iter().map(|state| picture(&mut scene, state)).collect();
    for (number, (state, by_tiles)) in states.iter().zip(&by_tiles).enumerate() {
        labels(&mut scene, state);
        let whole = scene.render(state).unwrap();
        assert_eq!(whole.tiles_drawn, 20 * 23, "all tiles");
        assert!(whole.nv12 == by_tiles, "state {number}");
    }
}

/// Goal: a still scene costs nothing, and a moving tool less than the whole picture.
#[test]
fn only_what_changed_is_drawn() {
    let Some(mut scene) = small_scene() else { return };
    let all = scene.render(&with_tool(None)).unwrap().tiles_drawn;
    let end_m = above(SEED, 0.0, 0.0, 0.01);
    let moved = scene.render(&with_tool(Some(tool(end_m, [0.2, 0.2], 0.0, 0.3)))).unwrap().tiles_drawn;
    assert!(moved > 0 && moved < all / 2, "{moved} of {all} tiles");
    let still = scene.render(&with_tool(Some(tool(end_m, [0.2, 0.2], 0.0, 0.3)))).unwrap().tiles_drawn;
    assert_eq!(still, 0);
}

/// Goal: the picture shows the tip where the kinematics say it is: the end of the jaws' region, along their
/// direction in the picture, is within two pixels of the tip's projection.
#[test]
fn the_tip_is_seen_where_it_projects() {
    let Some(mut scene) = small_scene() else { return };
    for (x_m, y_m, bend_rad, roll_rad) in
        [(0.0, 0.0, [0.1, 0.1], 0.3), (0.012, 0.010, [0.3, -0.4], 0.0), (-0.016, 0.004, [-0.3, 0.2], 2.0)]
    {
        let tool = tool(above(SEED, x_m, y_m, 0.02), bend_rad, roll_rad, 0.0);
        let state = with_tool(Some(tool));
        let labels = labels(&mut scene, &state);
        let project = |p: Point3<f64>| state.camera.project(&p, WIDTH, HEIGHT).unwrap();
        let tip_px = project(tool.jaw_end_m());
        let along = tip_px - project(tool.base_from_tip.translation.vector.into());
        assert!(along.norm() > 20.0, "the jaws are seen from the side, {} px long", along.norm());
        let seen = (0..PIXELS).filter(|i| labels[*i] == Class::InstrumentClasper.id()).map(middle);
        let end_px = seen.max_by(|a, b| a.coords.dot(&along).total_cmp(&b.coords.dot(&along))).unwrap();
        assert!((end_px - tip_px).norm() <= 2.0, "seen at {end_px}, projected to {tip_px}");
    }
}

/// Goal: training data has every class, and no byte that is not one.
#[test]
fn every_class_is_present_and_no_other() {
    let Some(mut scene) = small_scene() else { return };
    let labels = labels(&mut scene, &state());
    for class in Class::ALL {
        let count = labels.iter().filter(|id| **id == class.id()).count();
        assert!(count > 20, "{count} pixels of {}", class.name());
    }
    assert!(labels.iter().all(|id| Class::from_id(*id).is_some()));
}

/// Goal: what the tool does not touch stays still. Away from the tool its shadow only darkens, the classes of the
/// tissue do not change, and most of the picture is byte for byte the same.
#[test]
fn moving_the_tool_changes_only_its_pixels_and_its_shadow() {
    let Some(mut scene) = small_scene() else { return };
    let empty = picture(&mut scene, &with_tool(None));
    let empty_labels = labels(&mut scene, &with_tool(None));
    for x_m in [-0.01, 0.0, 0.01] {
        let state = with_tool(Some(tool(above(SEED, x_m, 0.005, 0.015), [0.2, -0.3], 0.5, 0.4)));
        let shown = picture(&mut scene, &state);
        let labels = labels(&mut scene, &state);
        let tool = around(&labels, instrument);
        let outside = || (0..PIXELS).filter(|i| !tool[*i]);
        assert!(outside().all(|i| shown[i] <= empty[i]), "a shadow only darkens");
        assert!(outside().all(|i| labels[i] == empty_labels[i]), "the tissue keeps its classes");
        let same = outside().filter(|i| shown[*i] == empty[*i]).count();
        assert!(same > PIXELS / 2, "{same} of {PIXELS} pixels are as before");
    }
}

/// Goal: a surgeon can judge the height of the tool. Its shadow begins at the tip when that touches the tissue,
/// and the farther from it the higher the tip is.
#[test]
fn the_shadow_meets_the_tip_at_contact_and_leaves_it_with_height() {
    let Some(mut scene) = small_scene() else { return };
    let empty = picture(&mut scene, &with_tool(None));
    let gaps_px = [0.0, 0.008, 0.016, 0.024].map(|high_m| {
        let tool = tool(above(SEED, -0.012, -0.006, high_m), [0.2, 0.1], 0.9, 0.0);
        let state = with_tool(Some(tool));
        let shown = picture(&mut scene, &state);
        let covered = around(&labels(&mut scene, &state), instrument);
        let tip_px = state.camera.project(&tool.jaw_end_m(), WIDTH, HEIGHT).unwrap();
        // The leftmost darkened pixel: the tool comes from the right, so that is the tip's own shadow.
        let dark = (0..PIXELS).filter(|i| !covered[*i] && empty[*i] > shown[*i] + 8).map(middle);
        dark.map(|p| (p - tip_px).norm()).min_by(f64::total_cmp).unwrap()
    });
    assert!(gaps_px[0] < 5.0, "at contact: {gaps_px:?}");
    assert!(gaps_px.windows(2).all(|pair| pair[0] + 1.0 < pair[1]), "rising: {gaps_px:?}");
}

/// Goal: every decoder reads the picture alike: luma and chroma stay within limited range, and there is a picture.
#[test]
fn luma_and_chroma_are_in_limited_range() {
    let Some(mut scene) = small_scene() else { return };
    for state in varied_states() {
        let nv12 = picture(&mut scene, &state);
        let (luma, chroma) = nv12.split_at(PIXELS);
        assert!(luma.iter().all(|y| (16..=235).contains(y)));
        assert!(chroma.iter().all(|c| (16..=240).contains(c)));
        let (low, high) = (luma.iter().min().unwrap(), luma.iter().max().unwrap());
        assert!(high - low > 120, "from {low} to {high}");
    }
}

/// Goal: a second tool is seen where it is, at another arm's remote centre, and what is nearer hides what is farther,
/// whichever stands first in the list.
#[test]
fn two_tools_are_seen_and_the_nearer_hides_the_other() {
    let Some(mut scene) = small_scene() else { return };
    let near = tool(above(SEED, -0.006, 0.0, 0.022), [0.2, -0.3], 0.5, 0.3);
    let beside = tool(above(SEED, -0.010, 0.0, 0.012), [0.1, 0.2], 0.0, 0.0);
    for by_m in [Vector3::new(0.030, 0.020, 0.0), Vector3::new(0.012, 0.008, -0.004)] {
        let far = from_aside(beside, by_m);
        let [alone_near, alone_far, both, turned] = [vec![near], vec![far], vec![near, far], vec![far, near]]
            .map(|tools| labels(&mut scene, &with_tools(tools)));
        assert!(both == turned, "the list's order says nothing");
        let (mut hidden, mut shown) = (0, 0);
        for i in 0..PIXELS {
            let expected = if instrument(alone_near[i]) { alone_near[i] } else { alone_far[i] };
            assert_eq!(both[i], expected, "pixel {}", middle(i));
            hidden += usize::from(instrument(alone_near[i]) && instrument(alone_far[i]));
            shown += usize::from(instrument(alone_far[i]));
        }
        let project = |p: Point3<f64>| state().camera.project(&p, WIDTH, HEIGHT).unwrap();
        let end_px = project(far.jaw_end_m());
        assert!(shown > 2_000 && hidden > 200 && hidden < shown, "{hidden} of {shown} pixels hidden");
        let mut ends = (0..PIXELS).filter(|i| (middle(*i) - end_px).norm() < 2.0);
        assert!(ends.any(|i| alone_far[i] == Class::InstrumentClasper.id()), "it ends at {end_px}");
    }
}

/// Goal: a shaft comes from its own arm's remote centre: it lies in the picture along the line from there.
#[test]
fn each_shaft_comes_from_its_own_remote_centre() {
    let Some(mut scene) = small_scene() else { return };
    let first = tool(above(SEED, 0.004, 0.003, 0.02), [0.0, 0.0], 0.0, 0.0);
    let second = from_aside(first, Vector3::new(-0.012, -0.020, 0.0));
    let labels = labels(&mut scene, &with_tools(vec![first, second]));
    for held in [first, second] {
        let along = |m: f64| held.rcm_m + held.shaft_direction.scale(m);
        let depth_m = (held.base_from_tip.translation.vector - held.rcm_m.coords).norm();
        for share in [0.75, 0.82] {
            let at = state().camera.project(&along(depth_m * share), WIDTH, HEIGHT).unwrap();
            let class = labels[at.y as usize * WIDTH as usize + at.x as usize];
            assert_eq!(class, Class::InstrumentShaft.id(), "{at}, of {}", held.rcm_m);
        }
    }
}

/// Goal: every tool throws its shadow: where the second one alone darkens the tissue, it does so beside the first.
#[test]
fn each_tool_throws_a_shadow() {
    let Some(mut scene) = small_scene() else { return };
    let first = tool(above(SEED, 0.004, 0.006, 0.010), [0.2, 0.1], 0.9, 0.0);
    let second = from_aside(first, Vector3::new(-0.022, -0.012, 0.0));
    let [empty, alone, both] =
        [vec![], vec![second], vec![first, second]].map(|tools| picture(&mut scene, &with_tools(tools)));
    let covered = around(&labels(&mut scene, &with_tools(vec![first, second])), instrument);
    let darkened = |i: &usize| !covered[*i] && empty[*i] > alone[*i] + 8;
    assert!((0..PIXELS).filter(darkened).count() > 100);
    assert!((0..PIXELS).filter(darkened).all(|i| both[i] <= alone[i]));
}

/// Goal: in the fullest picture every shadow is there: whichever stand last in their lists, it is the same.
#[test]
fn the_fullest_picture_has_every_shadow() {
    let Some(mut scene) = small_scene() else { return };
    let rings = (0..TARGETS_MAX as u32).map(|i| f64::from(i) * 0.009 - 0.022);
    let mut full = with_tools(tools_of(7, tool(above(SEED, 0.012, 0.010, 0.02), [0.2, 0.1], 0.9, 0.0)));
    full.targets = rings.map(|x_m| target(TargetShape::Ring, x_m, -0.008, 0.003)).collect();
    assert_eq!(full.tools.len(), TOOLS_MAX);
    let shown = picture(&mut scene, &full);
    full.tools.reverse();
    full.targets.reverse();
    assert!(picture(&mut scene, &full) == shown);
}

/// Goal: the conversion is BT.709: decoded by the standard's own equations, the blue target is blue and the tissue
/// around the goal red or yellow.
#[test]
fn the_target_is_blue_and_the_tissue_is_not() {
    let Some(mut scene) = small_scene() else { return };
    let nv12 = picture(&mut scene, &state());
    let labels = labels(&mut scene, &state());
    let rgb = common::rgb(&nv12, WIDTH as usize, HEIGHT as usize);
    let mean = |class: Class| {
        let picked: Vec<usize> = (0..PIXELS).filter(|i| labels[*i] == class.id()).collect();
        [0, 1, 2].map(|c| picked.iter().map(|i| f64::from(rgb[i * 3 + c])).sum::<f64>() / picked.len() as f64)
    };
    let (target, tissue) = (mean(Class::Target), mean(Class::BackgroundTissue));
    assert!(target[2] > target[0] + 50.0, "target {target:?}");
    assert!(tissue[0] > tissue[2] + 40.0, "tissue {tissue:?}");
}

/// Goal: a goal's ink is seen where the goal is and nowhere else.
#[test]
fn a_goal_marks_the_tissue_around_it_only() {
    let Some(mut scene) = small_scene() else { return };
    let empty = picture(&mut scene, &with_tool(None));
    let centre_m = above(SEED, 0.012, -0.016, 0.0);
    let goal = Goal { centre_m, radius_m: 0.007, highlighted: true };
    let marked = picture(&mut scene, &SceneState { goals: vec![goal], ..with_tool(None) });
    let middle_px = state().camera.project(&centre_m, WIDTH, HEIGHT).unwrap();
    let changed: Vec<usize> = (0..PIXELS).filter(|i| empty[*i] != marked[*i]).collect();
    assert!(changed.len() > 300, "{} pixels", changed.len());
    assert!(changed.iter().all(|i| (middle(*i) - middle_px).norm() < 45.0));
}

/// Goal: another camera shows another picture of the same tissue, and coming back shows the first again.
#[test]
fn the_camera_may_move_and_come_back() {
    let Some(mut scene) = small_scene() else { return };
    let here = picture(&mut scene, &state());
    let mut elsewhere = state();
    elsewhere.camera.base_from_camera.translation.vector += Vector3::new(0.004, 0.0, 0.002);
    assert!(picture(&mut scene, &elsewhere) != here);
    assert!(picture(&mut scene, &state()) == here);
}

/// A board with a peg on it, beside the middle of the field.
fn fixtures() -> Vec<Fixture> {
    let foot_m = above(SEED, -0.010, -0.008, 0.002);
    let rod = |from: f64, to: f64, radius_m, look| Fixture {
        path_m: [from, to].map(|up_m| foot_m + Vector3::z() * up_m).into(),
        radius_m,
        look,
    };
    vec![rod(-0.006, 0.0, 0.008, FixtureLook::Board), rod(0.0, 0.006, 0.001, FixtureLook::Peg)]
}

/// Goal: what stands in the field is paid for once: a tool that moves there draws no more tiles than without it; and taken
/// away it leaves the tissue as it was.
#[test]
fn fixtures_cost_a_frame_nothing() {
    let Some(mut scene) = small_scene() else { return };
    let empty = picture(&mut scene, &with_tool(None));
    let standing = |tool| SceneState { fixtures: fixtures(), ..with_tool(tool) };
    assert!(picture(&mut scene, &standing(None)) != empty);
    let tool = tool(above(SEED, 0.012, 0.010, 0.01), [0.2, 0.2], 0.0, 0.3);
    let drawn = scene.render(&standing(Some(tool))).unwrap().tiles_drawn;
    assert!(picture(&mut scene, &with_tool(None)) == empty);
    assert_eq!(scene.render(&with_tool(Some(tool))).unwrap().tiles_drawn, drawn);
}

/// Goal: a peg is told from the board that it stands on and from the tissue; what is behind it is hidden, and what is before
/// it is not.
#[test]
fn a_peg_stands_where_it_is() {
    let Some(mut scene) = small_scene() else { return };
    let standing = SceneState { fixtures: fixtures(), ..with_tool(None) };
    let seen = labels(&mut scene, &standing);
    let peg_px = |up_m: f64| {
        let at = fixtures()[1].path_m[0] + Vector3::z() * up_m;
        standing.camera.project(&at, WIDTH, HEIGHT).unwrap()
    };
    let class_at = |labels: &[u8], at: Point2<f64>| labels[at.y as usize * WIDTH as usize + at.x as usize];
    assert_eq!(class_at(&seen, peg_px(0.004)), Class::Target.id());
    assert_eq!(
        class_at(&seen, peg_px(-0.001) + Vector3::new(12.0, 4.0, 0.0).xy()),
        Class::BackgroundTissue.id()
    );
    let empty = labels(&mut scene, &with_tool(None));
    let more = seen.iter().zip(&empty).filter(|(now, then)| now != then).count();
    assert!((100..8_000).contains(&more), "{more} pixels");
}
