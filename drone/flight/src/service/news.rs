//! What the aircraft says of a flight, on its event topic: one JSON object an event, its fields all there, `null` where
//! nothing is known.
//!
//! `order`, `kit`: hexadecimal. `phase`: a [`Phase`](crate::Phase)'s name, or `ordered`, `refused`. `lat_deg`, `lon_deg`
//! (WGS84), `alt_m` above the place of take-off, `progress` 0 to 1 by distance, `battery_percent`, `eta_s`, `detail`.
//! `custody`: `{"step": "airborne", "height": 7, "proof": "base64"}`, one of the flight's steps that are on the ledger, in
//! turn. `error`: why an order was refused or a flight failed, or what is wrong with the ledger just now.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use farhand_ledger::{CustodyStep, Hash};
use farhand_wire::PublicKey;
use serde_json::{Value, json};

use crate::FlightEvent;

/// A custody step that this aircraft signed and the ledger has proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flown {
    pub step: CustodyStep,
    pub height: u64,
    /// The ledger's proof, in CBOR.
    pub proof: Vec<u8>,
}

/// One event, whole: whoever hears one needs none before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// Hash of the order's *loaded* transaction, where the order could be read.
    pub order: Option<Hash>,
    pub kit: Option<PublicKey>,
    /// A [`Phase`](crate::Phase)'s name, or `ordered`, `refused`.
    pub phase: &'static str,
    pub flight: Option<FlightEvent>,
    pub custody: Option<Flown>,
    pub error: Option<String>,
}

impl News {
    /// As it travels.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let flight = self.flight.as_ref();
        let place = flight.and_then(|flight| flight.position);
        let custody = self.custody.as_ref().map(|flown| {
            json!({
                "step": step_name(flown.step),
                "height": flown.height,
                "proof": STANDARD.encode(&flown.proof),
            })
        });
        json!({
            "order": self.order.map(|order| order.to_string()),
            "kit": self.kit.map(|kit| kit.to_string()),
            "phase": self.phase,
            "lat_deg": place.map(|place| place.lat_deg()),
            "lon_deg": place.map(|place| place.lon_deg()),
            "alt_m": flight.and_then(|flight| flight.altitude_m),
            "progress": flight.map(|flight| flight.done),
            "battery_percent": flight.and_then(|flight| flight.battery_percent),
            "eta_s": flight.and_then(|flight| flight.eta_s),
            "detail": flight.map(|flight| flight.detail.as_str()),
            "custody": custody,
            "error": self.error,
        })
    }
}

/// A custody step in a word.
pub(crate) fn step_name(step: CustodyStep) -> &'static str {
    match step {
        CustodyStep::Sealed => "sealed",
        CustodyStep::Loaded => "loaded",
        CustodyStep::Airborne => "airborne",
        CustodyStep::Landed => "landed",
        CustodyStep::Unsealed => "unsealed",
        CustodyStep::SelfTested => "self-tested",
        CustodyStep::Paired { .. } => "paired",
    }
}
