//! The two calls and the one channel that a console makes to the cloud server.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use farhand_wire::SessionId;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{client::IntoClientRequest, http::HeaderValue},
};

use super::PeerError;

/// The server, as the console's pages know it: plain HTTP, on loopback.
pub(super) struct Site {
    pub(super) server: SocketAddr,
    pub(super) link: String,
    cookie: String,
}

pub(super) type Channel = WebSocketStream<TcpStream>;

/// No answer is longer: an opening with its custody, in base64, and the custody once more.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
const ANSWER: Duration = Duration::from_secs(10);

/// `GET /api/session`. Byte strings are base64url.
#[derive(Debug, Deserialize)]
pub(super) struct SessionView {
    pub(super) trust_root: String,
    pub(super) opening: Option<String>,
    pub(super) edge_online: bool,
    pub(super) role: String,
}

#[derive(Debug, Deserialize)]
struct Failed {
    error: Failure,
}

#[derive(Debug, Deserialize)]
struct Failure {
    code: String,
    message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Claimed {
    pub(super) session: String,
}

/// The session that a link is for, by the server's word.
pub(super) async fn session_of(server: SocketAddr, link: &str) -> Result<SessionId, PeerError> {
    let answer: Claimed = ask(server, "GET", &format!("/api/links/{link}"), "", b"").await?.json()?;
    let mut session = SessionId::default();
    hex::decode_to_slice(&answer.session, &mut session.0)
        .map_err(|_| PeerError::Http { what: "a session that is not 16 bytes in hex".into() })?;
    Ok(session)
}

/// Claims the link for the session key that `endorsement` endorses.
pub(super) async fn claim(
    server: SocketAddr,
    link: &str,
    endorsement: &[u8],
) -> Result<(Site, Claimed), PeerError> {
    let answer = ask(server, "POST", &format!("/api/links/{link}/claim"), "", endorsement).await?;
    let cookie = answer.cookie().ok_or(PeerError::Http { what: "a claim without a cookie".into() })?;
    let claimed = answer.json()?;
    Ok((Site { server, link: link.to_owned(), cookie }, claimed))
}

impl Site {
    pub(super) async fn session(&self) -> Result<SessionView, PeerError> {
        let path = format!("/api/session?link={}", self.link);
        ask(self.server, "GET", &path, &self.cookie, b"").await?.json()
    }

    pub(super) async fn signal(&self) -> Result<Channel, PeerError> {
        let url = format!("ws://{}/api/signal?link={}", self.server, self.link);
        let broken = |what: String| PeerError::Http { what };
        let mut request = url.into_client_request().map_err(|error| broken(error.to_string()))?;
        for (name, value) in [("Cookie", self.cookie.clone()), ("Origin", format!("http://{}", self.server))]
        {
            let value = HeaderValue::from_str(&value).map_err(|error| broken(error.to_string()))?;
            request.headers_mut().insert(name, value);
        }
        let stream = TcpStream::connect(self.server).await?;
        let opened = timeout(ANSWER, client_async(request, stream)).await;
        let opened = opened.map_err(|_| broken("no answer in time".into()))?;
        Ok(opened.map_err(|error| broken(error.to_string()))?.0)
    }
}

pub(super) fn bytes(what: &'static str, text: &str) -> Result<Vec<u8>, PeerError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PeerError::Http { what: format!("{what} is not base64url") })
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// One HTTP/1.0 request, so that the answer ends with its connection and is not cut in chunks.
async fn ask(
    server: SocketAddr,
    method: &str,
    path: &str,
    cookie: &str,
    body: &[u8],
) -> Result<Answer, PeerError> {
    let mut head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {server}\r\nOrigin: http://{server}\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !cookie.is_empty() {
        head += &format!("Cookie: {cookie}\r\n");
    }
    head += "Content-Type: application/octet-stream\r\n\r\n";
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = timeout(ANSWER, exchange)
        .await
        .map_err(|_| PeerError::Http { what: "no answer in time".into() })??;
    Answer::read(&bytes)?.checked()
}

impl Answer {
    fn read(bytes: &[u8]) -> Result<Self, PeerError> {
        let broken = || PeerError::Http { what: "an answer that is not HTTP".into() };
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(broken)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| broken())?.to_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
        Ok(Self { status, head, body: bytes[end + 4..].to_vec() })
    }

    /// What the server refused is an error, in its own words.
    fn checked(self) -> Result<Self, PeerError> {
        if self.status == 200 {
            return Ok(self);
        }
        let Failed { error } = serde_json::from_slice(&self.body)
            .map_err(|_| PeerError::Http { what: format!("status {}", self.status) })?;
        Err(PeerError::Refused { code: error.code, message: error.message })
    }

    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, PeerError> {
        serde_json::from_slice(&self.body).map_err(|error| PeerError::Http { what: error.to_string() })
    }

    fn cookie(&self) -> Option<String> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let set = pairs
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .map(|(_, value)| value)
            .next()?;
        set.split(';').next().map(|pair| pair.trim().to_owned())
    }
}
