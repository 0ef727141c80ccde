//! Pictures of a report: each as a short video from its key frame on, which ends in it.
//!
//! No decoder is linked here: whoever reads the report has one. The video stands still at its last picture.

use std::{
    fs::File,
    io::{self, Write},
};

use farhand_bundle::{Content, Reader};
use farhand_ledger::{Entry, What, verify::Leaf};

use super::page::Page;
use crate::{
    following::Following,
    mp4::{Clip, clip},
    story::moments::Chosen,
    time::{duration, rfc3339},
};

/// Writes the chosen pictures, which are in the order of their leaves. What goes wrong in the bundle is said in the page;
/// `progress` is told where reading stands.
pub(crate) fn write(
    page: &mut Page<impl Write>,
    reader: &Reader<File>,
    chosen: &[Chosen],
    mut progress: impl FnMut(u64),
) -> io::Result<()> {
    let mut following = Following::default();
    let mut wanted = chosen.iter().peekable();
    let mut contents = reader.contents();
    let mut number = 0;
    while let Some(next) = wanted.peek() {
        let Some(Ok(content)) = contents.next() else { break };
        progress(contents.at());
        take(&mut following, content);
        if number == next.mark.leaf {
            write_one(page, next, &following)?;
            wanted.next();
        }
        number += 1;
    }
    wanted.try_for_each(|left| write_one(page, left, &Following::default()))
}

fn take(following: &mut Following, content: Content) {
    let (Leaf::Whole(bytes), Some(unit)) = (content.leaf, content.unit) else { return };
    if let Ok(Entry { what: What::Frame(frame), .. }) = Entry::read(&bytes) {
        following.take(&frame, unit);
    }
}

fn write_one(page: &mut Page<impl Write>, chosen: &Chosen, following: &Following) -> io::Result<()> {
    page.html("<figure class=\"picture\">\n")?;
    let is_there = following.ends_in(chosen.mark.frame.0);
    match is_there.then(|| clip(&following.pictures)) {
        Some(Ok(clip)) => write_video(page, &clip)?,
        Some(Err(error)) => write_missing(page, &error.to_string())?,
        None if !chosen.mark.has_picture => write_missing(page, "it was taken out of the bundle")?,
        None => {
            write_missing(page, "its key frame, or a picture in between, is missing or too far before it")?
        }
    }
    write_caption(page, chosen, following, is_there)?;
    page.html("</figure>\n").map(drop)
}

fn write_video(page: &mut Page<impl Write>, clip: &Clip) -> io::Result<()> {
    page.html("<video muted playsinline preload=\"auto\" width=\"")?.text(clip.width)?;
    page.html("\" height=\"")?.text(clip.height)?.html("\" src=\"data:video/mp4;base64,")?;
    page.base64(&clip.bytes)?.html("#t=")?;
    page.text(format_args!("{}.{:03}", clip.last_ms / 1000, clip.last_ms % 1000))?;
    page.html("\"></video>\n").map(drop)
}

fn write_missing(page: &mut Page<impl Write>, why: &str) -> io::Result<()> {
    page.html("<p class=\"missing\">This picture can't be shown: ")?.text(why)?.html(".</p>\n").map(drop)
}

fn write_caption(
    page: &mut Page<impl Write>,
    chosen: &Chosen,
    following: &Following,
    is_there: bool,
) -> io::Result<()> {
    let mark = &chosen.mark;
    page.html("<figcaption><strong>")?.text(chosen.why.join("; "))?.html("</strong><br>")?;
    page.text(format_args!("Frame {}, leaf {}, {}", mark.frame, mark.leaf, rfc3339(mark.utc_us)))?;
    if let Some(age_us) = mark.age_us {
        page.text(format_args!("; {} old then by the edge box's clock", duration(age_us)))?;
    }
    page.html("<br>")?;
    match mark.named_by {
        Some(named) => {
            page.text(format_args!(
                "On the screen for command {} under token {}",
                named.sequence, named.token
            ))?;
            let age =
                named.age_us.map_or("of unknown age".to_owned(), |us| format!("{} old", duration(us.into())));
            page.text(format_args!(", {age} as the console reported"))?;
        }
        None => {
            page.text("No command names it")?;
        }
    }
    match mark.shown {
        Some(shown) if shown.is_same => {
            let glass = duration(shown.glass_us);
            page.text(format_args!(
                "; shown {glass} after its capture, with the same picture hash (leaf {})",
                shown.leaf
            ))?;
        }
        Some(shown) => {
            page.text(format_args!(
                "; the display reports another picture under its number (leaf {})",
                shown.leaf
            ))?;
        }
        None => {
            page.text("; no report of the display confirms it")?;
        }
    }
    page.html("<br><span class=\"code\">picture hash ")?.text(mark.picture_hash)?.html("</span>")?;
    if is_there && !following.matching {
        page.html(
            "<br><strong>This picture, or one before it, does not have the hash of its leaf.</strong>",
        )?;
    }
    page.html("</figcaption>\n").map(drop)
}
