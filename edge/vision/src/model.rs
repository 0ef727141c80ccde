//! A trained net in one file: safetensors with what makes the net in its header, and a digest that the ledger records.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::graph::{Architecture, Graph, GraphError, NodeId};

/// Bytes of a model's file.
pub const MODEL_BYTES_MAX: usize = 4 << 20;
/// The header's entry that says what the net is.
const HEADER: &str = "farhand.segmentation";
const FORMAT: u32 = 1;
/// Any size has the same kernels.
const SOME_SIDE: usize = 32;

/// What the file's header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    format: u32,
    pub architecture: Architecture,
    /// In the order of the scores.
    pub classes: Vec<String>,
    /// Sides of the picture that it was trained on.
    pub height: usize,
    pub width: usize,
}

/// A net with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    card: Card,
    weights: BTreeMap<NodeId, Weights>,
    digest: [u8; 32],
}

/// Of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Output channels, input channels that each looks at, rows, columns.
    pub shape: [usize; 4],
    pub kernel: Vec<f32>,
    /// One an output channel.
    pub bias: Vec<f32>,
}

/// Why a file is no model.
#[derive(Debug, Error)]
pub enum ModelError {
    #[error("a model of {bytes} bytes; at most {MODEL_BYTES_MAX} are read")]
    TooLong { bytes: usize },
    #[error("this is no safetensors file: {0}")]
    Malformed(String),
    #[error("its header does not say what net it is ({HEADER}): {0}")]
    Header(String),
    #[error("its format is {seen}, this program reads {FORMAT}")]
    Format { seen: u32 },
    #[error("it names {names} classes and scores {scores}")]
    Classes { names: usize, scores: usize },
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the tensor {name} is missing")]
    Missing { name: String },
    #[error("the tensor {name} has the shape {seen:?} of {dtype}, expected {expected:?} of F32")]
    Shape { name: String, seen: Vec<usize>, dtype: String, expected: Vec<usize> },
    #[error("the tensor {name} belongs to no layer")]
    Surplus { name: String },
    #[error("the tensor {name} holds a value that is no number")]
    NotFinite { name: String },
    #[error("the two are of different nets")]
    Other,
    #[error("its SHA-256 is {seen}, expected {expected}")]
    Digest { seen: String, expected: String },
}

impl Card {
    #[must_use]
    pub fn new(architecture: Architecture, classes: Vec<String>, height: usize, width: usize) -> Self {
        Self { format: FORMAT, architecture, classes, height, width }
    }

    fn check(&self) -> Result<(), ModelError> {
        if self.format != FORMAT {
            return Err(ModelError::Format { seen: self.format });
        }
        let (names, scores) = (self.classes.len(), self.architecture.classes);
        if names != scores {
            return Err(ModelError::Classes { names, scores });
        }
        self.architecture.graph(self.height, self.width)?;
        Ok(())
    }
}

impl Model {
    /// Puts trained weights, by their nodes, into a model.
    ///
    /// # Errors
    /// [`ModelError`] if they are not those of the card's net.
    pub fn new(card: Card, weights: BTreeMap<NodeId, Weights>) -> Result<Self, ModelError> {
        let mut model = Self { card, weights, digest: [0; 32] };
        model.card.check()?;
        let bytes = model.to_bytes();
        model.digest = Sha256::digest(&bytes).into();
        Self::read(&bytes)
    }

    /// A net that has not learnt yet: weights at random, so that what goes through keeps its size (He et al. 2015).
    ///
    /// # Errors
    /// [`ModelError`] if the card describes no net.
    pub fn untrained(card: Card, seed: u64) -> Result<Self, ModelError> {
        let graph = card.architecture.graph(SOME_SIDE, SOME_SIDE)?;
        let mut random = fastrand::Rng::with_seed(seed);
        let mut weights = BTreeMap::new();
        for (id, shape) in graph.kernels() {
            let [outputs, inputs, rows, columns] = shape;
            let reach = (6.0 / (inputs * rows * columns) as f32).sqrt();
            let kernel =
                (0..outputs * inputs * rows * columns).map(|_| (random.f32() * 2.0 - 1.0) * reach).collect();
            weights.insert(id, Weights { shape, kernel, bias: vec![0.0; outputs] });
        }
        Self::new(card, weights)
    }

    /// The model in a file's bytes.
    ///
    /// # Errors
    /// [`ModelError`], with what was expected and what is there.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(ModelError::TooLong { bytes: bytes.len() });
        }
        let malformed = |error: safetensors::SafeTensorError| ModelError::Malformed(error.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(HEADER));
        let entry = entry.ok_or_else(|| ModelError::Header("it has no such entry".to_owned()))?;
        let card: Card =
            serde_json::from_str(entry).map_err(|error| ModelError::Header(error.to_string()))?;
        card.check()?;
        let tensors = SafeTensors::deserialize(bytes).map_err(malformed)?;
        let weights = read_weights(&card.architecture.graph(SOME_SIDE, SOME_SIDE)?, &tensors)?;
        Ok(Self { card, weights, digest: Sha256::digest(bytes).into() })
    }

    /// Half way between two models of one net. Where the second went on from the first, what lies between knows what both do, and is
    /// better on pictures unlike those that the second learnt from (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
    ///
    /// # Errors
    /// [`ModelError::Other`] for models of different nets.
    pub fn mean(&self, other: &Self) -> Result<Self, ModelError> {
        if self.card != other.card {
            return Err(ModelError::Other);
        }
        let middle = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a.midpoint(*b)).collect();
        let pairs = self.weights.iter().zip(other.weights.values());
        let weights = pairs.map(|((id, one), other)| {
            let (kernel, bias) = (middle(&one.kernel, &other.kernel), middle(&one.bias, &other.bias));
            (*id, Weights { shape: one.shape, kernel, bias })
        });
        Self::new(self.card.clone(), weights.collect())
    }

    /// As [`Model::read`], of the one file that has this SHA-256.
    ///
    /// # Errors
    /// [`ModelError::Digest`] for any other.
    pub fn read_known(bytes: &[u8], sha256: &[u8; 32]) -> Result<Self, ModelError> {
        let model = Self::read(bytes)?;
        if model.digest == *sha256 {
            return Ok(model);
        }
        Err(ModelError::Digest { seen: hex::encode(model.digest), expected: hex::encode(sha256) })
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut raw: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (id, weights) in &self.weights {
            let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
            raw.push((kernel_name(*id), weights.shape.to_vec(), bytes(&weights.kernel)));
            raw.push((bias_name(*id), vec![weights.bias.len()], bytes(&weights.bias)));
        }
        let views = raw.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name.as_str(), view.expect("as many values as the shape says: weights are checked or trained"))
        });
        let card = serde_json::to_string(&self.card).expect("strings and numbers are always JSON");
        let metadata = [(HEADER.to_owned(), card)].into();
        serialize(views, Some(metadata)).expect("names are unique and sizes small")
    }

    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Of a node that has some.
    #[must_use]
    pub fn weights(&self, id: NodeId) -> Option<&Weights> {
        self.weights.get(&id)
    }

    /// The net for pictures of this size.
    ///
    /// # Errors
    /// [`GraphError`] for sizes that are none.
    pub fn graph(&self, height: usize, width: usize) -> Result<Graph, GraphError> {
        self.card.architecture.graph(height, width)
    }
}

fn read_weights(graph: &Graph, tensors: &SafeTensors<'_>) -> Result<BTreeMap<NodeId, Weights>, ModelError> {
    let mut weights = BTreeMap::new();
    for (id, shape) in graph.kernels() {
        let kernel = read_tensor(tensors, kernel_name(id), &shape)?;
        let bias = read_tensor(tensors, bias_name(id), &[shape[0]])?;
        weights.insert(id, Weights { shape, kernel, bias });
    }
    let known = |name: &str| weights.keys().any(|id| kernel_name(*id) == name || bias_name(*id) == name);
    match tensors.names().into_iter().find(|name| !known(name)) {
        Some(name) => Err(ModelError::Surplus { name: name.to_owned() }),
        None => Ok(weights),
    }
}

fn read_tensor(tensors: &SafeTensors<'_>, name: String, expected: &[usize]) -> Result<Vec<f32>, ModelError> {
    let Ok(tensor) = tensors.tensor(&name) else { return Err(ModelError::Missing { name }) };
    if tensor.shape() != expected || tensor.dtype() != Dtype::F32 {
        let (seen, dtype) = (tensor.shape().to_vec(), format!("{:?}", tensor.dtype()));
        return Err(ModelError::Shape { name, seen, dtype, expected: expected.to_vec() });
    }
    let (words, _) = tensor.data().as_chunks::<4>();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(ModelError::NotFinite { name })
    }
}

fn kernel_name(id: NodeId) -> String {
    format!("{:02}.weight", id.0)
}

fn bias_name(id: NodeId) -> String {
    format!("{:02}.bias", id.0)
}
