//! The battery, drained by the power it takes to hover.

use super::body::GRAVITY_M_S2;

/// Sea-level air density of the standard atmosphere, kg/m³.
const AIR_KG_M3: f64 = 1.225;
/// Cells in series and their full and empty voltages (lithium polymer).
const CELLS: f64 = 14.0;
const CELL_V_FULL: f64 = 4.2;
const CELL_V_EMPTY: f64 = 3.5;
/// Motors at idle and electronics, watts.
const IDLE_W: f64 = 120.0;

/// What the battery and the rotors are. Chosen here, for a heavy multicopter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Energy {
    pub capacity_wh: f64,
    /// All rotors together.
    pub rotor_area_m2: f64,
    /// Ideal hover power over electrical power.
    pub efficiency: f64,
}

impl Default for Energy {
    fn default() -> Self {
        Self { capacity_wh: 2_000.0, rotor_area_m2: 3.8, efficiency: 0.6 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Battery {
    energy: Energy,
    used_wh: f64,
    power_w: f64,
}

impl Battery {
    pub(super) fn new(energy: Energy) -> Self {
        Self { energy, used_wh: 0.0, power_w: 0.0 }
    }

    pub(super) fn drain(&mut self, seconds: f64, mass_kg: f64, flying: bool) {
        self.power_w = IDLE_W + if flying { self.hover_w(mass_kg) } else { 0.0 };
        self.used_wh = (self.used_wh + self.power_w * seconds / 3_600.0).min(self.energy.capacity_wh);
    }

    /// 1 full, 0 empty.
    pub(super) fn remaining(&self) -> f64 {
        1.0 - self.used_wh / self.energy.capacity_wh
    }

    pub(super) fn used_wh(&self) -> f64 {
        self.used_wh
    }

    pub(super) fn set_remaining(&mut self, share: f64) {
        self.used_wh = self.energy.capacity_wh * (1.0 - share.clamp(0.0, 1.0));
    }

    pub(super) fn volts(&self) -> f64 {
        CELLS * (CELL_V_EMPTY + (CELL_V_FULL - CELL_V_EMPTY) * self.remaining())
    }

    pub(super) fn amps(&self) -> f64 {
        self.power_w / self.volts()
    }

    /// Momentum theory: the power that holds a weight up by pushing air through a disc.
    fn hover_w(&self, mass_kg: f64) -> f64 {
        let thrust_n = mass_kg * GRAVITY_M_S2;
        let ideal_w = thrust_n.powf(1.5) / (2.0 * AIR_KG_M3 * self.energy.rotor_area_m2).sqrt();
        ideal_w / self.energy.efficiency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a full battery holds 43 kg up for about 25 minutes, and less for more weight.
    #[test]
    fn endurance_falls_with_weight() {
        let minutes = |mass_kg: f64| {
            let mut battery = Battery::new(Energy::default());
            let full = (0..7_200).find(|_| {
                battery.drain(1.0, mass_kg, true);
                battery.remaining() <= 0.0
            });
            f64::from(full.unwrap()) / 60.0
        };
        assert!((22.0..28.0).contains(&minutes(43.0)), "{}", minutes(43.0));
        assert!(minutes(25.0) > 1.8 * minutes(43.0));
    }
}
