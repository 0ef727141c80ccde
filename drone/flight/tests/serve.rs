//! The service for real: an order over the mesh, the simulated aircraft over UDP, custody onto a ledger, events back.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod depot;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use depot::{AT, Depot, order, proof_in};
use farhand_flight::{Clock, LinkAddress, Running, ServeConfig, serve_with};
use farhand_ledger::{CustodyStep, Event, Utc};
use farhand_link::{DeviceKey, DeviceRole};
use farhand_mesh::{Authority, Mesh, MeshConfig, Router, RouterConfig, Subscription, Topic};
use farhand_mission::{Mission, Place};
use farhand_wire::PublicKey;
use farhand_world::aircraft::{AircraftConfig, AircraftHandle, UdpConfig, fly_over_udp};
use serde_json::Value;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PAUSE: Duration = Duration::from_millis(100);

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Utc {
        AT
    }
}

struct Site {
    depot: Arc<Depot>,
    authority: Authority,
    router: DeviceKey,
    cloud: DeviceKey,
    aircraft: DeviceKey,
    plane: AircraftHandle,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let key = |number| DeviceKey::from_seed(&[number; 32]);
        let depot = Arc::new(Depot::new(1));
        let aircraft = key(0x33);
        depot.grant(PublicKey(*aircraft.id().as_bytes()));
        let config = AircraftConfig { speedup: 20.0, ..AircraftConfig::default() };
        Self {
            depot,
            authority: Authority::new(key(0x50)),
            router: key(0x51),
            cloud: key(0x52),
            aircraft,
            plane: fly_over_udp(config, &UdpConfig::default()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn route(&self, listen: SocketAddr) -> Router {
        let now = SystemTime::now();
        let config = RouterConfig {
            key: self.router.clone(),
            certificate: self.authority.admit_router(self.router.id(), &[LOOPBACK], now).unwrap(),
            anchor: self.authority.anchor(now).unwrap(),
            listen,
            devices: [(self.cloud.id(), DeviceRole::Cloud), (self.aircraft.id(), DeviceRole::Flight)].into(),
            simulator: false,
        };
        Router::open(config).await.unwrap()
    }

    fn device(&self, key: &DeviceKey, router: SocketAddr) -> MeshConfig {
        let now = SystemTime::now();
        MeshConfig {
            key: key.clone(),
            certificate: self.authority.admit(key.id(), now).unwrap(),
            anchor: self.authority.anchor(now).unwrap(),
            router,
            open_ms_max: 30_000,
        }
    }

    fn journal(&self) -> &Path {
        self.folder.path()
    }

    fn serve(&self, router: SocketAddr) -> Running {
        let autopilot = LinkAddress::Call(self.plane.address());
        let journal = self.journal().join("flight.json");
        let mesh = self.device(&self.aircraft, router);
        let config = ServeConfig::new(mesh, self.depot.rules(), autopilot, journal);
        serve_with(config, self.depot.clone(), Arc::new(Fixed)).unwrap()
    }

    fn stands_delivered(&self) -> bool {
        let truth = self.plane.truth();
        let place = Place::new(truth.lat_deg, truth.lon_deg).unwrap();
        truth.released
            && !truth.dropped
            && truth.on_ground
            && place.distance_m(Mission::trial().delivery()) < 2.0
    }
}

/// The cloud's end of the mesh.
struct Cloud {
    mesh: Mesh,
    order: Topic,
    events: Subscription,
}

impl Cloud {
    async fn join(site: &Site, router: SocketAddr) -> Self {
        let mesh = Mesh::open(site.device(&site.cloud, router)).await.unwrap();
        let events = mesh.subscribe(Topic::Event(site.aircraft.id())).await.unwrap();
        Self { mesh, order: Topic::Order(site.aircraft.id()), events }
    }

    /// Gives an order until something that is `wanted` is heard.
    async fn order_until(&mut self, bytes: &[u8], wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            self.mesh.publish(self.order, bytes).await.unwrap();
            if let Ok(heard) = tokio::time::timeout(PAUSE, self.hear(&wanted)).await {
                return heard;
            }
        }
    }

    async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.events.recv().await.unwrap();
            let news: Value = serde_json::from_slice(&message.bytes).unwrap();
            if wanted(&news) {
                return news;
            }
        }
    }
}

fn has_step(news: &Value, step: &str) -> bool {
    news["custody"]["step"] == step
}

/// Goal: an order over the mesh flies the aircraft to the delivery point; the kit's custody goes on on the ledger; the
/// cloud hears where the aircraft is and gets both proofs; and the same order is not flown again.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_over_the_mesh_delivers_the_kit() {
    let site = Site::new();
    let router = site.route(SocketAddr::new(LOOPBACK, 0)).await;
    let running = site.serve(router.address());
    let mut cloud = Cloud::join(&site, router.address()).await;

    let refused = cloud.order_until(&order(&Depot::new(2).load()), |news| news["phase"] == "refused").await;
    assert!(refused["error"].as_str().unwrap().contains("does not hold"), "{refused}");

    let bytes = order(&site.depot.load());
    cloud.order_until(&bytes, |news| news["order"].is_string()).await;
    let flying = cloud.hear(|news| news["phase"] == "cruising").await;
    assert!(flying["lat_deg"].is_f64() && flying["alt_m"].as_f64().unwrap() > 1.0, "{flying}");
    let landed = cloud.hear(|news| has_step(news, "landed")).await;
    let airborne = cloud.hear(|news| has_step(news, "airborne")).await; // told again, in turn
    assert!(site.stands_delivered(), "{:?}", site.plane.truth());
    for (news, step) in [(airborne, CustodyStep::Airborne), (landed, CustodyStep::Landed)] {
        let proven = proof_in(&news).unwrap().check(&site.depot.trust).unwrap();
        let Event::Custody(custody) = proven.transaction.event else { unreachable!() };
        assert_eq!((custody.kit, custody.step), (site.depot.kit, step));
        assert_eq!(news["custody"]["height"].as_u64(), Some(proven.position.height));
        assert_eq!(news["error"], Value::Null);
    }
    let again = cloud.order_until(&bytes, |news| news["phase"] == "refused").await;
    assert!(again["error"].as_str().unwrap().contains("was flown"), "{again}");
    assert!(!site.plane.truth().armed);
    running.stop().await;
}

/// Goal: when mesh and ledger are lost in the air the flight goes on to its end; when they are back, custody is handed in in
/// its order and the cloud hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flight_outlives_mesh_and_ledger() {
    let site = Site::new();
    let router = site.route(SocketAddr::new(LOOPBACK, 0)).await;
    let address = router.address();
    let _running = site.serve(address);
    let mut cloud = Cloud::join(&site, address).await;
    site.depot.set_down(true);
    cloud.order_until(&order(&site.depot.load()), |news| news["alt_m"].as_f64() > Some(1.0)).await;
    router.close().await;
    while !site.stands_delivered() || site.plane.truth().armed {
        tokio::time::sleep(PAUSE).await;
    }
    use CustodyStep::*;
    assert_eq!(site.depot.steps(), [Sealed, Loaded]);
    let _router = site.route(address).await;
    site.depot.set_down(false);
    let landed = cloud.hear(|news| has_step(news, "landed")).await;
    assert_eq!(landed["phase"], "delivered");
    assert_eq!(site.depot.steps(), [Sealed, Loaded, Airborne, Landed]);
}
