//! A delivery in virtual time: the companion and the simulated aircraft, joined in memory.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod sky;

use farhand_flight::{FlightError, FlightLimits, FlightMode, Phase};
use farhand_mission::Mission;
use farhand_world::aircraft::{AircraftConfig, Failure, Mode, Truth};
use sky::{LinkFaults, Sky};

const SPEEDUP: f64 = 10.0;

fn fast() -> AircraftConfig {
    AircraftConfig { speedup: SPEEDUP, ..AircraftConfig::default() }
}

fn off_m(truth: &Truth, place: farhand_mission::Place) -> f64 {
    farhand_mission::Place::new(truth.lat_deg, truth.lon_deg).unwrap().distance_m(place)
}

/// Goal: on a clean link the kit stands released at the delivery point, by the aircraft's own truth,
/// and the flight is told in order from connecting to delivered.
#[test]
fn a_delivery_ends_released_on_the_delivery_point() {
    let mut sky = Sky::new(AircraftConfig::default(), FlightLimits::default(), LinkFaults::default());
    let mut highest_m: f64 = 0.0;
    let delivered = sky.run(|_, aircraft| highest_m = highest_m.max(aircraft.truth().altitude_m)).unwrap();
    let truth = sky.aircraft.truth();
    assert!(truth.released && !truth.dropped && truth.on_ground && !truth.armed, "{truth:?}");
    assert!(off_m(&truth, Mission::trial().delivery()) < 1.0 && delivered.off_m < 1.0);
    assert!((59.0..61.5).contains(&highest_m), "{highest_m}");
    eprintln!("flown in {} s, battery left {:.0} %", delivered.flight_ms / 1_000, truth.battery * 100.0);
    use Phase::*;
    let expected = [
        Connecting, Checking, Uploading, Arming, TakingOff, Cruising, Landing, Releasing, Disarming,
        Delivered,
    ];
    let phases: Vec<_> = sky.phases().into_iter().filter(|phase| *phase != Checking).collect();
    let expected: Vec<_> = expected.into_iter().filter(|phase| *phase != Checking).collect();
    assert_eq!(phases, expected);
    assert!(sky.events.is_sorted_by_key(|event| event.at_us));
}

/// Goal: in service, a flight is told of at least twice a second from its first moment to its last, by the companion's clock.
#[test]
fn in_service_a_flight_is_told_of_twice_a_second() {
    let mut sky = Sky::new(fast(), FlightLimits::in_service(), LinkFaults::default());
    sky.run(|_, _| {}).unwrap();
    let times_us: Vec<u64> = sky.events.iter().map(|event| event.at_us).collect();
    let longest_us = times_us.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest_us < Some(500_000), "{longest_us:?}");
    assert!(sky.events.iter().any(|event| event.in_air), "and says that it is in the air");
}

/// Goal: with one message in five lost and the rest late and out of order, it still delivers, on every seed.
#[test]
fn it_delivers_though_a_fifth_of_all_messages_is_lost() {
    for seed in 0..25 {
        let faults = LinkFaults { seed, drop_percent: 20, delay_ms_max: 150, cut_s: None };
        let mut sky = Sky::new(fast(), FlightLimits::default(), faults);
        let end = sky.run(|_, _| {});
        let truth = sky.aircraft.truth();
        assert!(end.is_ok() && truth.released && !truth.dropped && truth.on_ground, "seed {seed}: {end:?}");
        let lost = sky.lost as f64 / sky.sent as f64;
        assert!((0.15..0.25).contains(&lost), "seed {seed}: {lost}");
    }
}

/// Goal: on a link that carries nothing, on one that carries only one message in ten, and on one that is
/// cut at any moment, the companion ends by itself with a type that says why.
#[test]
fn every_wait_is_bounded() {
    let deaf = LinkFaults { drop_percent: 100, ..LinkFaults::default() };
    let end = Sky::new(fast(), FlightLimits::default(), deaf).run(|_, _| {});
    assert!(matches!(end, Err(FlightError::NoAircraft { waited_ms: 30_000.. })), "{end:?}");
    for seed in 0..10 {
        let faults = LinkFaults { seed, drop_percent: 90, delay_ms_max: 500, cut_s: None };
        let _ = Sky::new(fast(), FlightLimits::default(), faults).run(|_, _| {});
        let faults = LinkFaults { seed, cut_s: Some((seed as f64 * 2.0, 1e9)), ..LinkFaults::default() };
        let end = Sky::new(fast(), FlightLimits::default(), faults).run(|_, _| {});
        assert!(end.is_err(), "seed {seed}");
    }
}

/// Goal: an aircraft that turns back in its first moments is followed down, and the error says that it took over: the
/// companion does not wait for a mission mode that has come and gone between two heartbeats.
#[test]
fn an_aircraft_that_turns_back_at_once_is_followed_down() {
    let mut turned_back = 0;
    for seed in 0..40 {
        // The aircraft gives the link up after a second; the companion's heartbeats are a second apart, and late.
        let aircraft = AircraftConfig { speedup: 20.0, link_loss_s: 1, ..AircraftConfig::default() };
        let faults = LinkFaults { seed, drop_percent: 5, delay_ms_max: 100, cut_s: None };
        let mut sky = Sky::new(aircraft, FlightLimits::default(), faults);
        let end = sky.run(|_, _| {});
        let told = matches!(end, Err(FlightError::TookOver { .. } | FlightError::LandedElsewhere { .. }));
        turned_back += u32::from(told);
        assert!(end.is_ok() || told, "seed {seed}: {end:?}");
    }
    assert!(turned_back > 20, "{turned_back} of 40");
}

/// Goal: an aircraft whose checks do not pass is not armed, and the error says why in the aircraft's words.
#[test]
fn a_refused_arming_says_why() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    sky.aircraft.inject(Failure::PrearmCheck, true);
    let end = sky.run(|_, _| {});
    let Err(FlightError::ArmRejected { tries: 5, reason, .. }) = end else { unreachable!("{end:?}") };
    assert_eq!(reason, "Preflight Fail: Compass needs calibration");
    assert!(!sky.aircraft.truth().armed && sky.phases().last() == Some(&Phase::Failed));
}

/// Goal: an aircraft that becomes ready while the companion tries is flown.
#[test]
fn a_check_that_passes_late_is_waited_for() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    sky.aircraft.inject(Failure::PrearmCheck, true);
    let end = sky.run(|now_s, aircraft| aircraft.inject(Failure::PrearmCheck, now_s < 3.5));
    assert!(end.is_ok(), "{end:?}");
}

/// Goal: without a position no flight begins, and the error names what is missing.
#[test]
fn an_aircraft_without_a_position_is_not_flown() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    sky.aircraft.inject(Failure::Gps, true);
    let end = sky.run(|_, _| {});
    let Err(FlightError::NotReady { missing, .. }) = end else { unreachable!("{end:?}") };
    assert_eq!(missing, "satellite position");
}

/// Goal: when the link dies for good in flight, the companion says so, and the aircraft returns and lands by itself.
#[test]
fn a_link_lost_for_good_is_said_and_the_aircraft_returns_by_itself() {
    let faults = LinkFaults { cut_s: Some((60.0, 1e9)), ..LinkFaults::default() };
    let mut sky = Sky::new(AircraftConfig::default(), FlightLimits::default(), faults);
    let end = sky.run(|_, _| {});
    let Err(FlightError::LinkLost { phase, silent_ms, last_seen }) = end else { unreachable!("{end:?}") };
    assert!(matches!(phase, Phase::TakingOff | Phase::Cruising) && silent_ms > 60_000 && last_seen.is_some());
    assert!(sky.phases().contains(&Phase::LinkLost));
    let truth = sky.let_fly(600.0);
    assert!(truth.on_ground && !truth.armed && !truth.released, "{truth:?}");
    let off_home_m = off_m(&truth, Mission::trial().home().place);
    assert!(off_home_m < 1.0, "{off_home_m} m from home");
}

/// Goal: a link that comes back finds the aircraft returning; the companion follows it home and says so.
#[test]
fn a_link_that_comes_back_finds_the_aircraft_returning() {
    let faults = LinkFaults { cut_s: Some((10.0, 22.0)), ..LinkFaults::default() };
    let mut sky = Sky::new(AircraftConfig { speedup: 4.0, ..fast() }, FlightLimits::default(), faults);
    let end = sky.run(|_, _| {});
    let Err(FlightError::TookOver { mode: FlightMode::Return, down_at: Some(place), .. }) = end else {
        unreachable!("{end:?}")
    };
    assert!(place.distance_m(Mission::trial().home().place) < 1.0);
    assert!(
        sky.phases().ends_with(&[Phase::LinkLost, Phase::Diverting, Phase::Failed]),
        "{:?}",
        sky.phases()
    );
    assert!(!sky.aircraft.truth().released);
}

/// Goal: a short gap in the link changes nothing.
#[test]
fn a_short_gap_changes_nothing() {
    let faults = LinkFaults { cut_s: Some((10.0, 16.0)), ..LinkFaults::default() };
    let mut sky = Sky::new(AircraftConfig { speedup: 4.0, ..fast() }, FlightLimits::default(), faults);
    let end = sky.run(|_, _| {});
    assert!(end.is_ok() && sky.phases().contains(&Phase::LinkLost), "{end:?}");
}

/// Goal: a battery that fails in flight brings the aircraft down where it is; the kit stays aboard.
#[test]
fn an_empty_battery_lands_the_aircraft_with_the_kit_aboard() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    let mut broken = false;
    let end = sky.run(|now_s, aircraft| {
        if now_s > 12.0 && !std::mem::replace(&mut broken, true) {
            aircraft.inject(Failure::Battery, true);
        }
    });
    let truth = sky.aircraft.truth();
    assert!(matches!(end, Err(FlightError::TookOver { .. } | FlightError::CalledOff { .. })), "{end:?}");
    assert!(truth.on_ground && !truth.released && truth.mode != Mode::Mission, "{truth:?}");
}

/// Goal: without a position the aircraft comes down at once, and nothing is released.
#[test]
fn a_position_lost_in_flight_comes_down_unreleased() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    let end = sky.run(|now_s, aircraft| aircraft.inject(Failure::Gps, now_s > 12.0));
    assert!(matches!(end, Err(FlightError::TookOver { mode: FlightMode::Land, .. })), "{end:?}");
    assert!(!sky.aircraft.truth().released && sky.aircraft.truth().on_ground);
}

/// Goal: a jammed gripper is an error of its own, not a delivery.
#[test]
fn a_jammed_gripper_is_not_a_delivery() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    sky.aircraft.inject(Failure::Gripper, true);
    let end = sky.run(|_, _| {});
    assert!(matches!(end, Err(FlightError::Refused { what: "open the gripper", .. })), "{end:?}");
    assert!(!sky.aircraft.truth().released);
}

/// Goal: an aircraft that stands somewhere else than the plan's home is not flown.
#[test]
fn an_aircraft_far_from_the_plans_home_is_not_flown() {
    let config = AircraftConfig { home_lat_deg: 47.4, ..fast() };
    let end = Sky::new(config, FlightLimits::default(), LinkFaults::default()).run(|_, _| {});
    assert!(
        matches!(end, Err(FlightError::FarFromHome { seen_m, max_m: 50.0 }) if seen_m > 200.0),
        "{end:?}"
    );
}

/// Goal: a flight that takes too long is sent home before it is given up.
#[test]
fn a_flight_that_takes_too_long_is_sent_home() {
    let limits = FlightLimits { flight_factor_max: 0.0, flight_extra_ms: 6_000, ..FlightLimits::default() };
    let mut sky = Sky::new(fast(), limits, LinkFaults::default());
    let end = sky.run(|_, _| {});
    assert!(matches!(end, Err(FlightError::TookTooLong { max_ms: 6_000, .. })), "{end:?}");
    let truth = sky.aircraft.truth();
    assert!(truth.on_ground && off_m(&truth, Mission::trial().home().place) < 1.0, "{truth:?}");
}

/// Goal: whoever gives the aircraft another place to land, the kit is not released there.
#[test]
fn a_landing_elsewhere_releases_nothing() {
    let mut sky = Sky::new(fast(), FlightLimits::default(), LinkFaults::default());
    let mut replaced = false;
    let end = sky.run(|now_s, aircraft| {
        if now_s > 10.0 && !std::mem::replace(&mut replaced, true) {
            sky::replace_mission(aircraft, (now_s * 1e6) as u64);
        }
    });
    assert!(
        matches!(end, Err(FlightError::LandedElsewhere { off_m, max_m: 5.0 }) if off_m > 100.0),
        "{end:?}"
    );
    assert!(sky.aircraft.truth().on_ground && !sky.aircraft.truth().released);
}
