//! The calls of `docs/signalling.md`: claim a link, ask about the session, signal.

use std::sync::Arc;

use axum::{
    Json,
    extract::{
        Path, Query, State, WebSocketUpgrade, rejection::BytesRejection,
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, COOKIE, SET_COOKIE},
    },
    response::{AppendHeaders, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use farhand_wire::{PublicKey, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    COOKIE_MS_MAX, ClaimError, Grant, LinkId, PeerId, Token,
    app::{App, now_ms, random},
    channel, claims, role_name,
};

/// No request's body and no WebSocket frame is longer.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
const COOKIE_PREFIX: &str = "farhand-";

/// An error as the page gets it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Claimed {
    role: &'static str,
    pseudonym: String,
    session: String,
}

#[derive(Serialize)]
struct SessionView {
    session: String,
    role: &'static str,
    pseudonym: String,
    trust_root: String,
    opening: Option<String>,
    /// The text whose SHA-256 the opening names as the kit's limits.
    limits: Option<String>,
    custody: Vec<String>,
    edge_online: bool,
    /// Name of the bundle, once the record is sealed.
    sealed: Option<String>,
}

/// Which of several links that one browser has claimed.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    link: Option<String>,
}

/// What a link is for, before it is claimed: the session whose key the browser is to endorse. Nothing secret: the link's
/// name is 16 random bytes, and a wrong answer is found out at the opening.
pub(crate) async fn link(
    State(app): State<Arc<App>>,
    Path(link): Path<String>,
) -> Result<Response, ApiError> {
    let links = app.links();
    let known = LinkId::read(&link).filter(|id| links.is_known(*id)).ok_or(ClaimError::Unknown)?;
    let view = json!({ "link": known.to_string(), "session": links.session().to_string() });
    Ok(([(CACHE_CONTROL, "no-store")], Json(view)).into_response())
}

pub(crate) async fn claim(
    State(app): State<Arc<App>>,
    Path(link): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let statement = body.map_err(|rejection| ApiError::body(&rejection))?;
    let id = LinkId::read(&link).ok_or(ClaimError::Unknown)?;
    let token = Token(random()?);
    let claimed = {
        let mut links = app.links();
        let session = links.session().to_string();
        let grant = links.claim(id, &statement, &token, now_ms())?;
        Claimed { role: role_of(grant), pseudonym: grant.pseudonym.clone(), session }
    };
    if let Some(folder) = &app.claims {
        claims::store(folder, id, &statement).await?;
    }
    tracing::info!(link = %id, role = claimed.role, pseudonym = claimed.pseudonym, "a link was claimed");
    let headers = AppendHeaders([(SET_COOKIE, cookie(id, &token)), (CACHE_CONTROL, "no-store".to_owned())]);
    Ok((headers, Json(claimed)).into_response())
}

pub(crate) async fn session(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, grant) = holder(&app, &headers, &which)?;
    let evidence = app.evidence();
    let view = SessionView {
        session: app.links().session().to_string(),
        role: role_of(&grant),
        pseudonym: grant.pseudonym,
        trust_root: URL_SAFE_NO_PAD.encode(&app.trust_root),
        opening: evidence.opening.as_ref().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        limits: app.limits.as_ref().map(|text| URL_SAFE_NO_PAD.encode(text)),
        custody: evidence.custody.iter().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).collect(),
        edge_online: *app.edge_online.borrow(),
        sealed: app.sealed.borrow().clone(),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(view)).into_response())
}

pub(crate) async fn signal(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let (link, _) = holder(&app, &headers, &which)?;
    let upgrade = upgrade.map_err(|why| ApiError::new(why.status(), "not-a-websocket", why.to_string()))?;
    let peer = PeerId(random()?);
    let events = app.events.clone();
    let upgrade = upgrade
        .max_message_size(BODY_BYTES_MAX)
        .max_frame_size(BODY_BYTES_MAX)
        .max_write_buffer_size(4 * BODY_BYTES_MAX)
        .write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| channel::serve(socket, peer, link, events)))
}

pub(crate) async fn unknown_call() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not-found", "There is no such call.")
}

pub(crate) async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "This call takes another method.")
}

/// Whose cookie the request brings: of the link it names, or else of the one that was claimed last.
fn holder(app: &App, headers: &HeaderMap, which: &Which) -> Result<(LinkId, Grant), ApiError> {
    claimed(app, headers, which, |_| true).map(|(id, grant, _)| (id, grant))
}

/// The session key of whoever asks, if that is somebody in this role.
pub(crate) fn holder_of(
    app: &App,
    headers: &HeaderMap,
    which: &Which,
    role: Role,
) -> Result<PublicKey, ApiError> {
    let (_, grant, session_key) = claimed(app, headers, which, |grant| grant.role == role)
        .or_else(|_| claimed(app, headers, which, |_| true))?;
    if grant.role == role {
        return Ok(session_key);
    }
    let message =
        format!("Your link is for another page: this is for the role {}.", role_name(role).unwrap_or("none"));
    Err(ApiError::new(StatusCode::FORBIDDEN, "other-role", message))
}

fn claimed(
    app: &App,
    headers: &HeaderMap,
    which: &Which,
    wanted: impl Fn(&Grant) -> bool,
) -> Result<(LinkId, Grant, PublicKey), ApiError> {
    let links = app.links();
    cookies(headers)
        .filter(|(id, _)| which.link.as_ref().is_none_or(|wanted| *wanted == id.to_string()))
        .filter_map(|(id, token)| {
            links.claimed(id, &token, now_ms()).map(|(grant, key, at_ms)| (at_ms, id, grant, key))
        })
        .filter(|(_, _, grant, _)| wanted(grant))
        .max_by_key(|(at_ms, ..)| *at_ms)
        .map(|(_, id, grant, key)| (id, grant.clone(), key))
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "no-session",
                "This browser has not claimed a link. Open yours again.",
            )
        })
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One cookie a link, so that one browser can hold several roles.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (LinkId, Token)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE_PREFIX)?.split_once('='))
        .filter_map(|(id, token)| Some((LinkId::read(id)?, Token::read(token)?)))
}

fn cookie(id: LinkId, token: &Token) -> String {
    let (text, age_s) = (token.to_text(), COOKIE_MS_MAX / 1000);
    format!("{COOKIE_PREFIX}{id}={text}; HttpOnly; SameSite=Strict; Path=/api; Max-Age={age_s}")
}

fn role_of(grant: &Grant) -> &'static str {
    role_name(grant.role).unwrap_or("none") // a grant for a device is not issued
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn body(rejection: &BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let message = format!("The request is longer than {BODY_BYTES_MAX} bytes.");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
            }
            status => Self::new(status, "malformed", rejection.body_text()),
        }
    }
}

impl From<ClaimError> for ApiError {
    fn from(error: ClaimError) -> Self {
        let (status, code) = match error {
            ClaimError::Unknown => (StatusCode::NOT_FOUND, "link-unknown"),
            ClaimError::Expired { .. } => (StatusCode::GONE, "link-expired"),
            ClaimError::Used => (StatusCode::CONFLICT, "link-used"),
            ClaimError::Signature => (StatusCode::FORBIDDEN, "link-signature"),
            ClaimError::Malformed => (StatusCode::BAD_REQUEST, "malformed"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<getrandom::Error> for ApiError {
    fn from(error: getrandom::Error) -> Self {
        tracing::error!(%error, "no randomness");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server can't make a secret now.")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        (self.status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
