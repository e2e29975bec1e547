//! The peer's calls that are not answered yet.
//!
//! In go calls as they come, by number and serial; out come small keys by which they are answered,
//! and deadlines.
#![deny(clippy::arithmetic_side_effects)]

use crate::kept::Keeper;
use crate::lane::Lane;
use crate::slots::{Key, Slots};
use crate::timers::{Due, Timers};
use alloc::vec::Vec;
use tripline_sansio::Instant;

/// One call of the peer's.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Where its answer goes.
    pub(crate) lane: Lane,
    /// Its number on the pipe of now; `None`: it came over one that is gone.
    pub(crate) number: Option<u32>,
    pub(crate) serial: Option<u64>,
    pub(crate) deadline: Option<Instant>,
    /// How many bytes of items the caller takes.
    pub(crate) window: u64,
    /// How many bytes of them at once.
    pub(crate) window_max: u64,
    /// Items were sent: over another pipe they would not be the same.
    pub(crate) has_items: bool,
    /// The user was told that there is no room for items.
    pub(crate) is_thirsty: bool,
}

/// A number on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Number {
    key: Option<Key>,
    /// How often it was used.
    turn: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Served {
    requests: Slots<Request>,
    numbers: Vec<Number>,
    timers: Timers,
    pub(crate) keeper: Keeper,
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Served {
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Adds a request; its number is free and below what we take.
    pub(crate) fn insert(&mut self, request: Request) -> Key {
        let (number, serial, deadline) = (request.number, request.serial, request.deadline);
        let key = self.requests.insert(request);
        if let Some(at) = deadline {
            self.timers.insert(key, at);
        }
        if let Some(number) = number {
            self.note(number, key);
        }
        if let Some(serial) = serial {
            self.keeper.begin(serial, key);
        }
        key
    }

    /// A request that is known has this number now. Returns whether its handler waits for room.
    pub(crate) fn rebind(&mut self, key: Key, number: u32, lane: Lane, window: u64) -> bool {
        let mut is_thirsty = false;
        if let Some(request) = self.requests.get_mut(key) {
            is_thirsty = core::mem::take(&mut request.is_thirsty);
            (request.number, request.lane) = (Some(number), lane);
            (request.window, request.window_max) = (window, window);
            self.note(number, key);
        }
        is_thirsty
    }

    /// A number is used once more; it is below what we take.
    pub(crate) fn begin_turn(&mut self, number: u32) {
        let index = index(number);
        if self.numbers.len() <= index {
            self.numbers.resize(index.saturating_add(1), Number::default());
        }
        if let Some(place) = self.numbers.get_mut(index) {
            place.turn = place.turn.saturating_add(1);
        }
    }

    fn note(&mut self, number: u32, key: Key) {
        if let Some(place) = self.numbers.get_mut(index(number)) {
            place.key = Some(key);
        }
    }

    /// Whose number it is in this turn.
    pub(crate) fn in_turn(&self, number: u32, turn: u32) -> Option<Key> {
        self.numbers.get(index(number)).filter(|place| place.turn == turn)?.key
    }

    pub(crate) fn by_number(&self, number: u32) -> Option<Key> {
        self.numbers.get(index(number))?.key
    }

    /// Those whose handlers wait for room, and may go on.
    pub(crate) fn take_thirsty(&mut self) -> Vec<Key> {
        let mut all = Vec::new();
        for key in self.requests.keys() {
            if let Some(request) = self.requests.get_mut(key)
                && request.number.is_some()
                && core::mem::take(&mut request.is_thirsty)
            {
                all.push(key);
            }
        }
        all
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Request> {
        self.requests.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Request> {
        self.requests.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Request> {
        let request = self.requests.remove(key)?;
        if request.deadline.is_some() {
            let requests = &self.requests;
            self.timers.remove(key, requests.len(), |key| requests.get(key).is_some());
        }
        let place = request.number.and_then(|number| self.numbers.get_mut(index(number)));
        if let Some(place) = place {
            place.key = None;
        }
        Some(request)
    }

    /// Another pipe: nobody has a number.
    pub(crate) fn forget_numbers(&mut self) {
        self.numbers.clear();
        for key in self.requests.keys() {
            if let Some(request) = self.requests.get_mut(key) {
                request.number = None;
            }
        }
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.requests.keys()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// A request whose time is up.
    pub(crate) fn due(&self, now: Instant) -> Option<Key> {
        match self.timers.due(now)? {
            Due::Key(key) => Some(key),
            Due::Slot(slot) => self.requests.key_at(slot),
        }
    }
}
