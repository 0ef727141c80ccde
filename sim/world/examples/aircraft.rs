//! The simulated aircraft alone, for any ground station to fly.
//!
//! `cargo run -p farhand-world --example aircraft -- 127.0.0.1:14550 5` calls the ground station
//! at that address, five times as fast as real time, and says what happens until it is stopped.

#![allow(clippy::print_stdout)] // an example speaks

use std::net::SocketAddr;
use std::time::Duration;

use farhand_world::aircraft::{AircraftConfig, UdpConfig, fly_over_udp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let remote: SocketAddr = arguments.next().unwrap_or("127.0.0.1:14550".into()).parse()?;
    let speedup = arguments.next().unwrap_or("1".into()).parse()?;
    let config = AircraftConfig { speedup, ..AircraftConfig::default() };
    let aircraft = fly_over_udp(config, &UdpConfig { remotes: vec![remote], signing_key: None })?;
    println!("the aircraft flies at {} and calls {remote}", aircraft.address());
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = aircraft.truth();
        println!(
            "{:?} {} {:.7}, {:.7} {:.1} m up, battery {:.0} %{}",
            now.mode,
            if now.armed { "armed" } else { "disarmed" },
            now.lat_deg,
            now.lon_deg,
            now.altitude_m,
            now.battery * 100.0,
            if now.released { ", released" } else { "" }
        );
    }
}
