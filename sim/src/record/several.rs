//! One run, several watchers.

use crate::play::{End, Watcher};
use crate::rule::PacketView;
use crate::scenario::Step;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tripline::{Aead, ConnectionStats, Event, StreamId};
use tripline_sansio::{Duration, Instant};

/// Shows a run to each of several watchers, in their order. Connections are sampled as often as the
/// most curious of them wants; the others are shown those samples too.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use tripline_sim::record::{Several, Trace};
/// let one = Rc::new(RefCell::new(Trace::new(Vec::new())));
/// let other = Rc::new(RefCell::new(Trace::new(std::io::sink())));
/// let both = Several::new(vec![one.clone(), other]);
/// # drop(both);
/// ```
#[derive(Default)]
pub struct Several {
    watchers: Vec<Rc<RefCell<dyn Watcher>>>,
}

impl Several {
    /// Shows everything to these.
    pub fn new(watchers: Vec<Rc<RefCell<dyn Watcher>>>) -> Self {
        Self { watchers }
    }

    fn each(&mut self, mut show: impl FnMut(&mut dyn Watcher)) {
        self.watchers.iter().for_each(|watcher| show(&mut *watcher.borrow_mut()));
    }
}

impl Watcher for Several {
    fn on_start(&mut self, hosts: &[String]) {
        self.each(|watcher| watcher.on_start(hosts));
    }

    fn aead(&mut self, mut aead: Arc<dyn Aead>) -> Arc<dyn Aead> {
        self.each(|watcher| aead = watcher.aead(aead.clone()));
        aead
    }

    fn on_step(&mut self, now: Instant, step: &Step, fits: bool) {
        self.each(|watcher| watcher.on_step(now, step, fits));
    }

    fn on_packet(&mut self, packet: &PacketView<'_>) {
        self.each(|watcher| watcher.on_packet(packet));
    }

    fn on_event(&mut self, now: Instant, end: Option<End<'_>>, event: &Event) {
        self.each(|watcher| watcher.on_event(now, end, event));
    }

    fn on_message(&mut self, now: Instant, end: End<'_>, stream: StreamId, sent: bool, bytes: u64) {
        self.each(|watcher| watcher.on_message(now, end, stream, sent, bytes));
    }

    fn sample_every(&self) -> Option<Duration> {
        self.watchers.iter().filter_map(|one| one.borrow().sample_every()).min()
    }

    fn on_sample(&mut self, now: Instant, end: End<'_>, stats: &ConnectionStats) {
        self.each(|watcher| watcher.on_sample(now, end, stats));
    }

    fn on_calm(&mut self, now: Instant) {
        self.each(|watcher| watcher.on_calm(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Curious(Option<Duration>, u32);

    impl Watcher for Curious {
        fn sample_every(&self) -> Option<Duration> {
            self.0
        }

        fn on_calm(&mut self, _: Instant) {
            self.1 += 1;
        }
    }

    #[test]
    fn each_is_shown_all_and_the_most_curious_sets_the_pace() {
        let seconds = |count| Some(Duration::from_secs(count));
        let all = [None, seconds(3), seconds(2)];
        let all = all.map(|every| Rc::new(RefCell::new(Curious(every, 0))));
        let mut several = Several::default();
        assert_eq!(several.sample_every(), None);
        several.watchers.extend(all.iter().map(|one| one.clone() as Rc<RefCell<dyn Watcher>>));
        assert_eq!(several.sample_every(), seconds(2));
        several.on_calm(Instant::ZERO);
        assert!(all.iter().all(|watcher| watcher.borrow().1 == 1));
    }
}
