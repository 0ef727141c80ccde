//! The audit page's calls: sealed bundles, the trust root, and a check by this server. Who trusts neither runs
//! `farhand-audit` at home: the page says so.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use axum::{
    Json,
    body::Body,
    extract::{Path as InPath, Query, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, RANGE},
    },
    response::{IntoResponse, Response},
};
use farhand_ledger::TrustRoot;
use farhand_wire::Role;
use serde::Serialize;
use tower_http::services::ServeFile;

use crate::{
    api::{ApiError, Which, holder_of},
    app::App,
};

/// No answer to the page has more of a bundle.
const PIECE_BYTES_MAX: u64 = 4 * 1024 * 1024;
pub(crate) const OCTETS: &str = "application/octet-stream";

#[derive(Serialize)]
struct Bundle {
    name: String,
    bytes: u64,
    sealed_at_ms: u64,
}

/// The bundles that are sealed, newest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    holder_of(&app, &headers, &which, Role::Auditor)?;
    let folder = app.bundles.clone();
    let listed = tokio::task::spawn_blocking(move || folder.map_or(Vec::new(), |folder| bundles(&folder)));
    let mut bundles = listed.await.map_err(|_| interrupted())?;
    bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.sealed_at_ms));
    Ok(([(CACHE_CONTROL, "no-store")], Json(bundles)).into_response())
}

fn bundles(folder: &Path) -> Vec<Bundle> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| bundle(&entry.path())).collect()
}

fn bundle(path: &Path) -> Option<Bundle> {
    let name = path.file_name()?.to_str()?.to_owned();
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let sealed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let sealed_at_ms = u64::try_from(sealed.as_millis()).ok()?;
    is_bundle(&name).then_some(Bundle { name, bytes: metadata.len(), sealed_at_ms })
}

/// A name with no way out of the folder.
fn is_bundle(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.strip_suffix(".mcap").is_some_and(|stem| !stem.is_empty() && stem.bytes().all(plain))
}

/// A piece of a bundle, for the page to look at. Whoever takes it out whole exports it.
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    holder_of(&app, &headers, &which, Role::Auditor)?;
    let path = sealed(&app, &name)?;
    if !is_piece(&headers) {
        let message = format!(
            "A bundle is read here in pieces of up to {PIECE_BYTES_MAX} bytes. To take it out, export it: that is recorded."
        );
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not-recorded", message));
    }
    serve(path, &name, request).await
}

/// Whether one short range is asked for (RFC 9110, 14.1.2).
fn is_piece(headers: &HeaderMap) -> bool {
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let ends = range.and_then(|range| range.split_once('-'));
    let ends = ends.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    ends.is_some_and(|(first, last)| last.checked_sub(first).is_some_and(|length| length < PIECE_BYTES_MAX))
}

/// A file as an attachment of that name.
pub(crate) async fn serve(path: PathBuf, name: &str, request: Request) -> Result<Response, ApiError> {
    let served = ServeFile::new(path).try_call(request).await;
    let mut response = served.map_err(|_| not_there())?.map(Body::new);
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")).map_err(|_| not_there())?;
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    Ok(response)
}

/// What `farhand-audit verify` says of a bundle, under this server's copy of the trust root.
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    holder_of(&app, &headers, &which, Role::Auditor)?;
    let path = sealed(&app, &name)?;
    let trust = TrustRoot::read(&app.trust_root).map_err(|_| interrupted())?;
    let audited = tokio::task::spawn_blocking(move || farhand_audit::audit(&path, Some(&trust))).await;
    let report = audited.map_err(|_| interrupted())?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(report)).into_response())
}

/// The ledger's genesis: what a verifier must hold from elsewhere, and compare.
pub(crate) async fn trust(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    holder_of(&app, &headers, &which, Role::Auditor)?;
    let named = [
        (CONTENT_TYPE, OCTETS),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_DISPOSITION, "attachment; filename=\"genesis.trust\""),
    ];
    Ok((named, app.trust_root.clone()).into_response())
}

pub(crate) fn sealed(app: &App, name: &str) -> Result<PathBuf, ApiError> {
    let folder = app.bundles.as_ref().filter(|_| is_bundle(name)).ok_or_else(not_there)?;
    Some(folder.join(name)).filter(|path| path.is_file()).ok_or_else(not_there)
}

fn not_there() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no-bundle", "There is no sealed bundle of that name.")
}

pub(crate) fn interrupted() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server could not finish it. Try again.")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may fail")]
mod tests {
    use super::*;

    /// Goal: nobody takes a bundle out by asking for one long range, or for none.
    #[test]
    fn only_short_ranges_are_pieces() {
        let asks =
            |range: &str| is_piece(&HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]));
        assert!(asks("bytes=0-0") && asks("bytes=5-4194308"));
        for whole in ["bytes=0-", "bytes=-5", "bytes=0-4194304", "bytes=0-1,5-6", "bytes=9-5", "lines=0-1"] {
            assert!(!asks(whole), "{whole}");
        }
        assert!(!is_piece(&HeaderMap::new()));
    }

    /// Goal: no name leads out of the folder of bundles.
    #[test]
    fn only_plain_names_are_bundles() {
        for good in ["0a1b.mcap", "A-1.mcap"] {
            assert!(is_bundle(good), "{good}");
        }
        for bad in ["", ".mcap", "../x.mcap", "a/b.mcap", "x.mcap.part", "a.b.mcap", "\u{e9}.mcap"] {
            assert!(!is_bundle(bad), "{bad}");
        }
    }
}
