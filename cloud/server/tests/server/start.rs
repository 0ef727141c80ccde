//! Starting, and the pages.

use std::{fs, net::SocketAddr};

use farhand_link::DeviceKey;
use farhand_server::{Config, StartError};
use tempfile::TempDir;

use crate::cast::{Cast, config};

/// Goal: plain HTTP is never offered to other machines.
#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, &DeviceKey::generate().unwrap());
    config.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = farhand_server::run(config).await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback { .. }));
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

/// Goal: a port in use is named, with what to do.
#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = Cast::new().await;
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, &DeviceKey::generate().unwrap());
    config.listen = first.server.http_addr();
    let error = farhand_server::run(config).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse { .. }));
    assert!(error.to_string().contains("`listen`"), "{error}");
}

/// Goal: the console's files are served, its own pages whatever their path, nothing outside its folder, all under a
/// strict policy.
#[tokio::test]
async fn the_console_is_served_strictly() {
    let pages = TempDir::new().unwrap();
    let console = pages.path().join("console");
    fs::create_dir(&console).unwrap();
    fs::write(console.join("index.html"), "the console").unwrap();
    fs::write(console.join("main.js"), "1").unwrap();
    fs::write(pages.path().join("secret"), "secret").unwrap();
    let cast = Cast::with(|config| config.console = console).await;
    let get = async |path: &str| cast.ask("GET", path, &[], b"").await;
    for path in ["/", "/operate", "/operate/00ff", "/bedside/00ff", "/field/00ff", "/audit/00ff"] {
        let answer = get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "the console"), "{path}");
        assert!(answer.header("Content-Security-Policy").unwrap().contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"));
    }
    assert!(get("/main.js").await.header("Content-Type").unwrap().contains("javascript"));
    for path in ["/../secret", "/%2e%2e/secret", "/operate/../../secret", "/nothing"] {
        assert!(!get(path).await.body.contains("secret"), "{path}");
    }
    assert_eq!(get("/api/nothing").await.error(), (404, "not-found".into()));
    assert_eq!(get("/api/links/00/claim").await.error(), (405, "method".into()));
}

/// Goal: without a built console, the page says how to build one.
#[tokio::test]
async fn a_missing_console_says_how_to_build_it() {
    let answer = Cast::new().await.ask("GET", "/operate/00ff", &[], b"").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("npm run build"));
}

/// Goal: a configuration written by a program is read back, its paths below the file's folder; a slip is named.
#[test]
fn a_configuration_reads_back() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, &DeviceKey::generate().unwrap());
    config.console = "console".into();
    let path = folder.path().join("cloud.toml");
    fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    config.console = folder.path().join("console");
    assert_eq!(Config::load(&path).unwrap(), config);
    fs::write(&path, format!("lisen = 1\n{}", toml::to_string(&config).unwrap())).unwrap();
    assert!(format!("{:#?}", Config::load(&path).unwrap_err()).contains("lisen"));
}
