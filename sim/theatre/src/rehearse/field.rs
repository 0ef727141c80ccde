//! The field team's page, scripted: the same calls, in the same order.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use farhand_agent::peer::RoleLink;
use farhand_ledger::{Cbor as _, Transaction};
use farhand_wire::{PublicKey, Said, SessionId, Statement};
use serde_json::Value;

const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(120);

/// **Dispatches, brings up and pairs, each as soon as it may.** Returns when the kit is paired.
pub(crate) async fn deliver(link: RoleLink, session: SessionId) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || Page::open(link, session)?.deliver()).await?
}

struct Page {
    agent: ureq::Agent,
    origin: String,
    cookie: String,
    key: SigningKey,
}

impl Page {
    fn open(link: RoleLink, session: SessionId) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let key = SigningKey::from_bytes(&seed);
        let said = Said::Endorse { session_key: PublicKey(key.verifying_key().to_bytes()) };
        let endorsement = Statement { session, said }.sign(&link.key);
        let origin = format!("http://{}", link.server);
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent: ureq::Agent = config.into();
        let claimed = agent
            .post(format!("{origin}/api/links/{}/claim", hex::encode(link.link)))
            .header("Origin", &origin)
            .content_type("application/octet-stream")
            .send(&endorsement[..])?;
        let cookie = claimed.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|text| text.split(';').next()).map(str::to_owned);
        let cookie = cookie.with_context(|| format!("the link was not claimed: {}", claimed.status()))?;
        Ok(Self { agent, origin, cookie, key })
    }

    fn deliver(&self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let view = self.view()?;
            let state = |step: &Value| step["state"].as_str().unwrap_or_default().to_owned();
            let steps = view["steps"].as_array().cloned().unwrap_or_default();
            if steps.last().is_some_and(|last| state(last) == "done") {
                return Ok(());
            }
            if let Some(failed) = steps.iter().find(|step| state(step) == "failed") {
                tracing::warn!(step = %failed["step"], why = %failed["detail"], "a step failed");
            }
            if let Some(call) = view["next"]["call"].as_str() {
                self.call(call, view["next"]["transaction"].as_str())?;
            }
            std::thread::sleep(LOOK);
        }
        bail!("the kit was not paired within {} s; the last state was {}", PATIENCE.as_secs(), self.view()?)
    }

    fn view(&self) -> anyhow::Result<Value> {
        let mut answer =
            self.agent.get(format!("{}/api/field", self.origin)).header("Cookie", &self.cookie).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }

    fn call(&self, call: &str, to_sign: Option<&str>) -> anyhow::Result<()> {
        let body = match to_sign {
            Some(text) => Transaction::read(&URL_SAFE_NO_PAD.decode(text)?)?.sign(&self.key)?,
            None => Vec::new(),
        };
        let mut answer = self
            .agent
            .post(format!("{}/api/field/{call}", self.origin))
            .header("Origin", &self.origin)
            .header("Cookie", &self.cookie)
            .content_type("application/octet-stream")
            .send(&body[..])?;
        if !answer.status().is_success() {
            tracing::warn!(call, answer = answer.body_mut().read_to_string()?, "not now");
        }
        Ok(())
    }
}
