//! Seals what earlier runs of the edge box left over, so that no session stays without a bundle.

use std::{sync::Arc, time::Duration};

use farhand_record::{LeftOver, RecordError};
use tokio::{sync::watch, time::sleep};

use crate::record::{Archive, ArchiveError};

/// From one look at the folder to the next.
const LOOK: Duration = Duration::from_secs(60);
/// A session that nobody took up again within this is over.
const ABANDONED: Duration = Duration::from_secs(30 * 60);
const REASON: &str = "the edge box's program ended, and nobody took the operation up again";

/// **Seals records that have no bundle, without end**: those of closed operations at once; others when another session is
/// open, or when nobody has written to them for half an hour.
pub(crate) async fn seal_left_over(archive: Arc<dyn Archive>, mut open: watch::Receiver<bool>) {
    loop {
        let found = archive.left_over().await;
        let found = found.inspect_err(|error| tracing::error!(%error, "can't look for records left over"));
        for left in found.unwrap_or_default() {
            if left.closed || left.idle >= ABANDONED || *open.borrow() {
                seal(archive.as_ref(), left).await;
            }
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            Ok(()) = open.changed() => {}
        }
    }
}

async fn seal(archive: &dyn Archive, left: LeftOver) {
    let record = match archive.open(left.session).await {
        Ok(record) => record,
        Err(ArchiveError::Record(RecordError::InUse { .. })) => return,
        Err(error) => {
            return tracing::error!(session = %left.session, %error, "a record left over can't be opened");
        }
    };
    match record.seal(REASON).await {
        Ok(bundle) => tracing::info!(bundle = %bundle.display(), "a record left over is sealed"),
        Err(error) => tracing::error!(session = %left.session, %error, "a record left over is not sealed"),
    }
}
