//! The endorsements of claimed links, a file each: the hospital's desk grants roles to the session keys that they name. Each
//! is signed by its link's key, so that the folder need not be trusted.

use std::path::Path;

use axum::http::StatusCode;

use crate::{LinkId, api::ApiError};

/// Keeps the endorsement by which `link` was claimed. Whole or not at all.
pub(crate) async fn store(folder: &Path, link: LinkId, statement: &[u8]) -> Result<(), ApiError> {
    let path = folder.join(format!("{link}.endorsement"));
    let part = path.with_extension("part");
    let stored = async {
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::write(&part, statement).await?;
        tokio::fs::rename(&part, &path).await
    };
    stored.await.map_err(|error| {
        tracing::error!(path = %path.display(), %error, "an endorsement could not be kept");
        ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "storage",
            "The server can't keep your claim: its disk fails.",
        )
    })
}
