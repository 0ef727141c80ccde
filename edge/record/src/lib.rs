//! The session's record on the edge box: what passes becomes leaves of one log on disk, the log's roots go onto the
//! ledger, and when the session is over all of it becomes one sealed bundle.
//!
//! **Whatever is acknowledged is durable** (global, promise P11): the [`Watermark`](farhand_wire::Watermark) moves only
//! after log and pictures have been flushed to the disk. A disk that is slow, full or gone makes the watermark stand still and
//! [`RecordHealth`] say why; nobody waits for it, and the kit, that sees no progress, holds.
//!
//! **Nothing is skipped in silence** (global): what could not be kept is declared in the log itself, as a gap, as soon as there
//! is room; what may not be in a log that is to hold (a stranger's statement, a segment out of its chain) is refused,
//! counted and named in the health.
//!
//! From the outside in: [`Recorder`] queues what passes; a writer thread takes it from there, hands it to the pure
//! `machine`, which makes the leaves, and writes those in groups; another thread signs checkpoints of what is durable
//! and carries them to the [`Ledger`]; [`Record::seal`] ends it all. `docs/evidence-format.md` has every byte.

mod anchor;
mod clock;
mod health;
mod journal;
mod ledger;
mod left_over;
mod machine;
mod queue;
mod record;
mod recorded;
mod recover;
mod seal;
mod store;
mod writer;

pub use clock::ClockTools;
pub use health::RecordHealth;
pub use ledger::{Ledger, LedgerError};
pub use left_over::{LeftOver, left_over};
pub use queue::QueueLimits;
pub use record::{
    LedgerAccess, Record, RecordConfig, RecordError, RecordOptions, Recorder, SealedBundle, WrapStore,
};
pub use recorded::Recorded;
pub use store::{FileStore, Part, Store};
