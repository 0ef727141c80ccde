//! Frames into shared memory, by GStreamer's `shmsink`.
//!
//! A frame that nobody takes is replaced by the next one; readers come, go and come back as they like. Whoever holds
//! frames and stands still holds up the other readers, never the one who gives. A reader that goes in the middle of
//! being let in breaks `shmsink` (1.22) for good: it is then opened anew.
//!
//! A process that is killed leaves its control socket and its shared memory behind. The socket is found by its path; the
//! memory has a name that nobody else knows, so it is written down in a file beside the socket. That file is locked
//! while the socket is in use, and its lock dies with the process.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::config::CameraEnd;

/// Frames that the shared memory holds: one being written, and those that readers still look at.
const FRAMES_SHARED: usize = 8;
/// Bytes of a socket's path, most (Linux's `sun_path`, less its zero).
const PATH_BYTES_MAX: usize = 107;
/// Where Linux keeps shared memory by name, and how `shmsink` begins its names.
const SHARED_MEMORY: &str = "/dev/shm";
const NAME_BEGINS: &str = "shmpipe.";
/// A sink that broke so often, with fewer good frames than this between, is not opened again.
const BROKEN_MAX: u32 = 20;
const GOOD_FRAMES: u32 = 100;

/// The sending end. Dropping it removes the socket and the shared memory.
#[derive(Debug)]
pub(crate) struct ShmOut {
    end: CameraEnd,
    frame_bytes: usize,
    line: Line,
    pool: gst::BufferPool,
    note: File,
    broken: u32,
    good: u32,
}

impl ShmOut {
    /// Opens the socket, in place of what a killed process left there.
    pub(crate) fn open(end: &CameraEnd, frame_bytes: usize) -> anyhow::Result<Self> {
        gst::init().context("GStreamer does not start")?;
        let mut note = take_place(&end.socket)?;
        let line = Line::open(end, frame_bytes)?;
        write_down_memory(&mut note).context("the shared memory's name cannot be kept")?;
        let pool = pool(frame_bytes)?;
        Ok(Self { end: end.clone(), frame_bytes, line, pool, note, broken: 0, good: 0 })
    }

    /// A frame with what `draw` puts into it.
    pub(crate) fn frame(
        &self,
        draw: impl FnOnce(&mut [u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<gst::Buffer> {
        let mut frame = self.pool.acquire_buffer(None).context("no memory for a frame")?;
        let bytes = frame.get_mut().context("a new frame is in use")?;
        draw(&mut bytes.map_writable().context("a new frame cannot be written")?)?;
        Ok(frame)
    }

    /// Gives a frame to whoever reads, in place of one that still waits.
    pub(crate) fn give(&mut self, frame: &gst::Buffer) -> anyhow::Result<()> {
        let Err(error) = self.line.give(frame) else {
            self.good += 1;
            return Ok(());
        };
        self.broken = if self.good >= GOOD_FRAMES { 1 } else { self.broken + 1 };
        self.good = 0;
        let place = self.end.socket.display();
        if self.broken > BROKEN_MAX {
            return Err(error).with_context(|| format!("the camera at {place} broke {} times", self.broken));
        }
        tracing::warn!(%place, %error, "a reader broke the camera's socket; it is opened anew");
        self.open_anew()
    }

    fn open_anew(&mut self) -> anyhow::Result<()> {
        self.line.close();
        // The sink has removed it, unless it broke.
        let _ = fs::remove_file(&self.end.socket);
        self.line = Line::open(&self.end, self.frame_bytes)?;
        write_down_memory(&mut self.note).context("the shared memory's name cannot be kept")
    }
}

impl Drop for ShmOut {
    fn drop(&mut self) {
        self.line.close();
        let _ = self.pool.set_active(false);
        let _ = fs::remove_file(&self.end.socket);
        let _ = fs::remove_file(note_path(&self.end.socket));
    }
}

/// A running pipeline from frames to the sink.
#[derive(Debug)]
struct Line {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
}

impl Line {
    fn open(end: &CameraEnd, frame_bytes: usize) -> anyhow::Result<Self> {
        let source = gst_app::AppSrc::builder()
            .caps(&caps(end))
            .format(gst::Format::Time)
            .is_live(true)
            .max_buffers(1)
            .leaky_type(gst_app::AppLeakyType::Downstream)
            .build();
        let sink = sink(&end.socket, frame_bytes)?;
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([source.upcast_ref(), &sink])?;
        source.link(&sink)?;
        let line = Self { pipeline, source };
        if line.pipeline.set_state(gst::State::Playing).is_err() {
            line.check()?;
            bail!("the camera's socket {} cannot be opened", end.socket.display());
        }
        Ok(line)
    }

    fn give(&self, frame: &gst::Buffer) -> anyhow::Result<()> {
        self.check()?;
        self.source.push_buffer(frame.clone()).context("the camera's pipeline takes no more frames")?;
        Ok(())
    }

    /// What the pipeline complains of.
    fn check(&self) -> anyhow::Result<()> {
        let message = self.pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => Err(anyhow!("{}", error.error())),
            _ => Ok(()),
        }
    }

    fn close(&self) {
        // Going to Null cannot be refused; the sink removes its socket and its memory.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}

fn caps(end: &CameraEnd) -> gst::Caps {
    gst::Caps::builder("video/x-raw")
        .field("format", "NV12")
        .field("width", end.width as i32)
        .field("height", end.height as i32)
        .field("framerate", gst::Fraction::new(end.fps as i32, 1))
        .field("colorimetry", "bt709")
        .build()
}

fn sink(socket: &Path, frame_bytes: usize) -> anyhow::Result<gst::Element> {
    let path = socket.to_str().context("the camera's socket has a name that is not UTF-8")?;
    gst::ElementFactory::make("shmsink")
        .property("socket-path", path)
        .property("wait-for-connection", false)
        .property("sync", false)
        .property("async", false)
        .property("enable-last-sample", false)
        .property("shm-size", u32::try_from(FRAMES_SHARED * frame_bytes).unwrap_or(u32::MAX))
        .build()
        .context("GStreamer has no shmsink; on Debian install `gstreamer1.0-plugins-bad`")
}

/// Frames to draw into. It grows to as many as are in use: one waits, one is given, one is drawn, one is the last.
fn pool(frame_bytes: usize) -> anyhow::Result<gst::BufferPool> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(None, u32::try_from(frame_bytes)?, 0, 0);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool)
}

/// Removes what a killed process left; refuses to take the place of a living one, or of anything else.
fn take_place(socket: &Path) -> anyhow::Result<File> {
    let place = socket.display();
    let bytes = socket.as_os_str().len();
    ensure!(
        bytes <= PATH_BYTES_MAX,
        "the camera's socket {place} has a path of {bytes} bytes, allowed are {PATH_BYTES_MAX}"
    );
    let mut note = lock(socket)?;
    forget_memory(&mut note);
    if let Ok(there) = fs::symlink_metadata(socket) {
        ensure!(
            there.file_type().is_socket(),
            "the camera's socket cannot be at {place}: something else is there"
        );
        fs::remove_file(socket).with_context(|| format!("the old socket {place} cannot be removed"))?;
    }
    Ok(note)
}

/// The file beside a socket that keeps the names of the shared memory that belongs to it.
fn note_path(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".memory");
    name.into()
}

fn lock(socket: &Path) -> anyhow::Result<File> {
    let path = note_path(socket);
    let note = File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let note = note.with_context(|| format!("cannot open {}", path.display()))?;
    match note.try_lock() {
        Ok(()) => Ok(note),
        Err(TryLockError::WouldBlock) => {
            bail!("the camera's socket {} is in use: is another world running?", socket.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Writes down which shared memory is this process's: `shmsink` puts the process's number into its name.
fn write_down_memory(note: &mut File) -> io::Result<()> {
    let own = std::process::id().to_string();
    note.set_len(0)?;
    note.rewind()?;
    for entry in fs::read_dir(SHARED_MEMORY)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let numbers = name.strip_prefix(NAME_BEGINS).unwrap_or_default();
        if numbers.split('.').next().is_some_and(|process| process.trim() == own) {
            writeln!(note, "{name}")?;
        }
    }
    Ok(())
}

/// Removes the shared memory of the killed process whose socket this was.
fn forget_memory(note: &mut File) {
    let mut names = String::new();
    // What cannot be read names nothing.
    let _ = note.read_to_string(&mut names);
    for name in names.lines().filter(|name| name.starts_with(NAME_BEGINS) && !name.contains('/')) {
        // Gone already is as good.
        let _ = fs::remove_file(Path::new(SHARED_MEMORY).join(name));
    }
}
