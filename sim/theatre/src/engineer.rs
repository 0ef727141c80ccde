//! The simulator's page for engineers, served by `farhand up` itself: the line's dials, a kill for every part, what is so, and
//! what the proving ground's checker says. It is of this machine alone, and whoever has its link may use it.
//!
//! The cloud knows nothing of it. It reaches the parts as anybody with this machine's file system could: dials by the line's socket,
//! the truth by the world's file.

use std::{
    net::SocketAddr,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::{
    line::{Dials, Link},
    session::Session,
    soak,
    stage::{Handle, Stage},
};

const BODY_BYTES_MAX: usize = 4 * 1024;
const TRUTH_BYTES_MAX: u64 = 64 * 1024;
/// A soak of more is for the command line.
const SESSIONS_MAX: u64 = 500;

/// Where the page is, and its secret.
#[derive(Debug)]
pub(crate) struct Engineer {
    pub(crate) url: String,
    _serving: tokio::task::AbortHandle,
}

/// What all calls share.
#[derive(Debug)]
struct Bench {
    token: String,
    session: String,
    seed: u64,
    /// Profile, and whether its delays were measured.
    line: Option<(&'static str, &'static str)>,
    dials_at: PathBuf,
    truth: PathBuf,
    parts: Vec<Handle>,
    dials: Mutex<Dials>,
    soak: Mutex<Soak>,
}

/// The proving ground, as it was last asked.
#[derive(Clone, Debug, Default, Serialize)]
struct Soak {
    running: bool,
    seed: u64,
    sessions: u64,
    done: u64,
    /// What was broken first, in the checker's words.
    broken: Option<String>,
    failed: Option<String>,
    report: Option<soak::Report>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    part: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    seed: u64,
    sessions: u64,
}

/// Why a call was not followed: said in the page.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        (status, Json(json!({ "error": { "code": "refused", "message": message } }))).into_response()
    }
}

/// Serves the page on a free port of the loopback, as long as what is returned lives.
pub(crate) async fn serve(
    session: &Session,
    stage: &Stage,
    console: &std::path::Path,
    seed: u64,
    link: Option<&Link>,
) -> anyhow::Result<Engineer> {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let [name, token] = [(); 2].map(|()| crate::session::random::<16>());
    let (name, token) = (hex::encode(name?), hex::encode(token?));
    let bench = Arc::new(Bench {
        token: token.clone(),
        session: session.id.to_string(),
        seed,
        line: link.map(|link| (link.profile.name(), link.origin())),
        dials_at: session.folder.join("line.dials"),
        truth: session.truth(),
        parts: stage.handles(),
        dials: Mutex::default(),
        soak: Mutex::default(),
    });
    let calls = Router::new()
        .route("/api/simulator", get(view))
        .route("/api/simulator/line", post(turn))
        .route("/api/simulator/kill", post(kill))
        .route("/api/simulator/soak", post(ask))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(bench.clone(), only_with_the_link))
        .with_state(bench);
    let router = farhand_server::guarded(calls, &["simulator"], console, &[address.to_string()]);
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "the engineer's page is gone");
        }
    });
    let url = format!("http://{address}/simulator/{name}#{token}");
    Ok(Engineer { url, _serving: serving.abort_handle() })
}

impl Drop for Engineer {
    fn drop(&mut self) {
        self._serving.abort();
    }
}

async fn only_with_the_link(
    State(bench): State<Arc<Bench>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let said = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if said.is_some_and(|said| bool::from(said.as_bytes().ct_eq(bench.token.as_bytes()))) {
        Ok(next.run(request).await)
    } else {
        Err(Refused(StatusCode::UNAUTHORIZED, "This page needs its link, whole.".into()))
    }
}

async fn view(State(bench): State<Arc<Bench>>) -> Json<Value> {
    let parts = bench.parts.iter().map(|part| json!({ "name": part.name, "pid": part.pid() }));
    Json(json!({
        "session": bench.session,
        "seed": bench.seed,
        "line": bench.line.map(|(profile, from)| json!({ "profile": profile, "from": from, "dials": *bench.dials() })),
        "truth": truth(&bench.truth),
        "parts": parts.collect::<Vec<_>>(),
        "soak": bench.soak().clone(),
    }))
}

/// The world writes it anew five times a second.
fn truth(path: &PathBuf) -> Option<Value> {
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= TRUTH_BYTES_MAX);
    serde_json::from_slice(&small.then(|| std::fs::read(path).ok())??).ok()
}

async fn turn(State(bench): State<Arc<Bench>>, Json(dials): Json<Dials>) -> Result<StatusCode, Refused> {
    let dials = dials.checked().map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    if bench.line.is_none() {
        let message = "There is no line to turn: start with farhand up --link lan, or another.";
        return Err(Refused(StatusCode::CONFLICT, message.into()));
    }
    send(&bench.dials_at, &dials).map_err(|error| Refused(StatusCode::BAD_GATEWAY, format!("{error:#}")))?;
    *bench.dials() = dials;
    Ok(StatusCode::NO_CONTENT)
}

fn send(path: &PathBuf, what: &impl Serialize) -> anyhow::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(&serde_json::to_vec(what)?, path).context("the line does not hear")?;
    Ok(())
}

async fn kill(
    State(bench): State<Arc<Bench>>,
    Json(Kill { part }): Json<Kill>,
) -> Result<StatusCode, Refused> {
    let named = bench.parts.iter().find(|one| one.name == part);
    let message = || format!("There is no part {part:?}.");
    named.ok_or_else(|| Refused(StatusCode::NOT_FOUND, message()))?.kill();
    Ok(StatusCode::NO_CONTENT)
}

async fn ask(
    State(bench): State<Arc<Bench>>,
    Json(Ask { seed, sessions }): Json<Ask>,
) -> Result<StatusCode, Refused> {
    if !(1..=SESSIONS_MAX).contains(&sessions) {
        let message = format!("{sessions} sessions; allowed is 1 to {SESSIONS_MAX}. More with farhand soak.");
        return Err(Refused(StatusCode::BAD_REQUEST, message));
    }
    {
        let mut soak = bench.soak();
        if soak.running {
            return Err(Refused(StatusCode::CONFLICT, "The proving ground is at work already.".into()));
        }
        *soak = Soak { running: true, seed, sessions, ..Soak::default() };
    }
    let run = move || {
        let progress = |_, outcome: &farhand_world::Outcome| {
            let mut soak = bench.soak();
            soak.done += 1;
            let first = outcome.violations.first().map(|first| {
                format!(
                    "{} at {} ms, seed {}: {}",
                    first.promise,
                    first.tick_us / 1_000,
                    outcome.seed,
                    first.words
                )
            });
            soak.broken = soak.broken.take().or(first);
        };
        let done = soak::beside(seed, sessions, progress);
        let mut soak = bench.soak();
        soak.running = false;
        match done {
            Ok(report) => soak.report = Some(report),
            Err(error) => soak.failed = Some(format!("{error:#}")),
        }
    };
    thread::Builder::new()
        .name("soak".into())
        .spawn(run)
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(StatusCode::ACCEPTED)
}

impl Bench {
    // Each lock is held for one call that leaves what it guards whole.

    fn dials(&self) -> MutexGuard<'_, Dials> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn soak(&self) -> MutexGuard<'_, Soak> {
        self.soak.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
