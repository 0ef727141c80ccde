//! P6: regions only take motion away.

use farhand_wire::{Action, ArmSetpoint};

use super::{
    Checker, NEAR_MM, PENETRATION_MM, ROUNDING, TICK_S, geometry::depth_mm, happened::Precondition,
    seen::Seen,
};

impl Checker {
    /// The kit says which regions it keeps out of. Where that came too late, a stop as fast as the arm's is what counts.
    pub fn regions_in_force(&mut self, now_us: u64, version: Option<u64>) {
        if version == self.in_force {
            return;
        }
        self.in_force = version;
        match version.and_then(|version| self.told.get(&version)) {
            Some(regions) => self.forbidden.clone_from(regions),
            None => self.broken("P6", now_us, format!("keeps out of regions {version:?}, which nobody told")),
        }
        for arm in 0..self.arms.len() {
            self.arms[arm].granted_mm = PENETRATION_MM.max(self.depth_of_a_stop_mm(&self.arms[arm]));
        }
        self.happened(Precondition::Regions);
    }

    fn depth_of_a_stop_mm(&self, arm: &Seen) -> f64 {
        let Some(last) = arm.last else { return 0.0 };
        let (mut joints, mut velocity) = (last.joints, arm.velocity);
        let mut deepest: f64 = 0.0;
        loop {
            deepest = deepest.max(self.depth_mm(&arm.tool_mm(&joints)));
            if velocity == [0.0; 6] {
                return deepest;
            }
            for joint in 0..6 {
                let left = velocity[joint].abs() - arm.limits.stop_deceleration_rad_m_s2_max[joint] * TICK_S;
                velocity[joint] = left.max(0.0).copysign(velocity[joint]);
                joints[joint] += velocity[joint] * TICK_S;
            }
        }
    }

    pub(super) fn depth_mm(&self, tool_mm: &[[f64; 3]; 2]) -> f64 {
        let depths = self.forbidden.iter().flat_map(|region| tool_mm.map(|point| depth_mm(region, point)));
        depths.fold(f64::NEG_INFINITY, f64::max)
    }

    pub(super) fn check_regions(
        &mut self,
        now_us: u64,
        arm: usize,
        setpoint: &ArmSetpoint,
        tool_mm: &[[f64; 3]; 2],
    ) {
        if self.forbidden.is_empty() || now_us < self.changing_until_us {
            return;
        }
        let depth_mm = self.depth_mm(tool_mm);
        if setpoint.action == Action::Withdraw {
            // Along its own shaft the tool comes out through anything, and where it stops it may stand.
            let granted_mm = &mut self.arms[arm].granted_mm;
            *granted_mm = granted_mm.max(depth_mm + PENETRATION_MM);
        }
        let follows = matches!(setpoint.action, Action::Move | Action::Home);
        let granted_mm = self.arms[arm].granted_mm;
        if follows && depth_mm > granted_mm + ROUNDING {
            let words = format!("{depth_mm:.6} mm inside a region, {granted_mm:.6} granted");
            self.broken("P6", now_us, words);
        }
        if follows && depth_mm > -NEAR_MM {
            self.happened(Precondition::AtRegion);
        }
        if depth_mm < 0.0 {
            self.arms[arm].granted_mm = PENETRATION_MM;
        }
    }
}
