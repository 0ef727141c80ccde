//! The field page's calls.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::{Query, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CACHE_CONTROL},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use bytes::Bytes;
use farhand_wire::Role;
use futures_util::{Stream, StreamExt as _, stream};

use super::{FieldError, delivery::Call, driver::Desk};
use crate::{
    api::{ApiError, Which, holder_of},
    app::App,
};

/// How far the delivery is.
pub(crate) async fn view(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    holder_of(&app, &headers, &which, Role::Field)?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(desk(&app)?.view())).into_response())
}

/// The same, now and at each change: server-sent events.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    holder_of(&app, &headers, &which, Role::Field)?;
    let desk = desk(&app)?.clone();
    let first = stream::once(std::future::ready(desk.clone()));
    let later = stream::unfold(desk, |mut desk| async {
        desk.changed.changed().await.ok()?;
        Some((desk.clone(), desk))
    });
    let views = first.chain(later).map(|desk| Ok(Event::default().data(desk.view().to_string())));
    Ok(Sse::new(views).keep_alive(KeepAlive::default()))
}

pub(crate) async fn dispatch(
    state: State<Arc<App>>,
    which: Query<Which>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    post(Call::Dispatch, state, which, headers, body).await
}

pub(crate) async fn bring_up(
    state: State<Arc<App>>,
    which: Query<Which>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    post(Call::BringUp, state, which, headers, body).await
}

pub(crate) async fn pair(
    state: State<Arc<App>>,
    which: Query<Which>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    post(Call::Pair, state, which, headers, body).await
}

async fn post(
    call: Call,
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let by = holder_of(&app, &headers, &which, Role::Field)?;
    let signed = body.map_err(|rejection| ApiError::body(&rejection))?;
    desk(&app)?.post(call, signed.to_vec(), by).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn desk(app: &App) -> Result<&Desk, FieldError> {
    app.field.as_ref().ok_or(FieldError::None)
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        let (status, code) = match error {
            FieldError::NotNext(_) => (StatusCode::CONFLICT, "not-next"),
            FieldError::Busy => (StatusCode::CONFLICT, "busy"),
            FieldError::Ledger(_) => (StatusCode::BAD_GATEWAY, "ledger"),
            FieldError::None => (StatusCode::NOT_FOUND, "no-delivery"),
            FieldError::Keep(_)
            | FieldError::Recorded(_)
            | FieldError::File { .. }
            | FieldError::Device(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(status, code, error.to_string())
    }
}
