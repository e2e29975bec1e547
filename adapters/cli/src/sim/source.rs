//! Where scenarios come from and where they go.

use crate::fail::{Fail, Result};
use std::fs;
use std::path::Path;
use tripline_sim::scenario::Scenario;
use tripline_sim::scenarios;

/// The longest file that is read as a scenario, in bytes: a thousand times those of the swarm.
const FILE_MAX: u64 = 64 << 20;

/// The scenario of a file, or the built-in one of this name.
pub(super) fn load(source: &str) -> Result<Scenario> {
    let path = Path::new(source);
    if let (false, Some(text)) = (path.exists(), scenarios::find(source)) {
        return parse(source, text);
    }
    let what = || format!("cannot read the scenario {source:?}");
    let file = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Fail::usage(format_args!(
            "there is neither a file nor a built-in scenario {source:?}; `tripline sim list` \
             lists them"
        )),
        _ => Fail::io(what(), &error),
    })?;
    if file.len() > FILE_MAX {
        return Err(Fail::local(format_args!("{}: it is longer than {FILE_MAX} bytes", what())));
    }
    let text = fs::read_to_string(path).map_err(|error| Fail::io(what(), &error))?;
    parse(source, &text)
}

fn parse(source: &str, text: &str) -> Result<Scenario> {
    text.parse().map_err(|error| Fail::local(format_args!("{source}: {error}")))
}

/// Writes a scenario to a file.
pub(super) fn save(path: &Path, scenario: &Scenario) -> Result {
    fs::write(path, scenario.to_string())
        .map_err(|error| Fail::io(format_args!("cannot write {}", path.display()), &error))
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |one: char| one.is_ascii_alphanumeric() || "/._-+=:,@%".contains(one);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted(Path::new("out/failure-7.toml")), "out/failure-7.toml");
        assert_eq!(quoted(Path::new("my runs/a'b.toml")), r"'my runs/a'\''b.toml'");
    }
}
