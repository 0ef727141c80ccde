//! Keys, tokens and attachments as `rmw_zenoh_cpp` has them (`docs/design.md` there, and `liveliness_utils.cpp` and
//! `attachment_helpers.cpp` from its 0.2.4 on), so that a ROS node finds what is published here.

use xxhash_rust::xxh3::xxh3_128;

use crate::messages::RosType;

/// Reliable, volatile, the last ten are kept; for the rest what `rmw_zenoh` takes for granted. Said outright where its defaults
/// have changed between versions.
const QOS: &str = "1:2:1,10:,:,:,,";
/// A slash within one piece of a token.
const SLASH: &str = "%";
/// Bytes of what is attached to a message.
pub const ATTACHMENT_BYTES: usize = 33;

/// A topic of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Without the slash before it, such as `arm1/measured_cp`.
    pub topic: &'a str,
    pub ros: RosType,
}

impl Endpoint<'_> {
    /// Where its messages are published.
    #[must_use]
    pub fn key(&self, domain: u32) -> String {
        format!("{domain}/{}/{}/{}", self.topic, self.ros.dds, self.ros.hash)
    }
}

/// What a node does with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Publishes,
    Subscribes,
}

/// A node of the ROS graph: a session has one here.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    pub domain: u32,
    /// The Zenoh session's id.
    pub session: &'a str,
    pub name: &'a str,
}

impl Node<'_> {
    /// Says that the node is there.
    #[must_use]
    pub fn token(&self) -> String {
        self.entity(0, "NN")
    }

    /// Says that it publishes or subscribes; `number` is the endpoint's own within the session, from 1 on.
    #[must_use]
    pub fn endpoint_token(&self, number: usize, does: Does, endpoint: &Endpoint<'_>) -> String {
        let kind = if does == Does::Publishes { "MP" } else { "MS" };
        let topic = endpoint.topic.replace('/', SLASH);
        let RosType { dds, hash } = endpoint.ros;
        format!("{}/{SLASH}{topic}/{dds}/{hash}/{QOS}", self.entity(number, kind))
    }

    /// In no enclave and no namespace.
    fn entity(&self, number: usize, kind: &str) -> String {
        let Self { domain, session, name } = self;
        format!("@ros2_lv/{domain}/{session}/0/{number}/{kind}/{SLASH}/{SLASH}/{name}")
    }
}

/// An endpoint's global id: its token's hash.
#[must_use]
pub fn gid(token: &str) -> [u8; 16] {
    xxh3_128(token.as_bytes()).to_le_bytes()
}

/// What is attached to a message: its number, when it was published (ns since 1970) and by whom.
#[must_use]
pub fn attachment(number: i64, published_ns: i64, gid: &[u8; 16]) -> [u8; ATTACHMENT_BYTES] {
    let mut bytes = [0; ATTACHMENT_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&published_ns.to_le_bytes());
    bytes[16] = 16;
    bytes[17..].copy_from_slice(gid);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Message as _, PoseStamped};

    const MEASURED: Endpoint<'static> = Endpoint { topic: "arm1/measured_cp", ros: PoseStamped::TYPE };

    /// Goal: keys and tokens have the shape that `rmw_zenoh`'s design document gives.
    #[test]
    fn keys_and_tokens_have_rmw_zenohs_shape() {
        let hash = PoseStamped::TYPE.hash;
        assert_eq!(
            MEASURED.key(3),
            format!("3/arm1/measured_cp/geometry_msgs::msg::dds_::PoseStamped_/{hash}")
        );
        let node = Node { domain: 3, session: "abc", name: "farhand" };
        assert_eq!(node.token(), "@ros2_lv/3/abc/0/0/NN/%/%/farhand");
        assert_eq!(
            node.endpoint_token(2, Does::Publishes, &MEASURED),
            format!(
                "@ros2_lv/3/abc/0/2/MP/%/%/farhand/%arm1%measured_cp/geometry_msgs::msg::dds_::PoseStamped_/{hash}/1:2:1,10:,:,:,,"
            )
        );
    }

    /// Goal: the attachment is two numbers and a byte string, as Zenoh's own serialization writes them.
    #[test]
    fn an_attachment_is_two_numbers_and_a_gid() {
        let bytes = attachment(1, 2, &[3; 16]);
        let expected = [&1i64.to_le_bytes()[..], &2i64.to_le_bytes(), &[16], &[3; 16]].concat();
        assert_eq!(bytes[..], expected);
    }
}
