//! The calls of ours that have no outcome yet, and the numbers that they have on the wire.
//!
//! A number is taken when a call is sent, and free again when the peer has answered: so a cancelled
//! call keeps its number until then, and its late answer finds nobody (row M16, R-CALL-3).
#![deny(clippy::arithmetic_side_effects)]

use crate::bounds::CALLS_AT_FIRST;
use crate::config::{CallOptions, Retry};
use crate::lane::Lane;
use crate::method::Method;
use crate::slots::{Key, Slots};
use crate::timers::{Due, Timers};
use crate::wire::Serial;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use tripline_sansio::Instant;

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The lane that was asked for.
    pub(crate) lane: Lane,
    pub(crate) retry: Retry,
    pub(crate) manual_window: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) stage: Stage,
    /// Beside, as most calls have none of it, and there may be many of them.
    rare: Option<Box<Rare>>,
}

/// What few calls have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// The first pipe that is gone and had it, by its epoch: whatever comes now, it may have been
    /// executed.
    pub(crate) sent_over: Option<u64>,
    /// By what it is known beyond the pipe; every one that may be asked again has it.
    serial: Option<u64>,
    /// What to send, while it may have to be sent (again).
    pub(crate) kept: Option<Kept>,
    pub(crate) items: Items,
}

impl Call {
    /// One that waits.
    pub(crate) fn new(options: &CallOptions, deadline: Option<Instant>) -> Self {
        let CallOptions { lane, retry, manual_window, .. } = *options;
        Self { lane, retry, manual_window, deadline, stage: Stage::Waiting, rare: None }
    }

    pub(crate) fn sent_over(&self) -> Option<u64> {
        self.rare.as_ref()?.sent_over
    }

    pub(crate) fn serial(&self) -> Option<u64> {
        self.rare.as_ref()?.serial
    }

    pub(crate) fn kept(&self) -> Option<&Kept> {
        self.rare.as_ref()?.kept.as_ref()
    }

    /// What to send now: kept on, if it may have to be sent again.
    pub(crate) fn take_kept(&mut self) -> Option<Kept> {
        let kept = &mut self.rare.as_mut()?.kept;
        if self.retry == Retry::Never { kept.take() } else { kept.clone() }
    }

    /// What few calls have, and this one from now on.
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// It is put among what is handed to the pipe of now.
    pub(crate) fn sent(&mut self, number: u32, lane: Lane) {
        self.stage = Stage::Sent { number, lane };
        if let Some(rare) = &mut self.rare {
            rare.items = Items::default();
        }
    }
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was never sent, and waits for a pipe, or for a number.
    Waiting,
    /// It was put among what is handed to the pipe of now, on this lane.
    Sent { number: u32, lane: Lane },
    /// It was sent over a pipe that is gone, and may be asked again.
    Doubt,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) method: Method,
    pub(crate) payload: Bytes,
}

/// How the window of a streaming reply stands, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Items {
    pub(crate) received: u64,
    pub(crate) taken: u64,
    /// Of `taken`, what the peer was told.
    pub(crate) granted: u64,
}

/// Who has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Nobody,
    Call(Key),
    /// A call that has its outcome already; the answer is still to come.
    Late,
}

/// A number on the wire.
#[derive(Clone, Copy, Debug)]
struct Number {
    holder: Holder,
    /// How often it was used.
    turn: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    calls: Slots<Call>,
    numbers: Vec<Number>,
    free: Vec<u32>,
    /// Numbers that may be used: the peer's limit.
    limit: u32,
    late: usize,
    /// By priority, those that wait for their turn; some have their outcome already.
    waiting: [VecDeque<Key>; 8],
    /// How many entries those lists have.
    waiting_count: usize,
    timers: Timers,
    /// Those that may be asked again.
    serials: BTreeMap<u64, Key>,
    next_serial: u64,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            calls: Slots::default(),
            numbers: Vec::new(),
            free: Vec::new(),
            limit: CALLS_AT_FIRST,
            late: 0,
            waiting: Default::default(),
            waiting_count: 0,
            timers: Timers::default(),
            serials: BTreeMap::new(),
            next_serial: 0,
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Asked {
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Numbers that wait for an answer which nobody wants any more.
    pub(crate) fn late(&self) -> usize {
        self.late
    }

    pub(crate) fn insert(&mut self, mut call: Call) -> Key {
        if call.retry != Retry::Never {
            call.rare().serial = Some(self.next_serial);
            self.next_serial = self.next_serial.saturating_add(1);
        }
        let (deadline, serial) = (call.deadline, call.serial());
        let key = self.calls.insert(call);
        if let Some(at) = deadline {
            self.timers.insert(key, at);
        }
        serial.map(|serial| self.serials.insert(serial, key));
        key
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Call> {
        self.calls.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Call> {
        self.calls.get_mut(key)
    }

    /// Takes a call out, as it has its outcome. `is_answered`: its number is free, else the answer
    /// is still to come.
    pub(crate) fn remove(&mut self, key: Key, is_answered: bool) -> Option<Call> {
        let call = self.calls.remove(key)?;
        if call.deadline.is_some() {
            let calls = &self.calls;
            self.timers.remove(key, calls.len(), |key| calls.get(key).is_some());
        }
        call.serial().map(|serial| self.serials.remove(&serial));
        if let Stage::Sent { number, .. } = call.stage {
            if is_answered {
                self.release(number);
            } else if let Some(number) = self.numbers.get_mut(index(number)) {
                number.holder = Holder::Late;
                self.late = self.late.saturating_add(1);
            }
        }
        Some(call)
    }

    /// Gives a call a number, if there is one.
    pub(crate) fn take_number(&mut self, key: Key) -> Option<u32> {
        // Numbers beyond a limit that came later are not used again.
        while let Some(number) = self.free.pop() {
            if number < self.limit
                && let Some(place) = self.numbers.get_mut(index(number))
            {
                place.holder = Holder::Call(key);
                place.turn = place.turn.saturating_add(1);
                return Some(number);
            }
        }
        let number = u32::try_from(self.numbers.len()).ok().filter(|next| *next < self.limit)?;
        self.numbers.push(Number { holder: Holder::Call(key), turn: 1 });
        Some(number)
    }

    pub(crate) fn holder(&self, number: u32) -> Holder {
        self.numbers.get(index(number)).map_or(Holder::Nobody, |number| number.holder)
    }

    /// The how-manieth use of a number this is, on the pipe of now.
    pub(crate) fn turn(&self, number: u32) -> u32 {
        self.numbers.get(index(number)).map_or(0, |number| number.turn)
    }

    /// The peer has answered by this number.
    pub(crate) fn release(&mut self, number: u32) {
        if let Some(place) = self.numbers.get_mut(index(number)) {
            if place.holder == Holder::Late {
                self.late = self.late.saturating_sub(1);
            }
            place.holder = Holder::Nobody;
            self.free.push(number);
        }
    }

    /// Another pipe: all numbers are free, and as many as any peer takes may be used.
    pub(crate) fn forget_numbers(&mut self) {
        self.numbers.clear();
        self.free.clear();
        (self.limit, self.late) = (CALLS_AT_FIRST, 0);
    }

    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    pub(crate) fn wait(&mut self, key: Key, at_front: bool) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(queue) = self.waiting.get_mut(usize::from(call.lane.priority())) else { return };
        self.waiting_count = self.waiting_count.saturating_add(1);
        if at_front {
            queue.push_front(key);
        } else {
            queue.push_back(key);
        }
    }

    /// How many wait for their turn, or did.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting_count
    }

    /// The next call whose turn it is; it stays.
    pub(crate) fn first_waiting(&mut self) -> Option<Key> {
        if self.waiting_count == 0 {
            return None;
        }
        for queue in &mut self.waiting {
            while let Some(key) = queue.front() {
                if self.calls.get(*key).is_some() {
                    return Some(*key);
                }
                queue.pop_front();
                self.waiting_count = self.waiting_count.saturating_sub(1);
            }
        }
        None
    }

    /// It is somebody else's turn.
    pub(crate) fn pop_waiting(&mut self, key: Key) {
        let Some(call) = self.calls.get(key) else { return };
        if let Some(queue) = self.waiting.get_mut(usize::from(call.lane.priority()))
            && queue.front() == Some(&key)
        {
            queue.pop_front();
            self.waiting_count = self.waiting_count.saturating_sub(1);
        }
    }

    /// Those that were sent over an earlier pipe wait for the next HELLO, not for their turn.
    pub(crate) fn doubt_all_sent(&mut self) {
        let calls = &mut self.calls;
        for queue in &mut self.waiting {
            queue.retain(|key| match calls.get_mut(*key) {
                Some(call) if call.sent_over().is_some() => {
                    call.stage = Stage::Doubt;
                    false
                }
                Some(_) => true,
                None => false,
            });
        }
        self.waiting_count = self.waiting.iter().map(VecDeque::len).sum();
    }

    pub(crate) fn serial_of(&self, call: &Call) -> Option<Serial> {
        call.serial().map(|serial| Serial { serial, oldest: self.oldest_serial() })
    }

    /// The least serial of which the outcome is still to come; the next one, if there is none.
    pub(crate) fn oldest_serial(&self) -> u64 {
        self.serials.keys().next().copied().unwrap_or(self.next_serial)
    }

    /// All that may be asked again, in the order in which they were asked.
    pub(crate) fn serials(&self) -> Vec<Key> {
        self.serials.values().copied().collect()
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.calls.keys()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// A call whose time is up.
    pub(crate) fn due(&self, now: Instant) -> Option<Key> {
        match self.timers.due(now)? {
            Due::Key(key) => Some(key),
            Due::Slot(slot) => self.calls.key_at(slot),
        }
    }
}
