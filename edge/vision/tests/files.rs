//! Models as files: what is written is read, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test that can't go on says so")]

use std::collections::BTreeMap;

use farhand_vision::{Architecture, Card, MODEL_BYTES_MAX, Model, ModelError, NodeId, Weights};

fn card() -> Card {
    let architecture = Architecture { widths: [4, 6, 8, 10], blocks: [1, 1, 1, 1], classes: 2 };
    Card::new(architecture, vec!["tissue".to_owned(), "tool".to_owned()], 32, 48)
}

fn weights(model: &Model) -> BTreeMap<NodeId, Weights> {
    let graph = model.graph(32, 48).unwrap();
    graph.kernels().map(|(id, _)| (id, model.weights(id).unwrap().clone())).collect()
}

/// Goal: a model that was written is read again, to the last bit, under the digest of its file.
#[test]
fn what_is_written_is_read() {
    let model = Model::untrained(card(), 7).unwrap();
    let bytes = model.to_bytes();
    assert_eq!(Model::read(&bytes).unwrap(), model);
    assert_eq!(Model::read_known(&bytes, &model.digest()).unwrap(), model);
    assert_eq!(Model::untrained(card(), 7).unwrap().digest(), model.digest());
    assert_ne!(Model::untrained(card(), 8).unwrap().digest(), model.digest());
}

/// Goal: a file that was cut anywhere, or in which any byte was changed, is never taken for the known one, and reading it ends in an error
/// or in another model, not in a panic.
#[test]
fn a_damaged_file_is_not_the_known_one() {
    let model = Model::untrained(card(), 7).unwrap();
    let bytes = model.to_bytes();
    for length in 0..bytes.len() {
        assert!(Model::read_known(&bytes[..length], &model.digest()).is_err(), "cut at {length}");
    }
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x55;
        assert!(Model::read_known(&other, &model.digest()).is_err(), "changed at {at}");
    }
    let other = Model::read_known(&bytes, &[0; 32]).unwrap_err();
    assert!(matches!(other, ModelError::Digest { .. }), "{other}");
}

/// Goal: wrong shapes, missing and surplus tensors, values that are none, and files that are too long are told by name.
#[test]
fn what_is_wrong_is_told() {
    let model = Model::untrained(card(), 7).unwrap();
    let with = |change: &dyn Fn(&mut BTreeMap<NodeId, Weights>)| {
        let mut changed = weights(&model);
        change(&mut changed);
        Model::new(card(), changed).unwrap_err().to_string()
    };
    let first = NodeId(1);
    let missing = with(&|weights| drop(weights.remove(&first)));
    assert_eq!(missing, "the tensor 01.weight is missing");
    let shape = with(&|weights| {
        let one = weights.get_mut(&first).unwrap();
        one.bias.push(0.0);
    });
    assert_eq!(shape, "the tensor 01.bias has the shape [5] of F32, expected [4] of F32");
    let surplus = with(&|weights| drop(weights.insert(NodeId(0), weights[&first].clone())));
    assert!(surplus.contains("belongs to no layer"), "{surplus}");
    let no_number = with(&|weights| weights.get_mut(&first).unwrap().kernel[3] = f32::NAN);
    assert_eq!(no_number, "the tensor 01.weight holds a value that is no number");
    let long = Model::read(&vec![0; MODEL_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(long, ModelError::TooLong { .. }), "{long}");
    let header = Model::read(
        &safetensors::serialize::<&str, safetensors::tensor::TensorView<'_>, _>([], None).unwrap(),
    );
    assert!(header.unwrap_err().to_string().contains("does not say what net it is"));
}

/// Goal: half way between two models each weight is half way; nets of other shapes have no middle.
#[test]
fn the_mean_of_two_models_lies_between_them() {
    let [one, other] = [1, 2].map(|seed| Model::untrained(card(), seed).unwrap());
    let mean = one.mean(&other).unwrap();
    let id = one.graph(32, 32).unwrap().kernels().next().unwrap().0;
    let kernel = |model: &Model| model.weights(id).unwrap().kernel[7];
    assert_eq!(kernel(&mean), kernel(&one).midpoint(kernel(&other)));
    assert_ne!(mean.digest(), one.digest());
    assert_eq!(one.mean(&one).unwrap(), one);
    let wider = Architecture { widths: [8, 8, 8, 10], ..one.card().architecture.clone() };
    let wider = Model::untrained(Card::new(wider, one.card().classes.clone(), 32, 32), 1).unwrap();
    assert!(matches!(one.mean(&wider), Err(ModelError::Other)));
}
