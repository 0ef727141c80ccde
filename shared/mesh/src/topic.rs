//! What is spoken about: each topic belongs to one device.

use std::{fmt, str::FromStr};

use farhand_link::DeviceId;

use crate::TopicError;

/// One device's topic. Its text is the Zenoh key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// `farhand/aircraft/{id}/order`: by the cloud, to an aircraft.
    Order(DeviceId),
    /// `farhand/aircraft/{id}/event`: by an aircraft, of its flight.
    Event(DeviceId),
    /// `farhand/kit/{id}/state`: by a kit, of itself.
    State(DeviceId),
    /// `farhand/edge/{id}/health`: by an edge box, of itself.
    Health(DeviceId),
}

/// What to listen to: one topic, or that of every device of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Only(Topic),
    AllEvents,
    AllStates,
    AllHealths,
}

impl From<Topic> for Subject {
    fn from(topic: Topic) -> Self {
        Self::Only(topic)
    }
}

impl Topic {
    /// The kind of device, and what is said, around the device's name.
    fn words(&self) -> (&'static str, &'static str, &DeviceId) {
        match self {
            Topic::Order(id) => ("aircraft", "order", id),
            Topic::Event(id) => ("aircraft", "event", id),
            Topic::State(id) => ("kit", "state", id),
            Topic::Health(id) => ("edge", "health", id),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, what, id) = self.words();
        write!(f, "farhand/{device}/{id}/{what}")
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let wrong = || TopicError { seen: text.chars().take(128).collect() };
        let parts: Vec<&str> = text.splitn(5, '/').collect();
        let ["farhand", device, id, what] = parts[..] else { return Err(wrong()) };
        let id = id.parse().map_err(|_| wrong())?;
        let topic = match (device, what) {
            ("aircraft", "order") => Topic::Order(id),
            ("aircraft", "event") => Topic::Event(id),
            ("kit", "state") => Topic::State(id),
            ("edge", "health") => Topic::Health(id),
            _ => return Err(wrong()),
        };
        // One topic, one text: a name in capitals is another key to Zenoh.
        if topic.to_string() == text { Ok(topic) } else { Err(wrong()) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Only(topic) => topic.fmt(f),
            Subject::AllEvents => f.write_str(ALL_EVENTS),
            Subject::AllStates => f.write_str(ALL_STATES),
            Subject::AllHealths => f.write_str(ALL_HEALTHS),
        }
    }
}

pub(crate) const ALL_ORDERS: &str = "farhand/aircraft/*/order";
pub(crate) const ALL_EVENTS: &str = "farhand/aircraft/*/event";
pub(crate) const ALL_STATES: &str = "farhand/kit/*/state";
pub(crate) const ALL_HEALTHS: &str = "farhand/edge/*/health";

#[cfg(test)]
mod tests {
    use farhand_link::DeviceKey;

    use super::*;

    /// Goal: a topic reads back from its text, and no other text is a topic.
    #[test]
    fn a_topic_has_one_text() {
        let id = DeviceKey::from_seed(&[7; 32]).id();
        for topic in [Topic::Order(id), Topic::Event(id), Topic::State(id), Topic::Health(id)] {
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        let wrong = [
            "",
            "farhand/aircraft/*/event",
            &format!("farhand/aircraft/{id}/state"),
            &format!("farhand/kit/{id}/state/more"),
            &format!("farhand/kit/{}/state", id.to_string().to_uppercase()),
        ];
        for text in wrong {
            assert!(text.parse::<Topic>().is_err(), "{text}");
        }
    }
}
