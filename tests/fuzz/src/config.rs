//! Files that people write: the arm's description and the parts' configuration. A part that reads other files by their
//! names in its configuration is asked for the text alone.

use farhand_kit::Config as Kit;
use farhand_motion::ArmModel;
use farhand_server::Config as Server;
use farhand_validator::ConfigFile as Validator;

use crate::stage::folder;

/// An arm that is accepted is complete and finite, and stands within its own limits.
pub(crate) fn arm(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(arm) = ArmModel::from_toml(text) else { return };
    let home = arm.home();
    assert_eq!(arm.limits().check_joints(&home.joints), Ok(()));
    let tip = arm.forward(&home.joints);
    assert!(tip.translation.vector.iter().all(|metres| metres.is_finite() && metres.abs() < 10.0), "{tip}");
}

/// By the first byte: the kit's, the server's, a validator's.
pub(crate) fn files(bytes: &[u8]) {
    let Some((which, text)) = bytes.split_first() else { return };
    let folder = folder(&[("part.toml", text)]);
    let path = folder.path().join("part.toml");
    match which % 3 {
        0 => {
            if let Ok(config) = Kit::read(&path) {
                assert!(config.limits.clone().checked().is_ok(), "a limit out of its range");
                assert!(config.key.starts_with(folder.path()) || config.key.is_absolute());
            }
        }
        1 => {
            if let Ok(config) = Server::load(&path) {
                assert!(
                    toml::to_string(&config)
                        .is_ok_and(|text| toml::from_str(&text).is_ok_and(|it: Server| it == config))
                );
            }
        }
        _ => {
            let text = String::from_utf8_lossy(text);
            let written = |config: Validator| toml::to_string(&config).ok();
            let once = toml::from_str(&text).ok().and_then(written);
            let again = once.as_deref().map(|text| toml::from_str(text).ok().and_then(written));
            assert!(once.is_none() || again == Some(once), "it changes when it is written");
        }
    }
}
