//! Learns a net's weights from pictures with labels, step by step; a run that was interrupted goes on where it was.
//!
//! While it learns, the kernels of the products are standardised (Qiao et al. 2019): no layer's output runs away, without looking at
//! any picture's values. [`Trainer::model`] folds that into plain weights, which is all that the executors know.

mod adam;
mod loss;
mod state;

use std::collections::BTreeMap;

use candle_core::{D, Device, Tensor, Var, backprop::GradStore};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::{adam::Step, loss::Loss, state::Values};
use crate::{
    exec::{Parameters, forward},
    graph::{Graph, NodeId, Op},
    model::{Card, Model, ModelError, Weights},
};

/// All gradients together are cut to this length.
const GRADIENT_MAX: f32 = 1.0;
/// Of a kernel that is standardised, before its gain.
const SPREAD_MIN: f64 = 1e-4;

/// How to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub steps: u64,
    /// Greatest learning rate: reached after a twentieth of the steps, falling to nothing along a cosine.
    pub rate: f32,
    /// Share of the rate by which kernels shrink.
    pub decay: f32,
    /// How much a pixel of each class counts.
    pub class_weights: Vec<f32>,
}

/// Pictures with labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Three channels a picture, as [`Model`] takes them.
    pub pictures: Vec<f32>,
    /// A byte for every pixel of the scores; one that is no class does not count.
    pub labels: Vec<u8>,
}

/// Why learning can't go on.
#[derive(Debug, Error)]
pub enum TrainError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    #[error("a batch of {pictures} values with {labels} labels; a picture has {picture}, its labels {label}")]
    Batch { pictures: usize, labels: usize, picture: usize, label: usize },
    #[error("{seen} classes have weights, the net has {expected}")]
    Classes { seen: usize, expected: usize },
    #[error("the loss became {loss} in step {step}: try a smaller rate")]
    Diverged { loss: f32, step: u64 },
    #[error("the state of a run can't be read: {0}")]
    State(String),
}

/// A net that learns.
#[derive(Debug)]
pub struct Trainer {
    card: Card,
    graph: Graph,
    schedule: Schedule,
    layers: BTreeMap<NodeId, Layer>,
    step: u64,
}

/// What of a node learns.
#[derive(Debug, PartialEq)]
struct Layer {
    shape: [usize; 4],
    standardised: bool,
    kernel: Values,
    /// One an output channel, of a standardised kernel.
    gain: Values,
    bias: Values,
}

impl Trainer {
    /// Begins with weights at random.
    ///
    /// # Errors
    /// [`TrainError`] if card and schedule do not fit.
    pub fn new(card: Card, schedule: Schedule, seed: u64) -> Result<Self, TrainError> {
        Self::from_model(&Model::untrained(card, seed)?, schedule)
    }

    /// Begins with what a model knows already.
    ///
    /// # Errors
    /// [`TrainError`] if model and schedule do not fit.
    pub fn from_model(model: &Model, schedule: Schedule) -> Result<Self, TrainError> {
        let card = model.card().clone();
        let (seen, expected) = (schedule.class_weights.len(), card.architecture.classes);
        if seen != expected {
            return Err(TrainError::Classes { seen, expected });
        }
        let graph = model.graph(card.height, card.width).map_err(ModelError::from)?;
        let layers = graph
            .kernels()
            .filter_map(|(id, _)| {
                let standardised = matches!(graph.node(id).op, Op::Conv { relu: true, .. });
                Some((id, Layer::of(model.weights(id)?, standardised)))
            })
            .collect();
        Ok(Self { card, graph, schedule, layers, step: 0 })
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.step
    }

    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Learns from a batch; the loss before that.
    ///
    /// # Errors
    /// [`TrainError::Batch`] for one that does not fit, [`TrainError::Diverged`] if the loss is no number.
    pub fn learn(&mut self, batch: &Batch) -> Result<f32, TrainError> {
        let pictures = self.check(batch)?;
        let input = self.graph.input();
        let shape = (pictures, input.channels, input.height, input.width);
        let pictures = Tensor::from_slice(&batch.pictures, shape, &Device::Cpu)?;
        let variables = self.variables()?;
        let scores = forward(&self.graph, &self.parameters(&variables)?, &pictures)?;
        let (loss, gradient) = self.loss(&scores.flatten_all()?.to_vec1()?, &batch.labels);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { loss, step: self.step });
        }
        // Its gradient by the scores is the loss's own.
        let gradient = Tensor::from_vec(gradient, scores.shape(), &Device::Cpu)?;
        let gradients = (scores * gradient)?.sum_all()?.backward()?;
        self.update(&variables, &gradients)?;
        Ok(loss)
    }

    /// The net with the weights of now.
    ///
    /// # Errors
    /// [`TrainError::Model`] if a weight is no number.
    pub fn model(&self) -> Result<Model, TrainError> {
        let parameters = self.parameters(&self.variables()?)?;
        let mut weights = BTreeMap::new();
        for (id, layer) in &self.layers {
            if let Some((kernel, bias)) = &parameters[id.0] {
                let kernel = kernel.flatten_all()?.to_vec1()?;
                weights.insert(*id, Weights { shape: layer.shape, kernel, bias: bias.to_vec1()? });
            }
        }
        Ok(Model::new(self.card.clone(), weights)?)
    }

    fn check(&self, batch: &Batch) -> Result<usize, TrainError> {
        let (picture, label) = (self.graph.input().len(), self.graph.output().plane());
        let (pictures, labels) = (batch.pictures.len(), batch.labels.len());
        let count = pictures / picture;
        if count > 0 && pictures == count * picture && labels == count * label {
            Ok(count)
        } else {
            Err(TrainError::Batch { pictures, labels, picture, label })
        }
    }

    fn loss(&self, scores: &[f32], labels: &[u8]) -> (f32, Vec<f32>) {
        let plane = self.graph.output().plane();
        Loss { weights: &self.schedule.class_weights, plane }.of(scores, labels)
    }

    fn variables(&self) -> candle_core::Result<BTreeMap<NodeId, Variables>> {
        self.layers.iter().map(|(id, layer)| Ok((*id, Variables::of(layer)?))).collect()
    }

    fn parameters(&self, variables: &BTreeMap<NodeId, Variables>) -> candle_core::Result<Parameters> {
        let mut parameters: Parameters = vec![None; self.graph.nodes().len()];
        for (id, variables) in variables {
            parameters[id.0] =
                Some((variables.kernel(&self.layers[id])?, variables.bias.as_tensor().clone()));
        }
        Ok(parameters)
    }

    fn update(
        &mut self,
        variables: &BTreeMap<NodeId, Variables>,
        gradients: &GradStore,
    ) -> Result<(), TrainError> {
        let gradient = |variable: &Var| -> candle_core::Result<Vec<f32>> {
            let of = gradients.get(variable).map(|of| of.flatten_all()?.to_vec1());
            of.unwrap_or_else(|| Ok(vec![0.0; variable.elem_count()]))
        };
        let mut all = Vec::new();
        for (id, variables) in variables {
            let gain = variables.gain.as_ref().map(gradient).transpose()?.unwrap_or_default();
            all.push((*id, [gradient(&variables.kernel)?, gain, gradient(&variables.bias)?]));
        }
        let squares = all.iter().flat_map(|(_, of)| of).flatten().map(|value| f64::from(*value).powi(2));
        let length = squares.sum::<f64>().sqrt() as f32;
        let scale = if length > GRADIENT_MAX { GRADIENT_MAX / length } else { 1.0 };
        let (rate, decay) = (self.rate(), self.schedule.decay);
        self.step += 1;
        let step = Step { number: self.step, rate, decay: 0.0, scale };
        for (id, [kernel, gain, bias]) in all {
            if let Some(layer) = self.layers.get_mut(&id) {
                layer.kernel.update(Step { decay, ..step }, &kernel);
                layer.gain.update(step, &gain);
                layer.bias.update(step, &bias);
            }
        }
        Ok(())
    }

    /// Of the step to come.
    fn rate(&self) -> f32 {
        let (step, steps) = (self.step as f32, self.schedule.steps.max(1) as f32);
        let warm = (steps / 20.0).max(1.0);
        if step < warm {
            return self.schedule.rate * (step + 1.0) / warm;
        }
        let done = ((step - warm) / (steps - warm).max(1.0)).min(1.0);
        self.schedule.rate * 0.5 * (1.0 + (std::f32::consts::PI * done).cos())
    }
}

impl Layer {
    /// What a standardised kernel does not keep of its own size is its gain.
    fn of(weights: &Weights, standardised: bool) -> Self {
        let Weights { shape, kernel, bias } = weights;
        let mut kernel = kernel.clone();
        let mut gain = Vec::new();
        if standardised {
            let reach = shape[1..].iter().product();
            gain = kernel.chunks_exact_mut(reach).map(unit).collect();
        }
        Self {
            shape: *shape,
            standardised,
            kernel: Values::new(kernel),
            gain: Values::new(gain),
            bias: Values::new(bias.clone()),
        }
    }
}

/// Brings one output's kernel to the size that keeps sizes through a cut below zero (He et al. 2015); how many times as large it was.
fn unit(kernel: &mut [f32]) -> f32 {
    let squares: f32 = kernel.iter().map(|value| value * value).sum();
    let gain = (squares / 2.0).sqrt();
    if gain > 0.0 {
        kernel.iter_mut().for_each(|value| *value /= gain);
    }
    gain
}

/// A layer's values as candle follows them.
#[derive(Debug)]
struct Variables {
    kernel: Var,
    gain: Option<Var>,
    bias: Var,
}

impl Variables {
    fn of(layer: &Layer) -> candle_core::Result<Self> {
        let var = |values: &[f32], shape: &[usize]| Var::from_slice(values, shape, &Device::Cpu);
        let outputs = layer.shape[0];
        Ok(Self {
            kernel: var(layer.kernel.now(), &layer.shape)?,
            gain: layer.standardised.then(|| var(layer.gain.now(), &[outputs])).transpose()?,
            bias: var(layer.bias.now(), &[outputs])?,
        })
    }

    /// What the net computes with. A standardised kernel has mean 0 and the spread that keeps sizes through a cut below zero.
    fn kernel(&self, layer: &Layer) -> candle_core::Result<Tensor> {
        let Some(gain) = &self.gain else { return Ok(self.kernel.as_tensor().clone()) };
        let [outputs, inputs, rows, columns] = layer.shape;
        let reach = inputs * rows * columns;
        let flat = self.kernel.reshape((outputs, reach))?;
        let flat = flat.broadcast_sub(&flat.mean_keepdim(D::Minus1)?)?;
        let spread = (flat.sqr()?.mean_keepdim(D::Minus1)? + SPREAD_MIN / reach as f64)?.sqrt()?;
        let gain = (gain.reshape((outputs, 1))? * (2.0 / reach as f64).sqrt())?;
        flat.broadcast_mul(&gain.div(&spread)?)?.reshape(&layer.shape)
    }
}

#[cfg(test)]
mod tests;
