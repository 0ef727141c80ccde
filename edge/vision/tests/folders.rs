//! Folders of labelled pictures in each layout: what is read, what does not count, and how a bad file is told.
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so")]

use std::{fs, path::Path};

use farhand_vision::{Folder, FolderError, Labelled, Layout, Look, NOT_LABELLED, Part, Rgb, Verdict};
use tempfile::{TempDir, tempdir};

const WIDTH: usize = 4;
const TISSUE: u8 = Part::Tissue as u8;
const TOOL: u8 = Part::Instrument as u8;

/// A picture of such pixels, four a row.
fn write(folder: &Path, name: &str, pixels: &[[u8; 3]]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let rgb = Rgb { width: WIDTH, height: pixels.len() / WIDTH, bytes: pixels.concat() };
    rgb.write_png(&path).unwrap();
}

fn greys(bytes: [u8; 8]) -> Vec<[u8; 3]> {
    bytes.map(|byte| [byte; 3]).into()
}

fn read(layout: Layout, folder: &TempDir) -> Result<Vec<Labelled>, FolderError> {
    Folder::open(layout, folder.path(), None)?.pictures().collect()
}

fn refused(layout: Layout, folder: &TempDir) -> String {
    let told = read(layout, folder).unwrap_err().to_string();
    told.replace(&folder.path().display().to_string(), "DIR")
}

fn names(pictures: &[Labelled]) -> Vec<(&str, &str, bool)> {
    pictures.iter().map(|one| (one.name.as_str(), one.row.as_str(), one.follows)).collect()
}

/// Goal: LabelMe's polygons become instruments, a picture without labels is left out, and one of another size is told with both sizes.
#[test]
fn labelme_is_read() {
    let folder = tempdir().unwrap();
    write(folder.path(), "a.png", &[[9; 3]; 8]);
    write(folder.path(), "b.png", &[[9; 3]; 8]);
    let labels = |width: usize| {
        format!(
            r#"{{"imageWidth": {width}, "imageHeight": 2,
                 "shapes": [{{"label": "hook", "points": [[0, 0], [2, 0], [2, 1], [0, 1]]}}]}}"#
        )
    };
    fs::write(folder.path().join("b.json"), labels(4)).unwrap();
    let pictures = read(Layout::LabelMe, &folder).unwrap();
    assert_eq!(names(&pictures), [("b", "b", false)]);
    let t = TISSUE;
    assert_eq!(pictures[0].truth, [TOOL, TOOL, t, t, t, t, t, t]);

    fs::write(folder.path().join("b.json"), labels(5)).unwrap();
    assert_eq!(refused(Layout::LabelMe, &folder), "DIR/b.png: a picture of 4 x 2, its labels are of 5 x 2");
    fs::write(folder.path().join("b.json"), "{}").unwrap();
    assert!(refused(Layout::LabelMe, &folder).starts_with("DIR/b.json: this is not LabelMe's JSON"));
}

const ENDOVIS: [[u8; 3]; 8] = [
    [0, 0, 0],
    [0, 255, 0],
    [125, 255, 12],
    [0, 255, 255],
    [255, 55, 0],
    [123, 15, 175],
    [0, 255, 125],
    [187, 155, 25],
];

/// Goal: EndoVis' colours are read, sequence by sequence; clamps do not count; a colour that is no class is told with its place.
#[test]
fn endovis_is_read() {
    let folder = tempdir().unwrap();
    for sequence in ["seq_1", "seq_2"] {
        write(folder.path(), &format!("{sequence}/left_frames/frame000.png"), &[[9; 3]; 8]);
        write(folder.path(), &format!("{sequence}/labels/frame000.png"), &ENDOVIS);
    }
    write(folder.path(), "seq_2/left_frames/frame001.png", &[[9; 3]; 8]); // without labels
    let pictures = read(Layout::EndoVis, &folder).unwrap();
    let rows = [("seq_1-frame000", "seq_1", false), ("seq_2-frame000", "seq_2", false)];
    assert_eq!(names(&pictures), rows);
    let parts = [Part::Tissue, Part::Shaft, Part::Wrist, Part::Jaws, Part::Organ, Part::Instrument];
    assert_eq!(pictures[0].truth, [&parts.map(Part::id)[..], &[NOT_LABELLED, TISSUE]].concat());

    let mut bad = ENDOVIS;
    bad[6] = [1, 2, 3];
    write(folder.path(), "seq_2/labels/frame000.png", &bad);
    let told = refused(Layout::EndoVis, &folder);
    let colour =
        "DIR/seq_2/labels/frame000.png: the colour 1, 2, 3 at (2, 1) stands for no class of EndoVis 2018";
    assert!(told.starts_with(colour), "{told}");
    write(folder.path(), "seq_2/labels/frame000.png", &ENDOVIS[..4]);
    let size = "DIR/seq_2/left_frames/frame000.png: a picture of 4 x 2, its labels are of 4 x 1";
    assert_eq!(refused(Layout::EndoVis, &folder), size);
}

/// Goal: a release's own legend goes before the known colours, and one that names a class of another set is told.
#[test]
fn a_legend_beside_the_pictures_is_kept_to() {
    let folder = tempdir().unwrap();
    write(folder.path(), "seq_1/left_frames/frame000.png", &[[9; 3]; 4]);
    write(folder.path(), "seq_1/labels/frame000.png", &[[7, 7, 7], [8, 8, 8], [7, 7, 7], [8, 8, 8]]);
    let legend = |name: &str| {
        let entries = format!(
            r#"[{{"name": "background", "classid": 0, "color": [7, 7, 7]}},
                {{"name": "{name}", "classid": 1, "color": [8, 8, 8]}}]"#
        );
        fs::write(folder.path().join("labels.json"), entries).unwrap();
    };
    legend("instrument-shaft");
    let shaft = Part::Shaft.id();
    assert_eq!(read(Layout::EndoVis, &folder).unwrap()[0].truth, [TISSUE, shaft, TISSUE, shaft]);
    legend("stapler");
    assert_eq!(refused(Layout::EndoVis, &folder), "DIR/labels.json: \"stapler\" is no class of EndoVis 2018");
    write(folder.path(), "labels.json", &[[0; 3]; 4]);
    assert!(refused(Layout::EndoVis, &folder).starts_with("DIR/labels.json: "));
}

/// Goal: CholecSeg8k's bytes are read as the decimal numbers they are, clips go by their numbers, and a byte that is no class is told.
#[test]
fn cholecseg8k_is_read() {
    let folder = tempdir().unwrap();
    let bytes = greys([50, 31, 32, 33, 21, 22, 255, 5]);
    let frame = |number: u32| format!("video01/video01_00080/frame_{number}_endo");
    for number in [99, 100, 102] {
        write(folder.path(), &format!("{}.png", frame(number)), &[[9; 3]; 8]);
        write(folder.path(), &format!("{}_watershed_mask.png", frame(number)), &bytes);
        write(folder.path(), &format!("{}_color_mask.png", frame(number)), &[[1, 2, 3]; 8]);
    }
    let pictures = read(Layout::CholecSeg8k, &folder).unwrap();
    let row = |name, follows| (name, "video01", follows);
    assert_eq!(
        names(&pictures),
        [
            row("video01_00080-frame_99", false),
            row("video01_00080-frame_100", true),
            row("video01_00080-frame_102", false),
        ]
    );
    let [vessel, organ] = [Part::Vessel, Part::Organ].map(Part::id);
    assert_eq!(pictures[0].truth, [TISSUE, TOOL, TOOL, vessel, organ, TISSUE, NOT_LABELLED, TISSUE]);

    let bad = greys([50, 0x31, 50, 50, 50, 50, 50, 50]);
    write(folder.path(), &format!("{}_watershed_mask.png", frame(102)), &bad);
    let told = refused(Layout::CholecSeg8k, &folder);
    assert!(
        told.ends_with("mask.png: the colour 49, 49, 49 at (1, 0) stands for no class of CholecSeg8k"),
        "{told}"
    );
    write(folder.path(), &format!("{}_watershed_mask.png", frame(102)), &[[31, 31, 32]; 8]);
    assert!(refused(Layout::CholecSeg8k, &folder).contains("31, 31, 32 at (0, 0)"));
}

/// Goal: a folder in which nothing is laid out as was said is told with what was looked for, and one that is not there with why.
#[test]
fn a_folder_without_pictures_is_told() {
    let folder = tempdir().unwrap();
    write(folder.path(), "a.png", &[[9; 3]; 8]);
    assert_eq!(
        refused(Layout::LabelMe, &folder),
        "DIR: no picture (.png) with labels (.json) of the same name"
    );
    assert!(refused(Layout::EndoVis, &folder).contains("SEQUENCE/left_frames/NAME.png"));
    assert!(refused(Layout::CholecSeg8k, &folder).contains("frame_K_endo_watershed_mask.png"));
    let nowhere = Folder::open(Layout::EndoVis, &folder.path().join("nowhere"), None).unwrap_err();
    assert!(nowhere.to_string().contains("nowhere: No such file"), "{nowhere}");
}

/// Goal: instruments count with and without a part, a part only where the labels name it; what has no label counts nowhere; a vessel
/// that these labels do not know is tissue; and flicker is looked for only between a picture and the one before it in time.
#[test]
fn what_was_seen_is_judged_in_the_labels_terms() {
    let [t, shaft, wrist] = [Part::Tissue, Part::Shaft, Part::Wrist].map(Part::id);
    let picture = |follows| Labelled {
        name: "one".to_owned(),
        row: "one".to_owned(),
        picture: Rgb { width: WIDTH, height: 2, bytes: vec![9; 24] },
        truth: vec![t, t, shaft, wrist, TOOL, TOOL, NOT_LABELLED, t],
        follows,
    };
    let model = support::model();
    let look = |classes: [u8; 8]| {
        let instrument = classes.map(|class| if [1, 2, 3].contains(&class) { 0.9 } else { 0.2 });
        Look { classes: classes.into(), shares: vec![0.8; 8], instrument: instrument.into() }
    };
    let mut verdict = Verdict::new(Layout::EndoVis.tells());
    let (first, second) = (picture(false), picture(true));
    let seen = first.seen(look([0, 4, 1, 1, 1, 0, 1, 0]), &model);
    let then = second.seen(look([0, 1, 1, 1, 1, 0, 0, 0]), &model);
    verdict.add(&first, &seen, None);
    let whole = verdict.whole.figures(0);
    assert_eq!((whole.iou, whole.false_area), (Some(3.0 / 4.0), Some(0.0)));
    // Three pixels at 0.9, all right: off by 0.1.
    assert!((whole.calibration.unwrap() - 0.1).abs() < 1e-6, "{whole:?}");
    // And four that none was seen in, at 0.8, one of them wrong: off by 0.05.
    let all = verdict.whole.calibration().unwrap();
    assert!((all - (3.0 * 0.1 + 4.0 * 0.05) / 7.0).abs() < 1e-6, "{all}");
    let group = |of: Part| Layout::EndoVis.tells().iter().position(|part| *part == of).unwrap();
    let iou = |verdict: &Verdict, of| verdict.parts.figures(group(of)).iou;
    assert_eq!(iou(&verdict, Part::Tissue), Some(1.0)); // the vessel, too
    assert_eq!(iou(&verdict, Part::Shaft), Some(0.5)); // the wrist was taken for it; of the suction nobody knows
    assert_eq!(iou(&verdict, Part::Wrist), Some(0.0));
    verdict.add(&first, &then, Some((&first, &seen)));
    assert_eq!(verdict.whole.figures(0).flicker, None); // not a moment later
    verdict.add(&second, &then, Some((&first, &seen)));
    assert_eq!(verdict.parts.figures(group(Part::Tissue)).flicker, Some(1.0 / 3.0));
    assert_eq!(verdict.whole.figures(0).flicker, Some(0.0));
}

mod support {
    use farhand_vision::{Architecture, Card, Model, Part};

    pub(super) fn model() -> Model {
        let architecture = Architecture { widths: [4, 4, 4, 4], blocks: [1; 4], classes: Part::NAMED.len() };
        let names = Part::NAMED.map(|part| part.name().to_owned());
        Model::untrained(Card::new(architecture, names.into(), 16, 16), 1).unwrap()
    }
}
