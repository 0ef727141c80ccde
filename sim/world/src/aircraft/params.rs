//! The few parameters ground stations ask a PX4 for.

use mavlink::dialects::common::{MavMessage, MavParamType, PARAM_VALUE_DATA};

/// Their names, types and meanings are PX4's (parameter reference).
#[derive(Debug, Clone)]
pub(super) struct Params {
    table: Vec<Param>,
}

#[derive(Debug, Clone, Copy)]
struct Param {
    name: &'static str,
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Real(f32),
    Int(i32),
}

pub(super) const TAKEOFF_ALTITUDE_M: &str = "MIS_TAKEOFF_ALT";
pub(super) const RETURN_ALTITUDE_M: &str = "RTL_RETURN_ALT";
pub(super) const LINK_LOSS_S: &str = "COM_DL_LOSS_T";

impl Params {
    pub(super) fn new(link_loss_s: u16) -> Self {
        let real = |name, value| Param { name, value: Value::Real(value) };
        let int = |name, value| Param { name, value: Value::Int(value) };
        let table = vec![
            int(LINK_LOSS_S, i32::from(link_loss_s)),
            int("MAV_SYS_ID", i32::from(super::SYSTEM_ID)),
            real(TAKEOFF_ALTITUDE_M, 5.0),
            real("MPC_XY_CRUISE", 15.0),
            int("NAV_DLL_ACT", 2), // link loss: return
            real(RETURN_ALTITUDE_M, 30.0),
            int("SYS_AUTOSTART", 4001), // generic quadcopter
            int("SYS_FAILURE_EN", 1),   // failure injection on
            int("SYS_HITL", 0),
        ];
        Self { table }
    }

    /// A parameter as a number; unknown names are 0.
    pub(super) fn number(&self, name: &str) -> f64 {
        match self.find(name).map(|index| self.table[index].value) {
            Some(Value::Real(value)) => f64::from(value),
            Some(Value::Int(value)) => f64::from(value),
            None => 0.0,
        }
    }

    /// All parameters, as PARAM_REQUEST_LIST asks.
    pub(super) fn all(&self) -> Vec<MavMessage> {
        (0..self.table.len()).filter_map(|index| self.message(index)).collect()
    }

    /// One parameter, by name or, if `index` is not negative, by index.
    pub(super) fn one(&self, name: &str, index: i16) -> Option<MavMessage> {
        let index = usize::try_from(index).ok().or_else(|| self.find(name))?;
        self.message(index)
    }

    /// Sets a value that has the parameter's own type, and answers with what now holds.
    pub(super) fn set(&mut self, name: &str, wire: f32, kind: MavParamType) -> Option<MavMessage> {
        let index = self.find(name)?;
        let param = &mut self.table[index];
        match (&mut param.value, kind) {
            (Value::Real(value), MavParamType::MAV_PARAM_TYPE_REAL32) if wire.is_finite() => *value = wire,
            (Value::Int(value), MavParamType::MAV_PARAM_TYPE_INT32) => *value = wire.to_bits() as i32,
            _ => {}
        }
        self.message(index)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.table.iter().position(|param| param.name == name)
    }

    fn message(&self, index: usize) -> Option<MavMessage> {
        let param = self.table.get(index)?;
        // PX4 sends an integer's bytes in the float field (capability PARAM_ENCODE_BYTEWISE).
        let (param_value, param_type) = match param.value {
            Value::Real(value) => (value, MavParamType::MAV_PARAM_TYPE_REAL32),
            Value::Int(value) => (f32::from_bits(value as u32), MavParamType::MAV_PARAM_TYPE_INT32),
        };
        Some(MavMessage::PARAM_VALUE(PARAM_VALUE_DATA {
            param_value,
            param_count: self.table.len() as u16, // nine
            param_index: index as u16,
            param_id: param.name.into(),
            param_type,
        }))
    }
}
