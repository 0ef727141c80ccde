//! Console, cloud, edge box and kit meet: the real server, the real edge box, real pictures and a real record, over loopback.
//! The kit's end is a few lines here, because an edge crate knows no kit; the real one is in `tests/end_to_end`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set is a failed test")]

mod paths;
mod pictures;
mod refusals;
mod relay;
mod stage;
