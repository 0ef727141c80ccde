//! Pictures: as they were sent, so they are received and recorded.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use farhand_agent::{VIDEO, VideoConfig};
use farhand_ledger::What;
use farhand_wire::{FrameId, FrameMark, FrameRecord, Kind};
use gstreamer as gst;
use gstreamer::prelude::*;

use crate::{
    paths::Relay,
    stage::{Stage, next_of, soon},
};

fn test_picture() -> VideoConfig {
    VideoConfig { key_interval_frames: 15, ..VideoConfig::new("test?width=320&height=240&fps=30") }
}

/// A recording of so many frames, 320x240, 30 a second, as GStreamer's muxer of that name writes it.
fn clip(folder: &Path, frames: u32, muxer: &str) -> PathBuf {
    gst::init().unwrap();
    let path = folder.join("clip");
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
         x264enc speed-preset=ultrafast key-int-max=30 ! {muxer} ! filesink location={}",
        path.display()
    ))
    .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends).unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos);
    path
}

/// Goal: a surgeon's console gets pictures whose hashes are those that the edge box says it sent, the kit learns of each
/// frame, and the kit's state reaches the console.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_arrive_as_they_were_sent() {
    let mut stage = Stage::set(test_picture()).await;
    let link = stage.kit.accept().await;
    assert!(Kind::Opening.content(&next_of(&link, Kind::Opening).await).is_ok());
    let mut peer = stage.peer("operate").await.unwrap();
    next_of(&link, Kind::Signed).await; // the endorsement

    let mut records: BTreeMap<u32, FrameRecord> = BTreeMap::new();
    let mut matched = 0;
    while matched < 20 {
        link.send_datagram(&stage.kit.state()).unwrap();
        tokio::select! {
            record = peer.frames.recv() => {
                let record = record.unwrap();
                records.insert(record.rtp_timestamp, record);
            }
            picture = soon("a picture", peer.pictures.recv()) => {
                let picture = picture.unwrap();
                let record = match records.get(&picture.rtp_timestamp) {
                    Some(record) => *record,
                    None => {
                        let record = soon("its record", peer.frames.recv()).await.unwrap();
                        records.insert(record.rtp_timestamp, record);
                        record
                    }
                };
                assert_eq!(record.rtp_timestamp, picture.rtp_timestamp);
                assert_eq!(picture.record, Some(record), "the picture brings its own");
                assert_eq!(record.au_hash, picture.hashes.au_hash.0);
                assert_eq!(record.picture_hash, picture.hashes.picture_hash.0);
                matched += 1;
            }
        }
    }
    for record in records.values() {
        let same = |what: &What| {
            matches!(what, What::Frame(entry) if entry.frame == record.frame
                && (entry.au_hash.0, entry.picture_hash.0) == (record.au_hash, record.picture_hash))
        };
        stage.on_record("the frame", same).await;
    }
    let mark = FrameMark::read(&next_of(&link, Kind::FrameMark).await).unwrap();
    assert!(mark.frame.0 > 0 && mark.kit_tick_at_capture <= stage.kit.tick, "{mark:?}");
    let state = soon("a state", async {
        loop {
            let message = peer.control.recv().await.unwrap();
            if Kind::of(&message) == Ok(Kind::KitState) {
                return message;
            }
        }
    });
    assert!(farhand_wire::KitState::read(&state.await).is_ok());
}

/// Goal: a packet that is lost on the way is there all the same, though nobody can ask for it: what is sent beside the pictures
/// repairs them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_packet_is_repaired() {
    let relay = Relay::start().await;
    let video = VideoConfig { key_interval_frames: 3600, ..test_picture() };
    let stage = Stage::set_behind(Some([relay.forwarded(), relay.forwarded()]), video).await.opened().await;
    let _link = stage.kit.accept().await;
    let mut peer = stage.peer("operate").await.unwrap();
    let mut next = async || {
        let picture = soon("a picture", peer.pictures.recv()).await.unwrap();
        picture.record.map(|record| record.frame.0)
    };
    next().await;
    relay.thin();
    let mut before = next().await.expect("its record");
    while relay.lost() < 4 {
        let frame = next().await.expect("its record");
        assert_eq!(frame, before + 1, "{} packets were lost", relay.lost());
        before = frame;
    }
}

/// Goal: a receiver that lost its way gets a key frame, long before the next one is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_brings_a_key_frame() {
    let video =
        VideoConfig { key_interval_frames: 3600, ..VideoConfig::new("test?width=320&height=240&fps=30") };
    let stage = Stage::set(video).await;
    let mut peer = stage.peer("operate").await.unwrap();
    let mut keys = 0;
    let mut asked = false;
    while keys < 3 {
        let record = soon("a frame record", peer.frames.recv()).await.unwrap();
        if record.key_frame {
            (keys, asked) = (keys + 1, false);
        } else if !asked && !peer.pictures.is_empty() {
            asked = peer.sender().request_key_frame().await.is_ok();
        }
    }
}

/// Goal: a recording that waits for arming starts with the kit's signed word, every one of its frames is sent and recorded,
/// and its end is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_starts_on_arming_and_loses_no_frame() {
    const FRAMES: u32 = 45;
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path(), FRAMES, "mp4mux").display().to_string();
    let stage =
        Stage::set(VideoConfig { on_arming: true, every_frame: true, ..VideoConfig::new(source) }).await;
    let link = stage.kit.accept().await;
    let mut peer = stage.peer("operate").await.unwrap();
    assert!(peer.frames.try_recv().is_err());
    link.send_message(stage.kit.notice(None, true, false)).unwrap();
    for number in 1..=u64::from(FRAMES) {
        let record = soon("a frame record", peer.frames.recv()).await.unwrap();
        assert_eq!(record.frame, FrameId(number));
        let picture = soon("a picture", peer.pictures.recv()).await.unwrap();
        assert_eq!((picture.rtp_timestamp, picture.hashes.au_hash.0), (record.rtp_timestamp, record.au_hash));
    }
    soon("the end", stage.edge.video_ended().wait_for(|ended| *ended)).await.unwrap();
    let is_last =
        |what: &What| matches!(what, What::Frame(entry) if entry.frame == FrameId(u64::from(FRAMES)));
    stage.on_record("the last frame", is_last).await;
    let frames = stage.entries().iter().filter(|entry| matches!(entry.what, What::Frame(_))).count();
    assert_eq!(frames, FRAMES as usize);
}

/// Goal: a recording that breaks half way is not shown from its beginning again: its end is told, with the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_breaks_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = clip(folder.path(), 90, "matroskamux");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let stage = Stage::set(VideoConfig::new(path.display().to_string())).await;
    let _peer = stage.peer("operate").await.unwrap();
    soon("the end", stage.edge.video_ended().wait_for(|ended| *ended)).await.unwrap();
    let is_told = |what: &What| matches!(what, What::Switch { what, on: false, reason } if what == VIDEO && reason.contains("cut off"));
    stage.on_record("why it is over", is_told).await;
}
