//! A run as a file: what learns, what is remembered of its gradients, and how far it is.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{
    Layer, Schedule, TrainError, Trainer,
    adam::{Memory, Step},
};
use crate::model::Card;

const HEADER: &str = "farhand.training";

/// Values that learn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values {
    values: Vec<f32>,
    memory: Memory,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    card: Card,
    schedule: Schedule,
    step: u64,
}

impl Values {
    pub(super) fn new(values: Vec<f32>) -> Self {
        Self { memory: Memory::new(values.len()), values }
    }

    pub(super) fn now(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn update(&mut self, step: Step, gradient: &[f32]) {
        self.memory.update(step, &mut self.values, gradient);
    }

    fn parts(&self) -> [&[f32]; 3] {
        let [mean, square] = self.memory.parts();
        [&self.values, mean, square]
    }

    fn parts_mut(&mut self) -> [&mut Vec<f32>; 3] {
        let [mean, square] = self.memory.parts_mut();
        [&mut self.values, mean, square]
    }
}

impl Layer {
    fn values_mut(&mut self) -> [(&'static str, &mut Values); 3] {
        [("kernel", &mut self.kernel), ("gain", &mut self.gain), ("bias", &mut self.bias)]
    }

    fn values(&self) -> [(&'static str, &Values); 3] {
        [("kernel", &self.kernel), ("gain", &self.gain), ("bias", &self.bias)]
    }
}

impl Trainer {
    /// The run, to go on with later.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut raw: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (id, layer) in &self.layers {
            for (what, values) in layer.values() {
                for (part, values) in values.parts().into_iter().enumerate() {
                    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    raw.insert(format!("{:02}.{what}.{part}", id.0), bytes);
                }
            }
        }
        let views = raw.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            (name.as_str(), view.expect("four bytes a value"))
        });
        let header = Header { card: self.card.clone(), schedule: self.schedule.clone(), step: self.step };
        let header = serde_json::to_string(&header).expect("strings and numbers are always JSON");
        serialize(views, Some([(HEADER.to_owned(), header)].into())).expect("names are unique")
    }

    /// Goes on with a run.
    ///
    /// # Errors
    /// [`TrainError::State`] if these bytes are none, or another net's.
    pub fn resume(bytes: &[u8]) -> Result<Self, TrainError> {
        let bad = |why: String| TrainError::State(why);
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| bad(error.to_string()))?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(HEADER));
        let entry = entry.ok_or_else(|| bad(format!("it has no {HEADER}")))?;
        let header: Header = serde_json::from_str(entry).map_err(|error| bad(error.to_string()))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| bad(error.to_string()))?;
        let mut trainer = Self::new(header.card, header.schedule, 0)?;
        trainer.step = header.step;
        for (id, layer) in &mut trainer.layers {
            for (what, values) in layer.values_mut() {
                for (part, values) in values.parts_mut().into_iter().enumerate() {
                    *values = read(&tensors, &format!("{:02}.{what}.{part}", id.0), values.len())?;
                }
            }
        }
        Ok(trainer)
    }
}

fn read(tensors: &SafeTensors<'_>, name: &str, expected: usize) -> Result<Vec<f32>, TrainError> {
    let tensor = tensors.tensor(name).map_err(|_| TrainError::State(format!("{name} is missing")))?;
    let (words, _) = tensor.data().as_chunks::<4>();
    if tensor.dtype() != Dtype::F32 || words.len() != expected {
        let seen = words.len();
        return Err(TrainError::State(format!("{name} has {seen} values, expected {expected}")));
    }
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}
