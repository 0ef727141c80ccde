//! Console and edge box, introduced.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use farhand_ledger::Cbor;
use farhand_link::DeviceKey;
use serde_json::json;

use crate::cast::{Cast, edge_hears, edge_says, hear, say};

const OFFLINE: &str = r#"{"type":"edge-offline"}"#;
const ONLINE: &str = r#"{"type":"edge-online"}"#;

/// Goal: a console and the edge box hear each other as they spoke, each console under a name of its own, and the edge
/// box learns when one leaves.
#[tokio::test]
async fn console_and_edge_hear_each_other() {
    let cast = Cast::new().await;
    let (_endpoint, edge) = cast.edge().await;
    let cookie = cast.cookie().await;
    let (mut first, mut second) = (cast.browser(&cookie).await, cast.browser(&cookie).await);
    say(&mut first, r#"{"type":"hello","nonce":"a"}"#).await;
    let heard = edge_hears(&edge).await;
    assert_eq!(heard["signal"], json!({"type": "hello", "nonce": "a"}));
    say(&mut second, r#"{"type":"hello","nonce":"b"}"#).await;
    let (one, two) = (heard["peer"].clone(), edge_hears(&edge).await["peer"].clone());
    assert_ne!(one, two);
    edge_says(&edge, &json!({"peer": two, "signal": {"type": "hello", "nonce": "for b"}})).await;
    edge_says(&edge, &json!({"peer": one, "signal": {"type": "hello", "nonce": "for a"}})).await;
    assert!(hear(&mut first).await.unwrap().contains("for a"));
    assert!(hear(&mut second).await.unwrap().contains("for b"));
    first.close(None).await.unwrap();
    assert_eq!(edge_hears(&edge).await, json!({ "gone": one }));
}

/// Goal: a console is told that the edge box is not there, when it comes, and when it goes.
#[tokio::test]
async fn a_console_hears_whether_the_edge_is_there() {
    let cast = Cast::new().await;
    let mut browser = cast.browser(&cast.cookie().await).await;
    assert_eq!(hear(&mut browser).await.unwrap(), OFFLINE);
    say(&mut browser, r#"{"type":"hello"}"#).await;
    assert_eq!(hear(&mut browser).await.unwrap(), OFFLINE);
    let (endpoint, edge) = cast.edge().await;
    assert_eq!(hear(&mut browser).await.unwrap(), ONLINE);
    edge.close(farhand_link::CloseReason::Done);
    assert_eq!(hear(&mut browser).await.unwrap(), OFFLINE);
    drop(endpoint);
}

/// Goal: the edge box gets the session's opening, whether it came before or after.
#[tokio::test]
async fn the_edge_gets_the_opening() {
    let cast = Cast::new().await;
    let opening = cast.opening();
    let expected = json!({"opening": URL_SAFE_NO_PAD.encode(opening.to_bytes())});
    let (_early, edge) = cast.edge().await;
    cast.server.set_opening(&opening).await.unwrap();
    assert_eq!(edge_hears(&edge).await, expected);
    let (_late, again) = cast.edge().await;
    assert_eq!(edge_hears(&again).await, expected);
}

/// Goal: a device that is not this session's edge box does not get in.
#[tokio::test]
async fn a_strange_edge_is_refused() {
    let cast = Cast::new().await;
    let (_endpoint, connection) = cast.device(&DeviceKey::generate().unwrap()).await;
    assert!(connection.is_err());
    assert!(!*cast.server.edge_online().borrow());
}

/// Goal: a frame above 64 KiB, or one that is no JSON object, ends the channel, and the edge box hears nothing of it.
#[tokio::test]
async fn a_frame_too_long_or_malformed_ends_the_channel() {
    let cast = Cast::new().await;
    let (_endpoint, edge) = cast.edge().await;
    let cookie = cast.cookie().await;
    let too_long = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 * 1024));
    for (frame, code) in [(too_long.as_str(), 1009), ("[]", 1007)] {
        let mut browser = cast.browser(&cookie).await;
        let _ = futures_util::SinkExt::send(&mut browser, frame.into()).await; // may be cut off within
        let end = hear(&mut browser).await.unwrap_err();
        assert!(end == code || end == 0, "{end}"); // the reason is lost where the rest of the frame is thrown away
        assert!(edge_hears(&edge).await["gone"].is_string());
    }
}
