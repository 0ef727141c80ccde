//! Devices of a site talk through a router, over real QUIC on the loopback; who may not, does not.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use farhand_link::{DeviceKey, DeviceRole};
use farhand_mesh::{
    Authority, MESSAGE_BYTES_MAX, Mesh, MeshConfig, MeshError, Message, Router, RouterConfig, Subject,
    Subscription, Topic,
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Long enough for a machine under load; no test waits for it but one that is refused.
const OPEN_MS_MAX: u64 = 30_000;
const PAUSE: Duration = Duration::from_millis(50);

struct Site {
    authority: Authority,
    router: DeviceKey,
    devices: BTreeMap<&'static str, (DeviceKey, DeviceRole)>,
    simulator: bool,
}

impl Site {
    fn new(seed: u8) -> Self {
        let key = |number: u8| DeviceKey::from_seed(&[seed + number; 32]);
        let devices = [
            ("cloud", (key(1), DeviceRole::Cloud)),
            ("aircraft", (key(2), DeviceRole::Flight)),
            ("other aircraft", (key(3), DeviceRole::Flight)),
            ("kit", (key(4), DeviceRole::Kit)),
            ("other kit", (key(5), DeviceRole::Kit)),
            ("edge", (key(6), DeviceRole::Edge)),
            ("observer", (key(8), DeviceRole::Observer)),
            ("ros", (key(9), DeviceRole::Ros)),
            ("other ros", (key(10), DeviceRole::Ros)),
        ];
        Self { authority: Authority::new(key(0)), router: key(7), devices: devices.into(), simulator: false }
    }

    fn key(&self, name: &str) -> &DeviceKey {
        &self.devices[name].0
    }

    fn router_config(&self, listen: SocketAddr) -> RouterConfig {
        let now = SystemTime::now();
        RouterConfig {
            key: self.router.clone(),
            certificate: self.authority.admit_router(self.router.id(), &[LOOPBACK], now).unwrap(),
            anchor: self.authority.anchor(now).unwrap(),
            listen,
            devices: self.devices.values().map(|(key, role)| (key.id(), *role)).collect(),
            simulator: self.simulator,
        }
    }

    async fn route(&self) -> Router {
        Router::open(self.router_config(SocketAddr::new(LOOPBACK, 0))).await.unwrap()
    }

    fn device(&self, key: &DeviceKey, router: SocketAddr) -> MeshConfig {
        let now = SystemTime::now();
        MeshConfig {
            key: key.clone(),
            certificate: self.authority.admit(key.id(), now).unwrap(),
            anchor: self.authority.anchor(now).unwrap(),
            router,
            open_ms_max: OPEN_MS_MAX,
        }
    }

    async fn join(&self, name: &str, router: &Router) -> Mesh {
        Mesh::open(self.device(self.key(name), router.address())).await.unwrap()
    }
}

/// Publishes until the message arrives: a subscription takes its time to be known everywhere.
async fn publish_until_heard(from: &Mesh, topic: Topic, bytes: &[u8], to: &mut Subscription) -> Message {
    loop {
        from.publish(topic, bytes).await.unwrap();
        if let Ok(heard) = tokio::time::timeout(PAUSE, to.recv()).await {
            return heard.unwrap();
        }
    }
}

/// Goal: an order goes from the cloud to its aircraft, and events, states and healths come back, each as it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_site_talk_through_its_router() {
    let site = Site::new(10);
    let router = site.route().await;
    let (cloud, aircraft) = (site.join("cloud", &router).await, site.join("aircraft", &router).await);
    let (kit, edge) = (site.join("kit", &router).await, site.join("edge", &router).await);
    let id = |name| site.key(name).id();

    let mut orders = aircraft.subscribe(Topic::Order(id("aircraft"))).await.unwrap();
    let order = publish_until_heard(&cloud, Topic::Order(id("aircraft")), b"fly", &mut orders).await;
    assert_eq!((order.topic, &order.bytes[..]), (Topic::Order(id("aircraft")), &b"fly"[..]));

    for (subject, from, topic) in [
        (Subject::AllEvents, &aircraft, Topic::Event(id("aircraft"))),
        (Subject::AllStates, &kit, Topic::State(id("kit"))),
        (Subject::AllHealths, &edge, Topic::Health(id("edge"))),
    ] {
        let mut heard = cloud.subscribe(subject).await.unwrap();
        let largest = vec![7; MESSAGE_BYTES_MAX];
        let message = publish_until_heard(from, topic, &largest, &mut heard).await;
        assert_eq!(message, Message { topic, bytes: largest.into() });
    }
    let too_long = kit.publish(Topic::State(id("kit")), vec![0; MESSAGE_BYTES_MAX + 1]).await;
    assert!(matches!(too_long, Err(MeshError::TooLong { bytes: 65_537, max: 65_536, .. })), "{too_long:?}");
}

/// Goal: a device doesn't speak under another's name or as another kind of device: what it says so never arrives. It
/// says something of its own right after, over the same connection, and that is the first thing to arrive.
#[tokio::test(flavor = "multi_thread")]
async fn no_device_speaks_under_anothers_name() {
    let site = Site::new(20);
    let router = site.route().await;
    let cloud = site.join("cloud", &router).await;
    let id = |name| site.key(name).id();
    for (intruder, own, forged) in [
        ("other kit", Topic::State(id("other kit")), vec![Topic::State(id("kit"))]),
        (
            "other aircraft",
            Topic::Event(id("other aircraft")),
            vec![Topic::Event(id("aircraft")), Topic::State(id("kit")), Topic::Health(id("edge"))],
        ),
        ("edge", Topic::Health(id("edge")), vec![Topic::State(id("kit")), Topic::Event(id("aircraft"))]),
    ] {
        let device = site.join(intruder, &router).await;
        let subject = match own {
            Topic::State(_) => Subject::AllStates,
            Topic::Event(_) => Subject::AllEvents,
            _ => Subject::AllHealths,
        };
        let mut heard = cloud.subscribe(subject).await.unwrap();
        let mut others = Vec::new();
        for topic in &forged {
            others.push(cloud.subscribe(*topic).await.unwrap());
        }
        publish_until_heard(&device, own, b"I am here", &mut heard).await;
        for topic in &forged {
            device.publish(*topic, "forged").await.unwrap();
        }
        device.publish(own, "and done").await.unwrap();
        let mut last = heard.recv().await.unwrap();
        while last.bytes != "and done" {
            assert_eq!((last.topic, &last.bytes[..]), (own, &b"I am here"[..]), "{intruder}");
            last = heard.recv().await.unwrap();
        }
        for mut other in others {
            let nothing = tokio::time::timeout(PAUSE, other.recv()).await;
            assert!(nothing.is_err(), "{intruder}: {nothing:?}");
        }
    }
}

/// Goal: an aircraft hears its own orders and nobody else's, and nobody but the cloud gives any.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_given_by_the_cloud_and_heard_by_its_aircraft_alone() {
    let site = Site::new(30);
    let router = site.route().await;
    let (cloud, aircraft) = (site.join("cloud", &router).await, site.join("aircraft", &router).await);
    let other = site.join("other aircraft", &router).await;
    let id = |name| site.key(name).id();
    let (mine, theirs) = (Topic::Order(id("other aircraft")), Topic::Order(id("aircraft")));

    let mut own = other.subscribe(mine).await.unwrap();
    let mut overheard = other.subscribe(theirs).await.unwrap();
    let mut orders = aircraft.subscribe(theirs).await.unwrap();
    publish_until_heard(&cloud, theirs, b"yours", &mut orders).await;
    publish_until_heard(&cloud, mine, b"mine", &mut own).await;
    assert!(tokio::time::timeout(PAUSE, overheard.recv()).await.is_err());

    other.publish(theirs, "forged").await.unwrap();
    let event = Topic::Event(id("other aircraft"));
    let mut events = cloud.subscribe(event).await.unwrap();
    publish_until_heard(&other, event, b"after", &mut events).await; // so the forged one was dealt with
    cloud.publish(theirs, "last").await.unwrap();
    let mut heard = orders.recv().await.unwrap();
    while heard.bytes != "last" {
        assert_eq!(heard.bytes, "yours");
        heard = orders.recv().await.unwrap();
    }
}

/// Goal: a device whose certificate is by another authority doesn't get in, though it names a device of the site and
/// trusts the site's router; and a device does not take another site's router for its own.
#[tokio::test(flavor = "multi_thread")]
async fn another_authoritys_device_does_not_get_in() {
    let (site, other) = (Site::new(40), Site::new(60));
    let router = site.route().await;
    let key = site.key("kit");
    let (now, address) = (SystemTime::now(), router.address());
    let foreign = MeshConfig {
        certificate: other.authority.admit(key.id(), now).unwrap(),
        open_ms_max: 1_500,
        ..site.device(key, address)
    };
    let refused = Mesh::open(foreign).await;
    assert!(matches!(refused, Err(MeshError::NoRouter { .. })), "{refused:?}");
    let misled = MeshConfig {
        anchor: other.authority.anchor(now).unwrap(),
        open_ms_max: 1_500,
        ..site.device(key, address)
    };
    let refused = Mesh::open(misled).await;
    assert!(matches!(refused, Err(MeshError::NoRouter { .. })), "{refused:?}");
    site.join("kit", &router).await;
}

/// Goal: no device can pose as the router: neither under its own certificate, nor under one it issues itself.
#[tokio::test(flavor = "multi_thread")]
async fn no_device_poses_as_the_router() {
    let site = Site::new(80);
    let (now, kit) = (SystemTime::now(), site.key("other kit").clone());
    let own = RouterConfig {
        key: kit.clone(),
        certificate: site.authority.admit(kit.id(), now).unwrap(),
        ..site.router_config(SocketAddr::new(LOOPBACK, 0))
    };
    let minted = Authority::new(kit.clone()).admit_router(kit.id(), &[LOOPBACK], now).unwrap();
    let chain = format!("{}{}", minted.pem(), own.certificate.pem());
    let minted =
        RouterConfig { certificate: farhand_mesh::Certificate::from_pem(&chain).unwrap(), ..own.clone() };
    for config in [own, minted] {
        let Ok(false_router) = Router::open(config).await else { continue };
        let victim =
            MeshConfig { open_ms_max: 1_500, ..site.device(site.key("kit"), false_router.address()) };
        let refused = Mesh::open(victim).await;
        assert!(matches!(refused, Err(MeshError::NoRouter { .. })), "{refused:?}");
    }
}

/// Goal: a router that went away and came back at the same address finds its devices again, by themselves, with their
/// subscriptions.
#[tokio::test(flavor = "multi_thread")]
async fn devices_find_a_router_that_came_back() {
    let site = Site::new(100);
    let router = site.route().await;
    let address = router.address();
    let (cloud, kit) = (site.join("cloud", &router).await, site.join("kit", &router).await);
    let topic = Topic::State(site.key("kit").id());
    let mut states = cloud.subscribe(Subject::AllStates).await.unwrap();
    publish_until_heard(&kit, topic, b"before", &mut states).await;
    router.close().await;
    let _router = Router::open(site.router_config(address)).await.unwrap();
    let mut heard = publish_until_heard(&kit, topic, b"after", &mut states).await;
    while heard.bytes != "after" {
        heard = publish_until_heard(&kit, topic, b"after", &mut states).await;
    }
}

/// Goal: the key exchange that is offered first holds against quantum computers: Zenoh alone would have installed another.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_exchange_is_post_quantum() {
    let site = Site::new(140);
    let router = site.route().await;
    site.join("kit", &router).await;
    let provider = rustls::crypto::CryptoProvider::get_default().unwrap();
    assert_eq!(provider.kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
}

const MEASURED: &str = "0/arm1/measured_cp/type/hash";
const SERVO: &str = "0/arm1/servo_cp/type/hash";

/// Goal: the ROS world hears the kit's state, from nobody but the kit's observer, with what is attached.
#[tokio::test(flavor = "multi_thread")]
async fn the_ros_world_hears_the_kits_state_from_its_observer_alone() {
    let site = Site::new(150);
    let router = site.route().await;
    let (ros, observer) = (site.join("ros", &router).await, site.join("observer", &router).await);
    let (edge, kit) = (site.join("edge", &router).await, site.join("kit", &router).await);
    let other = site.join("other ros", &router).await;
    let mut heard = ros.listen("*/arm1/**").await.unwrap();
    let mut forged = Vec::new();
    for forger in [&edge, &kit, &other] {
        forged.push(forger.publisher(MEASURED).await.unwrap());
    }
    let measured = observer.publisher(MEASURED).await.unwrap();
    for _ in 0..20 {
        for publisher in &forged {
            publisher.put(b"forged".to_vec(), b"").await.unwrap();
        }
        measured.put(b"here".to_vec(), b"first").await.unwrap();
        tokio::time::sleep(PAUSE).await;
    }
    measured.put(b"last".to_vec(), b"last").await.unwrap();
    let mut foreign = heard.recv().await.unwrap();
    while foreign.bytes != "last" {
        assert_eq!((&foreign.bytes[..], &foreign.attachment[..]), (&b"here"[..], &b"first"[..]));
        foreign = heard.recv().await.unwrap();
    }
    assert_eq!(foreign.key, MEASURED);
}

/// Whether a command of the ROS world gets to the kit's observer.
async fn a_command_arrives(site: &Site) -> bool {
    let router = site.route().await;
    let (ros, observer) = (site.join("ros", &router).await, site.join("observer", &router).await);
    let mut commands = observer.listen("*/arm1/**").await.unwrap();
    let mut exactly = observer.listen(SERVO).await.unwrap();
    let servo = ros.publisher(SERVO).await.unwrap();
    for _ in 0..40 {
        servo.put(b"go there".to_vec(), b"").await.unwrap();
        if let Ok(heard) = tokio::time::timeout(PAUSE, exactly.recv()).await {
            assert_eq!(heard.unwrap().bytes, "go there");
            return true;
        }
    }
    let nothing = tokio::time::timeout(PAUSE, commands.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    false
}

/// Goal: a command of the ROS world passes where the router was told that the arm is simulated, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn the_ros_world_commands_a_simulated_arm_alone() {
    let site = Site { simulator: true, ..Site::new(160) };
    assert!(a_command_arrives(&site).await);
    assert!(!a_command_arrives(&Site::new(170)).await);
}

/// Goal: the ROS world sees who is there, and does not say that somebody is.
#[tokio::test(flavor = "multi_thread")]
async fn the_ros_world_sees_the_observer_and_no_impostor() {
    let site = Site { simulator: true, ..Site::new(180) };
    let router = site.route().await;
    let (ros, other) = (site.join("ros", &router).await, site.join("other ros", &router).await);
    let (observer, kit) = (site.join("observer", &router).await, site.join("kit", &router).await);
    let (all, arm) = ("@ros2_lv/0/**", "@ros2_lv/0/z/0/0/NN/%/%/arm1");
    let _impostor = other.be_there("@ros2_lv/0/z/0/1/NN/%/%/impostor").await.unwrap();
    let _there = observer.be_there(arm).await.unwrap();
    while ros.who_is_there(all).await.unwrap().is_empty() {
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(4 * PAUSE).await;
    assert_eq!(ros.who_is_there(all).await.unwrap(), [arm]);
    assert!(kit.who_is_there(all).await.unwrap().is_empty(), "a kit has no business with the ROS world");
}

/// Goal: a port in use is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let site = Site::new(120);
    let taken = std::net::UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let error = Router::open(site.router_config(address)).await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
