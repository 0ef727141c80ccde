//! Messages of both pipelines, turned into what they mean for a capture.

use crate::error::VideoError;
use crate::hub::Hub;
use crate::intake::broken;
use crate::output::Event;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What pictures stand back by.
const NICER: i32 = 10;

/// Notes that wait to be read. One error brings a handful of messages; the first counts.
const NOTES_MAX: usize = 64;

/// What a pipeline says that a capture acts on.
#[derive(Debug)]
pub(crate) enum Note {
    EncoderFailed(VideoError),
    /// A looped recording has come to its end.
    PlayedOnce,
    /// The capture is being stopped.
    Quit,
}

/// Where notes are sent from.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    sender: SyncSender<Note>,
    hub: Arc<Hub>,
    source_text: String,
}

/// Where notes are read.
#[derive(Debug)]
pub(crate) struct NoteBox {
    receiver: Receiver<Note>,
}

pub(crate) fn notes(hub: Arc<Hub>, source_text: String) -> (Notes, NoteBox) {
    let (sender, receiver) = sync_channel(NOTES_MAX);
    (Notes { sender, hub, source_text }, NoteBox { receiver })
}

impl NoteBox {
    /// The next note, or `None` after this long. When nobody can send any more, that is a [`Note::Quit`].
    pub(crate) fn next(&self, timeout: Duration) -> Option<Note> {
        match self.receiver.recv_timeout(timeout) {
            Ok(note) => Some(note),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Note::Quit),
        }
    }
}

impl Notes {
    /// Told to the hub at once and not by way of the box: after an error a source ends its stream as if it had been
    /// played, and of several ends the first counts.
    pub(crate) fn source_failed(&self, error: VideoError) {
        self.hub.end(Event::Stopped(error));
    }

    pub(crate) fn encoder_failed(&self, encoder: &'static str, why: String) {
        self.send(Note::EncoderFailed(VideoError::Encoder { encoder, why }));
    }

    pub(crate) fn quit(&self) {
        self.send(Note::Quit);
    }

    fn send(&self, note: Note) {
        // When the box is full, an earlier and more telling note is in it.
        let _ = self.sender.try_send(note);
    }

    pub(crate) fn listen_to_source(&self, pipeline: &gst::Pipeline) -> Result<(), VideoError> {
        let notes = self.clone();
        listen(pipeline, move |message| match message.view() {
            gst::MessageView::Error(error) => {
                notes.source_failed(source_error(
                    &notes.source_text,
                    &error.error(),
                    error.debug().as_deref(),
                ));
            }
            gst::MessageView::SegmentDone(_) => notes.send(Note::PlayedOnce),
            gst::MessageView::Element(element) => {
                if let Some(error) = element.structure().and_then(|s| missing_decoder(&notes.source_text, s))
                {
                    notes.source_failed(error);
                }
            }
            _ => {}
        })
    }

    pub(crate) fn listen_to_encoder(
        &self,
        pipeline: &gst::Pipeline,
        encoder: &'static str,
    ) -> Result<(), VideoError> {
        let notes = self.clone();
        listen(pipeline, move |message| {
            if let gst::MessageView::Error(error) = message.view() {
                notes.encoder_failed(encoder, error.error().to_string());
            }
        })
    }
}

fn listen(
    pipeline: &gst::Pipeline,
    on_message: impl Fn(&gst::Message) + Send + Sync + 'static,
) -> Result<(), VideoError> {
    let bus = pipeline.bus().ok_or_else(|| broken("a pipeline has no bus"))?;
    bus.set_sync_handler(move |_, message| {
        stand_back(message);
        on_message(message);
        gst::BusSyncReply::Drop
    });
    Ok(())
}

/// Commands go before pictures: a thread that decodes or encodes is nicer than the rest of the process, and so is what it starts.
/// GStreamer says in the thread itself that it begins.
fn stand_back(message: &gst::Message) {
    let gst::MessageView::StreamStatus(status) = message.view() else { return };
    if status.get().0 == gst::StreamStatusType::Enter {
        // Where the system does not let it, it goes as before.
        let _ = rustix::process::nice(NICER);
    }
}

/// What an error message of the source's pipeline means.
fn source_error(source_text: &str, error: &glib::Error, detail: Option<&str>) -> VideoError {
    use gst::{CoreError, ResourceError, StreamError};
    let (source_text, why) = (source_text.to_owned(), error.to_string());
    tracing::debug!(source_text, why, detail, "the source's pipeline reports an error");
    match (error.kind::<StreamError>(), error.kind::<ResourceError>(), error.kind::<CoreError>()) {
        (Some(StreamError::TypeNotFound | StreamError::WrongType), ..) => {
            VideoError::NotAVideo { source_text, why }
        }
        (Some(StreamError::CodecNotFound), ..) | (_, _, Some(CoreError::MissingPlugin)) => {
            VideoError::UnsupportedCodec { source_text, codec: why }
        }
        (Some(_), ..) => VideoError::Damaged { source_text, why },
        (_, Some(ResourceError::Read | ResourceError::Close | ResourceError::Sync), _) => {
            VideoError::SourceStopped { source_text, why }
        }
        (_, Some(_), _) => VideoError::SourceUnavailable { source_text, why },
        _ => VideoError::Pipeline { why },
    }
}

/// A missing decoder for the picture; one for the sound is no matter here.
fn missing_decoder(source_text: &str, message: &gst::StructureRef) -> Option<VideoError> {
    if message.name() != "missing-plugin" {
        return None;
    }
    let coded_as = message.get::<gst::Caps>("detail").ok()?;
    let coded_as = coded_as.structure(0)?.name();
    let is_picture = coded_as.starts_with("video/") || coded_as.starts_with("image/");
    let codec = message.get::<String>("name").unwrap_or_else(|_| coded_as.to_string());
    is_picture.then(|| VideoError::UnsupportedCodec { source_text: source_text.to_owned(), codec })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(detail: &str, name: &str) -> gst::Structure {
        gst::Structure::builder("missing-plugin")
            .field("detail", gst::Caps::new_empty_simple(detail))
            .field("name", name)
            .build()
    }

    /// Goal: a recording whose picture can be decoded plays although its sound cannot.
    #[test]
    fn only_a_missing_picture_decoder_ends_a_capture() {
        crate::init().unwrap();
        assert_eq!(missing_decoder("clip", &missing("audio/x-strange", "Strange audio decoder")), None);
        let error = missing_decoder("clip", &missing("video/x-strange", "Strange video decoder")).unwrap();
        assert!(error.to_string().contains("Strange video decoder"), "{error}");
    }

    /// Goal: what GStreamer says of a source is told apart by what a person must do about it.
    #[test]
    fn errors_are_told_apart_by_what_is_to_be_done() {
        let meaning = |error: glib::Error| source_error("clip", &error, None);
        let stream = |kind| meaning(glib::Error::new::<gst::StreamError>(kind, "why"));
        let resource = |kind| meaning(glib::Error::new::<gst::ResourceError>(kind, "why"));
        assert!(matches!(stream(gst::StreamError::TypeNotFound), VideoError::NotAVideo { .. }));
        assert!(matches!(stream(gst::StreamError::CodecNotFound), VideoError::UnsupportedCodec { .. }));
        assert!(matches!(stream(gst::StreamError::Decode), VideoError::Damaged { .. }));
        assert!(matches!(resource(gst::ResourceError::NotFound), VideoError::SourceUnavailable { .. }));
        assert!(matches!(resource(gst::ResourceError::Read), VideoError::SourceStopped { .. }));
    }
}
