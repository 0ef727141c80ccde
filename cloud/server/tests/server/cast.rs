//! A running server, a browser of a few lines, and an edge box.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::SigningKey;
use farhand_ledger::{Hash, Member, OpeningEvidence, Utc, five_keys};
use farhand_link::{Connection, DeviceKey, DeviceRole, Endpoint, LinkConfig, Peers};
use farhand_server::{Config, Grant, LinkId, Running, SIGNAL_PROTOCOL};
use farhand_wire::{PublicKey, Role, Said, SessionId, Statement};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderValue, StatusCode},
    },
};

pub(crate) const SESSION: SessionId = SessionId([7; 16]);
pub(crate) const LINK: LinkId = LinkId([1; 16]);
/// Longer than anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Cast {
    pub(crate) server: Running,
    edge: DeviceKey,
    _folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) type Browser = WebSocketStream<TcpStream>;

pub(crate) fn config(folder: &TempDir, edge: &DeviceKey) -> Config {
    let trust = folder.path().join("genesis.trust");
    std::fs::write(&trust, five_keys::FiveKeys::new([9; 32]).trust().to_bytes()).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        session: SESSION.0,
        listen: any,
        edge_listen: any,
        device_key: folder.path().join("cloud.key"),
        edge: *edge.id().as_bytes(),
        trust_root: trust,
        opening: None,
        console: folder.path().join("console"),
        limits: None,
        bundles: None,
        claims: None,
        field: None,
        links: Vec::new(),
    }
}

pub(crate) fn link_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

pub(crate) fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

pub(crate) fn endorse(session_key: u8, by: &SigningKey) -> Vec<u8> {
    let said = Said::Endorse { session_key: PublicKey([session_key; 32]) };
    Statement { session: SESSION, said }.sign(by)
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

impl Cast {
    /// A server with one link for a surgeon, [`LINK`].
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let edge = DeviceKey::generate().unwrap();
        let mut config = config(&folder, &edge);
        change(&mut config);
        let server = farhand_server::run(config).await.unwrap();
        let cast = Self { server, edge, _folder: folder };
        cast.issue(LINK, &link_key(), now_ms() + 3_600_000);
        cast
    }

    pub(crate) fn issue(&self, id: LinkId, key: &SigningKey, expires_ms: u64) {
        let grant = Grant { key: public(key), role: Role::Surgeon, pseudonym: "S1".into(), expires_ms };
        self.server.issue(id, grant).unwrap();
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.server.http_addr())
    }

    pub(crate) async fn claim(&self, id: LinkId, statement: &[u8]) -> Answer {
        let origin = self.origin();
        self.ask("POST", &format!("/api/links/{id}/claim"), &[("Origin", &origin)], statement).await
    }

    /// One HTTP/1.1 request, and the answer to the end of its connection.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let host = self.server.http_addr().to_string();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        timeout(PATIENCE, exchange(&host, [head.as_bytes(), body].concat())).await.unwrap()
    }

    /// The cookie of a claim by session key number 8.
    pub(crate) async fn cookie(&self) -> String {
        self.claim(LINK, &endorse(8, &link_key())).await.cookie()
    }

    pub(crate) async fn browser(&self, cookie: &str) -> Browser {
        let origin = self.origin();
        self.open_signal(Some(cookie), Some(&origin)).await.unwrap()
    }

    /// The WebSocket, or the status with which it was refused.
    pub(crate) async fn open_signal(
        &self,
        cookie: Option<&str>,
        origin: Option<&str>,
    ) -> Result<Browser, StatusCode> {
        let addr = self.server.http_addr();
        let mut request = format!("ws://{addr}/api/signal").into_client_request().unwrap();
        for (name, value) in [("Cookie", cookie), ("Origin", origin)] {
            if let Some(value) = value {
                request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        match client_async(request, TcpStream::connect(addr).await.unwrap()).await {
            Ok((browser, _)) => Ok(browser),
            Err(Error::Http(answer)) => Err(answer.status()),
            Err(other) => unreachable!("{other}"),
        }
    }

    /// The edge box, connected, and the server knows it.
    pub(crate) async fn edge(&self) -> (Endpoint, Connection) {
        let (endpoint, connection) = self.device(&self.edge).await;
        let connection = connection.unwrap();
        let mut online = self.server.edge_online();
        timeout(PATIENCE, online.wait_for(|online| *online)).await.unwrap().unwrap();
        (endpoint, connection)
    }

    pub(crate) async fn device(
        &self,
        key: &DeviceKey,
    ) -> (Endpoint, Result<Connection, farhand_link::HandshakeError>) {
        let peers = Peers::new();
        peers.allow(self.server.id(), DeviceRole::Cloud).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let patient = LinkConfig { idle_timeout_ms: 20_000, ..LinkConfig::default() };
        let endpoint = Endpoint::bind_connecting(any, key, peers, SIGNAL_PROTOCOL, patient).unwrap();
        let connection = endpoint.connect(self.server.edge_addr(), self.server.id()).await;
        (endpoint, connection)
    }

    /// A session's opening as five keys in one hand would have committed it.
    pub(crate) fn opening(&self) -> OpeningEvidence {
        let (kit, field) = (SigningKey::from_bytes(&[21; 32]), SigningKey::from_bytes(&[22; 32]));
        let surgeon = Member { key: public(&link_key()), role: Role::Surgeon, pseudonym: "S1".into() };
        let plan = five_keys::Plan {
            session: SESSION,
            roster: vec![surgeon],
            edge: PublicKey(*self.edge.id().as_bytes()),
            kit: &kit,
            field: &field,
            limits_digest: Hash([0; 32]),
            arm_digest: Hash([0; 32]),
            at: Utc { us: 0, uncertainty_us: 0 },
        };
        five_keys::FiveKeys::new([9; 32]).open(plan).unwrap()
    }
}

async fn exchange(host: &str, request: Vec<u8>) -> Answer {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let _ = stream.write_all(&request).await; // a server that refuses early may close first
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON answer")
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().expect("an error's code").to_owned())
    }

    pub(crate) fn cookie(&self) -> String {
        let set = self.header("Set-Cookie").expect("a claim sets a cookie");
        set.split(';').next().unwrap().to_owned()
    }
}

pub(crate) async fn say(browser: &mut Browser, text: &str) {
    browser.send(Message::text(text)).await.unwrap();
}

/// The next text, or the code with which the channel was closed (0: without one).
pub(crate) async fn hear(browser: &mut Browser) -> Result<String, u16> {
    loop {
        match timeout(PATIENCE, browser.next()).await.expect("something to hear") {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_) | Err(_)) | None => return Err(0),
        }
    }
}

pub(crate) async fn edge_hears(edge: &Connection) -> Value {
    let message = timeout(PATIENCE, edge.recv_message()).await.unwrap().unwrap().unwrap();
    serde_json::from_slice(&message).unwrap()
}

pub(crate) async fn edge_says(edge: &Connection, message: &Value) {
    edge.send_message(message.to_string().into()).await.unwrap();
}
