//! Role links, sessions, and who may ask.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::SigningKey;
use farhand_ledger::Cbor;
use farhand_server::LinkId;

use crate::cast::{Cast, LINK, SESSION, endorse, link_key, now_ms};

/// Goal: a link opens a session for the browser whose key it endorses, as often as that browser likes, under a cookie
/// that no script and no other site can use.
#[tokio::test]
async fn a_link_gives_its_role_and_a_strict_cookie() {
    let cast = Cast::new().await;
    for _again in 0..2 {
        let answer = cast.claim(LINK, &endorse(8, &link_key())).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["role"], "surgeon");
        assert_eq!(answer.json()["session"], SESSION.to_string());
        let set = answer.header("Set-Cookie").unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/api"] {
            assert!(set.contains(part), "{set}");
        }
        let cookie = answer.cookie();
        assert_eq!(cookie.split_once('=').unwrap().1.len(), 64, "32 bytes");
        let session = cast.ask("GET", "/api/session", &[("Cookie", &cookie)], b"").await;
        assert_eq!((session.status, &session.json()["pseudonym"]), (200, &"S1".into()));
        assert!(session.json()["opening"].is_null());
        assert_eq!(session.json()["edge_online"], false);
    }
}

/// Goal: each way in which a link does not hold has its own status and code.
#[tokio::test]
async fn a_link_that_does_not_hold_is_refused_by_name() {
    let cast = Cast::new().await;
    let (mine, unknown, expired) = (endorse(8, &link_key()), LinkId([2; 16]), LinkId([4; 16]));
    let stranger = SigningKey::from_bytes(&[5; 32]);
    cast.issue(expired, &link_key(), now_ms());
    let refused = async |id, statement: &[u8]| cast.claim(id, statement).await.error();
    assert_eq!(refused(unknown, &mine).await, (404, "link-unknown".into()));
    assert_eq!(refused(expired, &mine).await, (410, "link-expired".into()));
    assert_eq!(refused(LINK, &endorse(8, &stranger)).await, (403, "link-signature".into()));
    assert_eq!(refused(LINK, b"let me in").await, (400, "malformed".into()));
    assert_eq!(cast.claim(LINK, &mine).await.status, 200);
    assert_eq!(refused(LINK, &endorse(9, &link_key())).await, (409, "link-used".into()));
}

/// Goal: without a cookie, or with one that is made up, nobody learns of the session or signals.
#[tokio::test]
async fn a_session_needs_its_cookie() {
    let cast = Cast::new().await;
    let forged = format!("farhand-{LINK}={}", "00".repeat(32));
    cast.cookie().await;
    for headers in [&[][..], &[("Cookie", forged.as_str())], &[("Cookie", "farhand-x=y; a=b")]] {
        let answer = cast.ask("GET", "/api/session", headers, b"").await;
        assert_eq!(answer.error(), (401, "no-session".into()));
    }
    let origin = cast.origin();
    assert_eq!(cast.open_signal(None, Some(&origin)).await.unwrap_err(), 401);
}

/// Goal: a browser that holds two roles asks as the one it names, or else as the one it claimed last.
#[tokio::test]
async fn one_browser_can_hold_two_links() {
    let cast = Cast::new().await;
    let (other, key) = (LinkId([6; 16]), SigningKey::from_bytes(&[6; 32]));
    cast.issue(other, &key, now_ms() + 60_000);
    let both = format!("{}; {}", cast.cookie().await, cast.claim(other, &endorse(8, &key)).await.cookie());
    let ask = async |path: &str| cast.ask("GET", path, &[("Cookie", &both)], b"").await.status;
    assert_eq!(ask(&format!("/api/session?link={LINK}")).await, 200);
    assert_eq!(ask(&format!("/api/session?link={other}")).await, 200);
    assert_eq!(ask(&format!("/api/session?link={}", LinkId([9; 16]))).await, 401);
}

/// Goal: the opening reaches the browser byte for byte, with the kit's custody.
#[tokio::test]
async fn the_session_shows_its_opening() {
    let cast = Cast::new().await;
    let (cookie, opening) = (cast.cookie().await, cast.opening());
    cast.server.set_opening(&opening).await.unwrap();
    let session = cast.ask("GET", "/api/session", &[("Cookie", &cookie)], b"").await.json();
    assert_eq!(session["opening"], URL_SAFE_NO_PAD.encode(opening.to_bytes()));
    assert_eq!(session["custody"].as_array().unwrap().len(), opening.custody.len());
    assert_eq!(session["custody"][0], URL_SAFE_NO_PAD.encode(opening.custody[0].to_bytes()));
}

/// Goal: a page of another site, or another name pointed at this server, gets nothing done with the user's browser.
#[tokio::test]
async fn other_sites_are_refused() {
    let cast = Cast::new().await;
    let path = format!("/api/links/{LINK}/claim");
    let mine = endorse(8, &link_key());
    for headers in [&[][..], &[("Origin", "https://example.org")], &[("Origin", "null")]] {
        assert_eq!(cast.ask("POST", &path, headers, &mine).await.error(), (403, "other-origin".into()));
    }
    let rebound = [("Host", "example.org"), ("Origin", "http://example.org")];
    assert_eq!(cast.ask("POST", &path, &rebound, &mine).await.error(), (403, "other-host".into()));
    assert_eq!(cast.ask("GET", "/", &rebound, b"").await.error(), (403, "other-host".into()));
    let cookie = cast.cookie().await;
    let elsewhere = Some("http://127.0.0.1:1");
    assert_eq!(cast.open_signal(Some(&cookie), elsewhere).await.unwrap_err(), 403);
    assert_eq!(cast.open_signal(Some(&cookie), None).await.unwrap_err(), 403);
}

/// Goal: nobody makes the server read more than 64 KiB.
#[tokio::test]
async fn a_body_too_long_is_refused() {
    let cast = Cast::new().await;
    let answer = cast.claim(LINK, &vec![0; 64 * 1024 + 1]).await;
    assert_eq!(answer.error(), (413, "too-large".into()));
}
