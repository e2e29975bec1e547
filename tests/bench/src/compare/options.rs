//! The command line of the comparison.

/// How it is used.
pub const USAGE: &str = "\
usage: compare [--seeds N] [--first-seed N] [--contender TEXT]... [--link TEXT]...
               [--share PERCENT] [--threads N] [--cells | --races] [--json]

  --seeds N         how many seeds each cell is run with (10)
  --first-seed N    the first of them (1)
  --contender TEXT  only those whose name contains TEXT, such as quinn or bbr
  --link TEXT       only links whose name contains TEXT, such as '100 Mbit/s' or '5 % loss'
  --share PERCENT   only so much of each cell's payload (100)
  --threads N       how many run at once (as many as there are processors)
  --cells, --races  only the cells, or only the races
  --json            every run, for machines
";

/// The command line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many seeds.
    pub seeds: u64,
    /// The first one.
    pub first_seed: u64,
    /// Parts of names of contenders; none: everyone.
    pub contenders: Vec<String>,
    /// Parts of names of links; none: all.
    pub links: Vec<String>,
    /// Per cent of each cell's payload.
    pub share: u64,
    /// How many runs at once.
    pub threads: usize,
    /// Whether cells are run.
    pub cells: bool,
    /// Whether races are run.
    pub races: bool,
    /// Whether the report is for machines.
    pub json: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: 10,
            first_seed: 1,
            contenders: Vec::new(),
            links: Vec::new(),
            share: 100,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cells: true,
            races: true,
            json: false,
        }
    }
}

impl Options {
    /// Reads the arguments behind the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--seeds" => options.seeds = number(&flag, &value()?, 1)?,
                "--first-seed" => options.first_seed = number(&flag, &value()?, 0)?,
                "--contender" => options.contenders.push(value()?),
                "--link" => options.links.push(value()?),
                "--share" => options.share = number(&flag, &value()?, 1)?,
                "--threads" => {
                    let threads = number(&flag, &value()?, 1)?;
                    options.threads = usize::try_from(threads).unwrap_or(usize::MAX);
                }
                "--cells" => options.races = false,
                "--races" => options.cells = false,
                "--json" => options.json = true,
                _ => return Err(format!("unknown argument {flag:?}")),
            }
        }
        if !options.cells && !options.races {
            return Err("--cells and --races exclude each other".to_owned());
        }
        Ok(options)
    }

    /// Whether a contender takes part.
    pub fn wants_contender(&self, name: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|part| name.contains(part))
    }

    /// Whether a link is run.
    pub fn wants_link(&self, name: &str) -> bool {
        self.links.is_empty() || self.links.iter().any(|part| name.contains(part))
    }

    /// The seeds, all of them.
    pub fn all_seeds(&self) -> impl Iterator<Item = u64> + use<> {
        self.first_seed..self.first_seed.saturating_add(self.seeds)
    }
}

fn number(flag: &str, text: &str, least: u64) -> Result<u64, String> {
    let number: u64 = text.parse().map_err(|error| format!("{flag} {text:?}: {error}"))?;
    if number < least { Err(format!("{flag} is at least {least}")) } else { Ok(number) }
}
