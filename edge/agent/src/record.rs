//! Where everything that passes is recorded: the seam between the driver and the session's record.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use farhand_record::{LeftOver, RecordConfig, RecordError, RecordHealth, Recorded, Recorder};
use farhand_wire::{EdgeTick, FrameId, SessionId, Watermark};
use thiserror::Error;
use tokio::sync::watch;

/// Takes what passes. Shared by all tasks of the edge box, which call it in the order of what happened.
pub trait Record: Send + Sync {
    /// Takes one thing and returns at once: no file, no wait.
    fn record(&self, at: EdgeTick, passed: Recorded<'_>);

    /// What is durable, and every change of it.
    fn watermark(&self) -> watch::Receiver<Watermark>;
}

/// Where the records of sessions are kept.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Opens a session's record, the one that is there or a new one.
    ///
    /// # Errors
    /// [`ArchiveError`] in words: the folder, the disk, a record that does not hold.
    async fn open(&self, session: SessionId) -> Result<Box<dyn OpenRecord>, ArchiveError>;

    /// Sessions that have no bundle yet, the one that is open among them.
    ///
    /// # Errors
    /// [`ArchiveError`] in words: the folder, the disk.
    async fn left_over(&self) -> Result<Vec<LeftOver>, ArchiveError>;
}

/// One session's record, until it is sealed.
#[async_trait]
pub trait OpenRecord: Send {
    fn session(&self) -> SessionId;

    /// The number of the next picture: 1 in a new session, farther on after a restart.
    fn next_frame(&self) -> FrameId;

    fn recorder(&self) -> Arc<dyn Record>;

    /// How the record is, and every change of it.
    fn health(&self) -> watch::Receiver<RecordHealth>;

    /// Writes what is queued, anchors it, makes the bundle. The bundle's file.
    ///
    /// # Errors
    /// [`ArchiveError`]; the record on disk stays as it is, and can be opened and sealed again.
    async fn seal(self: Box<Self>, reason: &str) -> Result<PathBuf, ArchiveError>;
}

/// Why a record could not be opened or sealed.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the record: {0}")]
    Other(String),
}

impl Record for Recorder {
    fn record(&self, at: EdgeTick, passed: Recorded<'_>) {
        Recorder::record(self, at, passed);
    }

    fn watermark(&self) -> watch::Receiver<Watermark> {
        Recorder::watermark(self)
    }
}

/// Records in a folder on this machine.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) RecordConfig);

#[derive(Debug)]
struct InFolder {
    session: SessionId,
    recorder: Recorder,
    record: farhand_record::Record,
}

#[async_trait]
impl Archive for Folder {
    async fn open(&self, session: SessionId) -> Result<Box<dyn OpenRecord>, ArchiveError> {
        let config = self.0.clone();
        let opened = tokio::task::spawn_blocking(move || farhand_record::Record::open(config, session)).await;
        let (recorder, record) = opened.map_err(|error| ArchiveError::Other(error.to_string()))??;
        Ok(Box::new(InFolder { session, recorder, record }))
    }

    async fn left_over(&self) -> Result<Vec<LeftOver>, ArchiveError> {
        let folder = self.0.folder.clone();
        let found = tokio::task::spawn_blocking(move || farhand_record::left_over(&folder)).await;
        found
            .map_err(|error| ArchiveError::Other(error.to_string()))?
            .map_err(|error| RecordError::from(error).into())
    }
}

#[async_trait]
impl OpenRecord for InFolder {
    fn session(&self) -> SessionId {
        self.session
    }

    fn next_frame(&self) -> FrameId {
        self.record.next_frame()
    }

    fn recorder(&self) -> Arc<dyn Record> {
        Arc::new(self.recorder.clone())
    }

    fn health(&self) -> watch::Receiver<RecordHealth> {
        self.recorder.health()
    }

    async fn seal(self: Box<Self>, reason: &str) -> Result<PathBuf, ArchiveError> {
        Ok(self.record.seal(reason).await?.path)
    }
}
