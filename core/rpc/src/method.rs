//! What is asked for: a number, or a name.
//!
//! Names are announced once on each lane and travel as numbers after; this page has both ends of
//! that: [`NamesOut`], which hands out the numbers, and [`NamesIn`], which remembers the peer's.
#![deny(clippy::arithmetic_side_effects)]

use crate::bounds::{NAME_MAX, NAMES_MAX};
use crate::lane::Lane;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// A method, as events name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Both sides agree by other means what it stands for.
    Number(u16),
    /// 1 to 255 bytes of UTF-8.
    Name(Arc<str>),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "#{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A method, as commands name it: a `u16` or a `&str` will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodRef<'a> {
    /// A number: costs one or two bytes on the wire.
    Number(u16),
    /// A name: costs as much, once it was announced.
    Name(&'a str),
}

impl MethodRef<'_> {
    /// The same, to keep.
    pub fn to_method(self) -> Method {
        match self {
            Self::Number(number) => Method::Number(number),
            Self::Name(name) => Method::Name(Arc::from(name)),
        }
    }

    /// Whether it can be sent.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Name(name) => is_name(name.as_bytes()),
        }
    }
}

impl From<u16> for MethodRef<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for MethodRef<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a Method> for MethodRef<'a> {
    fn from(method: &'a Method) -> Self {
        match method {
            Method::Number(number) => Self::Number(*number),
            Method::Name(name) => Self::Name(name),
        }
    }
}

/// Whether bytes are as long as a name is.
pub(crate) fn is_name(bytes: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&bytes.len())
}

/// A method, as a frame names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireMethod<'a> {
    Number(u16),
    /// An announced name.
    Index(u16),
    Inline(&'a str),
}

/// The names that we use, by the numbers under which we announce them.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamesOut {
    numbers: BTreeMap<Arc<str>, u16>,
    /// Each, and on which lanes it was announced over the pipe of now.
    names: Vec<(Arc<str>, u16)>,
}

impl NamesOut {
    /// How to name a method on a lane; `true`: it is to be announced there first.
    pub(crate) fn name<'a>(&mut self, method: MethodRef<'a>, lane: Lane) -> (WireMethod<'a>, bool) {
        let name = match method {
            MethodRef::Number(number) => return (WireMethod::Number(number), false),
            MethodRef::Name(name) => name,
        };
        if !lane.is_ordered() {
            // An announcement could be overtaken.
            return (WireMethod::Inline(name), false);
        }
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let next = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
                if next >= NAMES_MAX {
                    return (WireMethod::Inline(name), false);
                }
                let name: Arc<str> = Arc::from(name);
                self.numbers.insert(name.clone(), next);
                self.names.push((name, 0));
                next
            }
        };
        let Some((_, lanes)) = self.names.get_mut(usize::from(number)) else {
            return (WireMethod::Inline(name), false);
        };
        let is_new = *lanes & lane.bit() == 0;
        *lanes |= lane.bit();
        (WireMethod::Index(number), is_new)
    }

    /// Another pipe: its peer was told nothing yet.
    pub(crate) fn forget_announcements(&mut self) {
        self.names.iter_mut().for_each(|(_, lanes)| *lanes = 0);
    }

    /// The name of a number.
    pub(crate) fn name_of(&self, number: u16) -> Option<Arc<str>> {
        self.names.get(usize::from(number)).map(|(name, _)| name.clone())
    }

    /// What a frame of our own names.
    pub(crate) fn resolve(&self, method: WireMethod<'_>) -> Option<Method> {
        Some(match method {
            WireMethod::Number(number) => Method::Number(number),
            WireMethod::Inline(name) => Method::Name(Arc::from(name)),
            WireMethod::Index(number) => Method::Name(self.name_of(number)?),
        })
    }
}

/// The names that the peer has announced over the pipe of now.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamesIn {
    names: Vec<Option<Arc<str>>>,
}

impl NamesIn {
    /// Notes a name. `false`: the number is out of bounds, or has another name.
    #[must_use]
    pub(crate) fn learn(&mut self, number: u16, name: &str) -> bool {
        if number >= NAMES_MAX {
            return false;
        }
        let index = usize::from(number);
        if self.names.len() <= index {
            self.names.resize(index.saturating_add(1), None);
        }
        match self.names.get_mut(index) {
            Some(Some(known)) => **known == *name,
            Some(place) => {
                *place = Some(Arc::from(name));
                true
            }
            None => false,
        }
    }

    /// What a frame names; `None`: nothing was announced under that number.
    pub(crate) fn resolve(&self, method: WireMethod<'_>) -> Option<Method> {
        Some(match method {
            WireMethod::Number(number) => Method::Number(number),
            WireMethod::Inline(name) => Method::Name(Arc::from(name)),
            WireMethod::Index(number) => {
                Method::Name(self.names.get(usize::from(number))?.clone()?)
            }
        })
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_name_is_announced_once_for_each_ordered_lane() {
        let mut names = NamesOut::default();
        let (first, second) = (Lane::DEFAULT, Lane::ordered(0));
        let name = MethodRef::from("shop.buy");
        assert_eq!(names.name(name, first), (WireMethod::Index(0), true));
        assert_eq!(names.name(name, first), (WireMethod::Index(0), false));
        assert_eq!(names.name(name, second), (WireMethod::Index(0), true));
        assert_eq!(names.name("b".into(), second), (WireMethod::Index(1), true));
        let unordered = Lane::unordered(3);
        assert_eq!(names.name(name, unordered), (WireMethod::Inline("shop.buy"), false));
        assert_eq!(names.name(7.into(), first), (WireMethod::Number(7), false));
        names.forget_announcements();
        assert_eq!(names.name(name, first), (WireMethod::Index(0), true));
    }

    /// The table has a bound; behind it names travel with each message.
    #[test]
    fn the_names_beyond_the_table_travel_inline() {
        let (mut out, mut known) = (NamesOut::default(), NamesIn::default());
        for number in 0..NAMES_MAX {
            let name = format!("method {number}");
            assert_eq!(out.name((&*name).into(), Lane::DEFAULT), (WireMethod::Index(number), true));
            assert!(known.learn(number, &name));
        }
        let last = out.name("one more".into(), Lane::DEFAULT);
        assert_eq!(last, (WireMethod::Inline("one more"), false));
        assert!(!known.learn(NAMES_MAX, "one more"));
        assert!(known.learn(5, "method 5"), "again the same");
        assert!(!known.learn(5, "another"), "a number keeps its name");
    }

    #[test]
    fn a_number_without_a_name_is_unknown() {
        let mut known = NamesIn::default();
        assert!(known.learn(2, "two"));
        assert_eq!(known.resolve(WireMethod::Index(2)), Some(MethodRef::from("two").to_method()));
        assert_eq!(known.resolve(WireMethod::Index(1)), None);
        assert_eq!(known.resolve(WireMethod::Index(9)), None);
        known.clear();
        assert_eq!(known.resolve(WireMethod::Index(2)), None);
    }
}
