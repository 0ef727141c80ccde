//! Everything a browser can ask for, and what every answer carries.
//!
//! **Invariant (local):** a request is served only under a name of this server, and one that changes something or opens a
//! WebSocket only from this server's own pages: other sites' pages run in the same browser.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{self, HOST, ORIGIN, UPGRADE},
    },
    middleware::{Next, from_fn_with_state},
    response::{Html, Response},
    routing::{any, get, get_service, post},
};
use tower_http::{
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};

use crate::{
    api::{self, ApiError, BODY_BYTES_MAX},
    app::App,
    audit, export,
    field::calls as field,
};

/// Pages that the console draws itself, whatever comes after in the path.
const PAGES: [&str; 5] = ["operate", "bedside", "field", "audit", "line"];
const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Farhand</title>\
    <h1>The console is not built</h1><p>This server runs, but its folder of pages is missing. In Farhand's source: \
    <code>cd cloud/console &amp;&amp; npm ci &amp;&amp; npm run build</code>. Then start the server again.</html>";

pub(crate) fn site(app: Arc<App>, console: &Path) -> Router {
    let hosts = app.hosts.clone();
    let calls = Router::new()
        .route("/api/links/{link}", get(api::link))
        .route("/api/links/{link}/claim", post(api::claim))
        .route("/api/session", get(api::session))
        .route("/api/signal", get(api::signal))
        .route("/api/field", get(field::view))
        .route("/api/field/events", get(field::events))
        .route("/api/field/dispatch", post(field::dispatch))
        .route("/api/field/bring-up", post(field::bring_up))
        .route("/api/field/pair", post(field::pair))
        .route("/api/audit/trust", get(audit::trust))
        .route("/api/audit/bundles", get(audit::list))
        .route("/api/audit/bundles/{name}", get(audit::read))
        .route("/api/audit/bundles/{name}/export", get(export::offer).post(export::record))
        .route("/api/audit/bundles/{name}/exported", get(export::download))
        .route("/api/audit/bundles/{name}/verify", post(audit::verify))
        .route("/api/{*rest}", any(api::unknown_call))
        .method_not_allowed_fallback(api::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app);
    guarded(calls, &PAGES, console, &hosts)
}

/// **These calls and these pages of the console, for a browser that knows this server by one of `hosts`, and from its own pages
/// alone.** Says with every answer what a page may load and who may frame it.
pub fn guarded(calls: Router, pages: &[&str], console: &Path, hosts: &[String]) -> Router {
    let policy = content_policy(hosts);
    let router = calls.merge(drawn(pages, console));
    with_headers(router.layer(from_fn_with_state(Arc::from(hosts), only_from_here)), policy)
}

fn drawn(pages: &[&str], console: &Path) -> Router {
    let index = console.join("index.html");
    if !index.is_file() {
        tracing::warn!(folder = %console.display(), "the console is not built; a page says how");
        return Router::new().fallback(async || (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT)));
    }
    let page = || get_service(ServeFile::new(&index));
    let router = Router::new().fallback_service(ServeDir::new(console));
    pages.iter().fold(router, |router, name| {
        router.route(&format!("/{name}"), page()).route(&format!("/{name}/{{*rest}}"), page())
    })
}

async fn only_from_here(
    State(hosts): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    let host = text(headers, &HOST).filter(|host| hosts.iter().any(|ours| ours == host));
    let Some(host) = host else {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "other-host",
            "This server does not go by that name.",
        ));
    };
    let acts = !request.method().is_safe() || headers.contains_key(UPGRADE);
    if acts && text(headers, &ORIGIN) != Some(&format!("http://{host}")) {
        let message = "Only this server's own pages may do that.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "other-origin", message));
    }
    Ok(next.run(request).await)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value) // sent twice, it says nothing
}

/// Content Security Policy 3. WebAssembly is for the checks that run in the browser.
fn content_policy(hosts: &[String]) -> String {
    let sockets: String = hosts.iter().map(|host| format!(" ws://{host}")).collect();
    format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'{sockets}; \
         img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

fn with_headers(router: Router, policy: String) -> Router {
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    fixed
        .into_iter()
        .fold(router, |router, (name, value)| {
            router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
        })
        .layer(SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, policy))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        ))
}
