//! A scenario: hosts, links and timed steps, as a value and as a text that people read and write.
//!
//! This is the one operation language of the simulator. The swarm draws scenarios from seeds,
//! property tests and fuzzers make them, people write them by hand, failures are kept as them; what
//! plays them is [`play`](crate::play). A scenario replays exactly: all chance in it follows from
//! its own `seed`. A swarm's seed does not, once the generator has changed.
//!
//! The text is TOML; its lists hold one line for each NAT, host, link and step. What a line may
//! say is on the pages of [`NatSpec`], [`HostSpec`], [`LinkSpec`] and [`Step`]. Reading and
//! printing are exact: a scenario that was printed reads as itself.
//!
//! ```
//! use tripline_sim::scenario::Scenario;
//! let text = r#"
//! name = "tunnel"
//! about = "A train in a tunnel: no network for four seconds."
//! seed = 7
//! lasts = "20s"
//! hosts = ["server public 10.0.0.1:443 echo=on", "phone client 10.0.1.1:1000"]
//! links = ["phone<>server delay=40ms loss=2% rate=5Mbit/s"]
//! steps = [
//!     "0s phone connect server as c",
//!     "1s phone open ask ordered two-way on c",
//!     "1s phone send ask 200 times=50 every=100ms",
//!     "4s cut phone<>server",
//!     "8s heal phone<>server",
//! ]
//! "#;
//! let scenario: Scenario = text.parse().unwrap();
//! assert_eq!(scenario.steps.len(), 5);
//! assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario);
//!
//! let wrong = text.replace("cut phone<>", "cut fone<>");
//! let error = wrong.parse::<Scenario>().unwrap_err();
//! assert!(error.to_string().contains("there is no host `fone`"));
//! ```

pub(crate) mod budget;
mod host;
mod link;
mod nat;
mod repeat;
mod sense;
mod step;
mod system;
#[cfg(test)]
mod tests;
pub mod units;
mod words;

pub use host::{Controller, HostKind, HostSpec, Setting};
pub use link::{Knob, LinkSpec, Management, Way};
pub use nat::{NatDeed, NatKind, NatKnob, NatSpec};
pub use repeat::Repeat;
pub use step::{Action, Deed, Reading, Step};
pub use system::{Pace, Refusal};
pub use words::LineError;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tripline_sansio::Duration;
use units::Time;

/// Which cipher seals the packets of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seal {
    /// One of the same sizes that costs next to nothing and protects nothing.
    #[default]
    Fast,
    /// The engine's own.
    Real,
}

/// A run, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// A short name, in the manner of a file's.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// What all chance in the run follows from.
    pub seed: u64,
    /// Which cipher.
    pub seal: Seal,
    /// How long the first phase lasts, in which things go wrong: at least until the last step. Then
    /// all is healed, and everything promised has to come true.
    pub lasts: Duration,
    /// The NATs. Only hosts and other NATs that say so stand behind one.
    pub nats: Vec<NatSpec>,
    /// The hosts.
    pub hosts: Vec<HostSpec>,
    /// The links at the start. Pairs that are not named have a perfect one of 10 ms.
    pub links: Vec<LinkSpec>,
    /// What happens, ordered by time.
    pub steps: Vec<Step>,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    #[serde(default)]
    about: String,
    seed: u64,
    #[serde(default)]
    cipher: Seal,
    lasts: String,
    #[serde(default)]
    nats: Vec<String>,
    hosts: Vec<String>,
    #[serde(default)]
    links: Vec<String>,
    #[serde(default)]
    steps: Vec<String>,
}

/// Why a text is no scenario.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is not TOML, or not of this form.
    Form(toml::de::Error),
    /// A line cannot be read.
    Line(LineError),
    /// The lines do not fit together.
    Sense(String),
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(error) => write!(f, "{}", error.to_string().trim_end()),
            Self::Line(error) => error.fmt(f),
            Self::Sense(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl From<LineError> for ScenarioError {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

fn lines<T: FromStr<Err = LineError>>(lines: &[String]) -> Result<Vec<T>, LineError> {
    lines.iter().map(|line| line.parse()).collect()
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let text: Text = toml::from_str(text).map_err(ScenarioError::Form)?;
        let lasts = units::duration(&text.lasts)
            .map_err(|error| ScenarioError::Sense(format!("lasts: {error}")))?;
        let scenario = Self {
            name: text.name,
            about: text.about,
            seed: text.seed,
            seal: text.cipher,
            lasts,
            nats: lines(&text.nats)?,
            hosts: lines(&text.hosts)?,
            links: lines(&text.links)?,
            steps: lines(&text.steps)?,
        };
        scenario.check()?;
        Ok(scenario)
    }
}

impl fmt::Display for Scenario {
    /// The scenario as TOML, a line for each host, link and step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        writeln!(f, "name = {}", quoted(&self.name))?;
        writeln!(f, "about = {}", quoted(&self.about))?;
        writeln!(f, "seed = {}", self.seed)?;
        let seal = if self.seal == Seal::Fast { "fast" } else { "real" };
        writeln!(f, "cipher = \"{seal}\"\nlasts = \"{}\"", Time(self.lasts))?;
        if !self.nats.is_empty() {
            list(f, "nats", &self.nats)?;
        }
        list(f, "hosts", &self.hosts)?;
        list(f, "links", &self.links)?;
        list(f, "steps", &self.steps)
    }
}

/// A list, one line an item. Lines hold no quotes and no backslashes, so they need no escapes.
fn list(f: &mut fmt::Formatter<'_>, key: &str, items: &[impl fmt::Display]) -> fmt::Result {
    if items.is_empty() {
        return writeln!(f, "{key} = []");
    }
    writeln!(f, "{key} = [")?;
    items.iter().try_for_each(|item| writeln!(f, "    \"{item}\","))?;
    writeln!(f, "]")
}
