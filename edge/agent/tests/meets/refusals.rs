//! Who is not let in.

use farhand_agent::{
    VideoConfig,
    peer::{Peer, PeerError, PeerSettings},
};
use farhand_ledger::Hash;

use crate::stage::{Stage, bedside_key};

fn still() -> VideoConfig {
    VideoConfig::new("test?width=320&height=240&fps=5")
}

/// Goal: a console that brought another trust root believes nothing that this server shows, and one that brought another
/// link's key gets no cookie.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_trust_root_or_key_ends_it_at_the_server() {
    let stage = Stage::set(still()).await;
    let mut link = stage.link("operate");
    link.trust = Hash([1; 32]);
    assert!(matches!(Peer::connect(&link, Stage::settings()).await, Err(PeerError::OtherTrust)));
    let mut link = stage.link("operate");
    link.key = bedside_key();
    let refused = Peer::connect(&link, Stage::settings()).await;
    assert!(
        matches!(&refused, Err(PeerError::Refused { code, .. }) if code == "link-signature"),
        "{refused:?}"
    );
}

/// Goal: before the session is open nobody meets anybody, and a console says what it waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_meets_before_the_opening() {
    let stage = Stage::set_before_opening(still()).await;
    let settings = PeerSettings { wait_ms_max: 500, ..Stage::settings() };
    let early = Peer::connect(&stage.link("operate"), settings).await;
    assert!(matches!(early, Err(PeerError::TooLate { waited_ms: 500, .. })), "{early:?}");
    assert!(!*stage.edge.session_open().borrow());
}
