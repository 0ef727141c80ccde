//! Walks a JSON value and names the field in every complaint.

use serde_json::{Map, Value};

use super::{PlanError, Problem};
use crate::Place;

/// One JSON object, and where in the file it stands.
pub(super) struct Reader<'a> {
    item: Option<usize>,
    path: String,
    object: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    pub(super) fn top(value: &'a Value) -> Result<Self, PlanError> {
        Self::of(None, String::new(), value)
    }

    /// A mission item, `number` counted from 1.
    pub(super) fn item(number: usize, value: &'a Value) -> Result<Self, PlanError> {
        Self::of(Some(number), String::new(), value)
    }

    pub(super) fn child(&self, key: &str, value: &'a Value) -> Result<Self, PlanError> {
        Self::of(self.item, self.at(key), value)
    }

    pub(super) fn object(&self, key: &str) -> Result<Reader<'a>, PlanError> {
        self.child(key, self.get(key)?)
    }

    pub(super) fn optional_object(&self, key: &str) -> Result<Option<Reader<'a>>, PlanError> {
        self.object.get(key).map(|value| self.child(key, value)).transpose()
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str, PlanError> {
        let value = self.get(key)?;
        value.as_str().ok_or_else(|| self.wrong(key, wrong_type(value, "a text")))
    }

    pub(super) fn text_is(&self, key: &str, expected: &'static str) -> Result<(), PlanError> {
        let seen = self.text(key)?;
        if seen == expected {
            return Ok(());
        }
        Err(self.wrong(key, Problem::Unsupported { seen: format!("{seen:?}"), supported: expected }))
    }

    pub(super) fn version_is(
        &self,
        key: &str,
        expected: i64,
        supported: &'static str,
    ) -> Result<(), PlanError> {
        let seen = self.integer(key)?;
        if seen == expected {
            return Ok(());
        }
        Err(self.wrong(key, Problem::Unsupported { seen: seen.to_string(), supported }))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, PlanError> {
        let value = self.get(key)?;
        value.as_bool().ok_or_else(|| self.wrong(key, wrong_type(value, "true or false")))
    }

    pub(super) fn integer_in(&self, key: &str, min: i64, max: i64) -> Result<i64, PlanError> {
        let seen = self.integer(key)?;
        self.check_range(key, seen as f64, min as f64, max as f64)?;
        Ok(seen)
    }

    pub(super) fn number_in(&self, key: &str, min: f64, max: f64) -> Result<f64, PlanError> {
        let value = self.get(key)?;
        let seen = value.as_f64().ok_or_else(|| self.wrong(key, wrong_type(value, "a number")))?;
        self.check_range(key, seen, min, max)?;
        Ok(seen)
    }

    pub(super) fn list(&self, key: &str, min: usize, max: usize) -> Result<&'a [Value], PlanError> {
        let value = self.get(key)?;
        let list = value.as_array().ok_or_else(|| self.wrong(key, wrong_type(value, "a list")))?;
        if (min..=max).contains(&list.len()) {
            return Ok(list);
        }
        Err(self.wrong(key, Problem::Length { seen: list.len(), min, max }))
    }

    /// A list that must hold nothing, because what it holds is not flown.
    pub(super) fn must_be_empty(&self, key: &str, supported: &'static str) -> Result<(), PlanError> {
        let seen = self.list(key, 0, usize::MAX)?.len();
        if seen == 0 {
            return Ok(());
        }
        Err(self.wrong(key, Problem::Unsupported { seen: format!("a list of {seen}"), supported }))
    }

    pub(super) fn numbers<const N: usize>(&self, key: &str) -> Result<[f64; N], PlanError> {
        self.numbers_by(key, |value| value.as_f64(), "a number")
    }

    /// Like [`Self::numbers`], with `null` as NaN.
    pub(super) fn numbers_or_null<const N: usize>(&self, key: &str) -> Result<[f64; N], PlanError> {
        let read = |value: &Value| if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
        self.numbers_by(key, read, "a number or null")
    }

    /// A list of [latitude, longitude] pairs in degrees.
    pub(super) fn places(&self, key: &str, max: usize) -> Result<Vec<Place>, PlanError> {
        let pairs = self.list(key, 0, max)?;
        pairs.iter().enumerate().map(|(index, pair)| self.place(&format!("{key}[{index}]"), pair)).collect()
    }

    pub(super) fn check_range(&self, key: &str, seen: f64, min: f64, max: f64) -> Result<(), PlanError> {
        if (min..=max).contains(&seen) {
            return Ok(());
        }
        Err(self.wrong(key, Problem::OutOfRange { seen, min, max }))
    }

    pub(super) fn wrong(&self, key: &str, problem: Problem) -> PlanError {
        PlanError::Field { item: self.item, field: self.at(key), problem }
    }

    fn of(item: Option<usize>, path: String, value: &'a Value) -> Result<Self, PlanError> {
        match value.as_object() {
            Some(object) => Ok(Self { item, path, object }),
            None => Err(PlanError::Field {
                item,
                field: if path.is_empty() { "(the whole of it)".into() } else { path },
                problem: wrong_type(value, "an object"),
            }),
        }
    }

    fn get(&self, key: &str) -> Result<&'a Value, PlanError> {
        self.object.get(key).ok_or_else(|| self.wrong(key, Problem::Missing))
    }

    fn integer(&self, key: &str) -> Result<i64, PlanError> {
        let value = self.get(key)?;
        value.as_i64().ok_or_else(|| self.wrong(key, wrong_type(value, "a whole number")))
    }

    fn numbers_by<const N: usize>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<f64>,
        expected: &'static str,
    ) -> Result<[f64; N], PlanError> {
        let list = self.list(key, N, N)?;
        let mut numbers = [0.0; N];
        for (index, value) in list.iter().enumerate() {
            numbers[index] = read(value)
                .ok_or_else(|| self.wrong(&format!("{key}[{index}]"), wrong_type(value, expected)))?;
        }
        Ok(numbers)
    }

    fn place(&self, key: &str, pair: &Value) -> Result<Place, PlanError> {
        let degrees = |index| pair.get(index).and_then(Value::as_f64);
        let (Some(lat_deg), Some(lon_deg)) = (degrees(0), degrees(1)) else {
            return Err(self.wrong(key, wrong_type(pair, "[latitude, longitude]")));
        };
        Place::new(lat_deg, lon_deg).map_err(|error| self.wrong(key, Problem::Place(error)))
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn wrong_type(seen: &Value, expected: &'static str) -> Problem {
    let seen = match seen {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::WrongType { seen, expected }
}
