//! A generator that is made when it is first drawn from.
//!
//! Most knobs of most links are off for ever, and a generator is a third of a kilobyte; when it is
//! made changes nothing about what it draws.

use tripline_sansio::{Random, Seed};

/// The generator of one knob.
#[derive(Clone, Debug)]
pub(super) struct Lazy {
    label: &'static str,
    random: Option<Box<Random>>,
}

impl Lazy {
    /// The generator called `label`.
    pub(super) const fn new(label: &'static str) -> Self {
        Self { label, random: None }
    }

    /// The generator itself; `seed` is that of the link, the same each time.
    pub(super) fn get(&mut self, seed: &Seed) -> &mut Random {
        let Self { label, random } = self;
        random.get_or_insert_with(|| Box::new(seed.random(label)))
    }
}
