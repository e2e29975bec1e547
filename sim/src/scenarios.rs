//! The built-in scenarios: situations, each a file of the folder `scenarios` and named after it;
//! and a [`crowd`] of any size.

mod crowd;

pub use crowd::crowd;

/// All of them: name and text, in the order of their names.
///
/// ```
/// use tripline_sim::{play, scenario::Scenario, scenarios};
/// let scenario: Scenario = scenarios::find("subway").unwrap().parse().unwrap();
/// assert!(play::play(&scenario).is_ok());
/// ```
pub const ALL: &[(&str, &str)] = &[
    ("bit-rot", include_str!("../scenarios/bit-rot.toml")),
    ("black-hole-mtu", include_str!("../scenarios/black-hole-mtu.toml")),
    ("busy-machine", include_str!("../scenarios/busy-machine.toml")),
    ("carrier-nat", include_str!("../scenarios/carrier-nat.toml")),
    ("changed-its-mind", include_str!("../scenarios/changed-its-mind.toml")),
    ("clock-jump", include_str!("../scenarios/clock-jump.toml")),
    ("congested-cellular", include_str!("../scenarios/congested-cellular.toml")),
    ("crossing-closes", include_str!("../scenarios/crossing-closes.toml")),
    ("double-nat", include_str!("../scenarios/double-nat.toml")),
    ("dsl", include_str!("../scenarios/dsl.toml")),
    ("flapping-link", include_str!("../scenarios/flapping-link.toml")),
    ("flood", include_str!("../scenarios/flood.toml")),
    ("game-60hz", include_str!("../scenarios/game-60hz.toml")),
    ("greedy-neighbour", include_str!("../scenarios/greedy-neighbour.toml")),
    ("hotel-wifi", include_str!("../scenarios/hotel-wifi.toml")),
    ("iot-day", include_str!("../scenarios/iot-day.toml")),
    ("key-rollover", include_str!("../scenarios/key-rollover.toml")),
    ("laptop-lid", include_str!("../scenarios/laptop-lid.toml")),
    ("lossy-wifi", include_str!("../scenarios/lossy-wifi.toml")),
    ("old-numbers", include_str!("../scenarios/old-numbers.toml")),
    ("one-way-partition", include_str!("../scenarios/one-way-partition.toml")),
    ("private-club", include_str!("../scenarios/private-club.toml")),
    ("rebinding-phone", include_str!("../scenarios/rebinding-phone.toml")),
    ("reconnect-storm", include_str!("../scenarios/reconnect-storm.toml")),
    ("replay-attack", include_str!("../scenarios/replay-attack.toml")),
    ("satellite", include_str!("../scenarios/satellite.toml")),
    ("server-restart", include_str!("../scenarios/server-restart.toml")),
    ("slow-reader", include_str!("../scenarios/slow-reader.toml")),
    ("subway", include_str!("../scenarios/subway.toml")),
    ("thousand-streams", include_str!("../scenarios/thousand-streams.toml")),
    ("tiny-windows", include_str!("../scenarios/tiny-windows.toml")),
    ("two-data-centres", include_str!("../scenarios/two-data-centres.toml")),
    ("voice-call", include_str!("../scenarios/voice-call.toml")),
    ("walk-out-of-the-house", include_str!("../scenarios/walk-out-of-the-house.toml")),
];

/// The text of the scenario of this name.
pub fn find(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use std::collections::BTreeSet;

    #[test]
    fn all_of_them_read_and_are_named_like_their_files() {
        assert!(ALL.len() >= 22 && ALL.is_sorted());
        for (name, text) in ALL {
            let scenario: Scenario = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(scenario.name, *name);
            let about = &scenario.about;
            assert!(about.ends_with('.') && about.len() > 30, "{name}: {about}");
            assert!(!scenario.steps.is_empty() && !scenario.links.is_empty(), "{name}");
            assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario, "{name}");
        }
        assert!(find("subway").is_some() && find("sub").is_none());
    }

    /// No file lies in the folder that is not in the list.
    #[test]
    fn all_files_are_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files =
            std::fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file"));
        let files: BTreeSet<_> =
            files.map(|file| file.file_name().into_string().expect("UTF-8")).collect();
        let listed: BTreeSet<_> = ALL.iter().map(|(name, _)| format!("{name}.toml")).collect();
        assert_eq!(files, listed);
    }
}
