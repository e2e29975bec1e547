//! Playing scenes with a loop.

use crate::actor::Actor;
use crate::machine::Machine;
use crate::record::{LENGTH, Record, record};
use crate::rule::{Broken, Rule};
use crate::scene::Scene;
use crate::scripts::scripts;
use crate::state::{Datagram, START, Script, State, Violation};
use crate::told::Told;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Turns in a row that neither sleep nor do anything.
const MAX_EMPTY_TURNS: usize = 1_000;
/// Calls of an idle loop for each sleep.
const MAX_IDLE_CALLS: usize = 64;
/// One datagram of so many is lost in the second conversation.
const LOSES: usize = 7;

/// A loop in the hands of the suite.
///
/// What the loop has of the system in real life it gets from the [`Scene`] here: the clock
/// ([`Scene::now`]), the socket ([`Scene::recv`], [`Scene::send`]) and the sleep ([`Scene::wait`]
/// or [`Scene::wait_edge`]). The sleep is where time passes, and where the suite looks whether all
/// was done.
pub trait Subject: Sized {
    /// Whether the loop tells its machine of datagrams that are too large
    /// ([`handle_too_big`](tripline_sansio::DatagramMachine::handle_too_big)). A loop that hands
    /// several transmits to the system at once need not.
    const TELLS_TOO_BIG: bool = true;

    /// A loop around `machine` in the world of `scene`.
    fn start(machine: Machine, scene: &Scene) -> Self;

    /// Runs the loop. It comes back when it is woken at the latest ([`Ready::woken`]), and may do
    /// so earlier, after each sleep for example. Each event that the loop gave out is added to
    /// `events`, and none is left with the machine.
    ///
    /// [`Ready::woken`]: crate::Ready::woken
    fn turn(&mut self, events: &mut Vec<Told>);
}

/// Plays all scenes of one rule with a loop.
///
/// # Errors
/// The first rule that the loop breaks; it may be another one than the scene is about.
pub fn check<S: Subject>(rule: Rule) -> Result<(), Broken> {
    if rule == Rule::Trace {
        return check_trace::<S>();
    }
    for script in scripts(rule) {
        let scene = Scene::new(State::new(rule, script, S::TELLS_TOO_BIG));
        let machine = Machine::new(scene.clone(), None);
        play(&scene, || S::start(machine, &scene), S::turn)?;
    }
    Ok(())
}

/// Plays all scenes of all rules with a loop.
///
/// # Errors
/// As [`check`].
pub fn check_all<S: Subject>() -> Result<(), Broken> {
    Rule::ALL.into_iter().try_for_each(check::<S>)
}

/// Both sides of two conversations, with the loop around one side and the record for the other.
fn check_trace<S: Subject>() -> Result<(), Broken> {
    for loses in [0, LOSES] {
        let [client, server] = record(loses);
        for (record, actor) in [(client, Actor::client(START)), (server, Actor::server(START))] {
            let script = Script {
                end: LENGTH,
                arrivals: record.heard.clone(),
                batch: 32,
                // Once for each wake, and once more to see that nothing is left.
                waits_max: Some(record.wakes * 2 + 2),
                ..Script::default()
            };
            let scene = Scene::new(State::new(Rule::Trace, script, S::TELLS_TOO_BIG));
            scene.state().book.deadline = actor.deadline();
            let machine = Machine::new(scene.clone(), Some(actor));
            play(&scene, || S::start(machine, &scene), S::turn)?;
            let compared = compare(&mut scene.state(), &record);
            result(&scene, compared)?;
        }
    }
    Ok(())
}

/// What was found in the scene.
fn result(scene: &Scene, verdict: Result<(), Violation>) -> Result<(), Broken> {
    let broken = scene.state().broken.clone();
    match (verdict, broken) {
        (_, Some(broken)) => Err(broken),
        // A violation always leaves its reason.
        (Ok(()) | Err(Violation), None) => Ok(()),
    }
}

/// One scene, from its beginning to its end.
pub(crate) fn play<S>(
    scene: &Scene,
    start: impl FnOnce() -> S,
    mut turn: impl FnMut(&mut S, &mut Vec<Told>),
) -> Result<(), Broken> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut subject = start();
        let mut events = Vec::new();
        let (mut empty, mut waits) = (0, 0);
        while !scene.state().over {
            turn(&mut subject, &mut events);
            let (before, mut state) = (waits, scene.state());
            waits = state.book.waits;
            empty = if waits == before { empty + 1 } else { 0 };
            if empty > MAX_EMPTY_TURNS {
                let what = "turns and turns, and never sleeps".to_owned();
                return state.fail(Rule::Idle, what);
            }
        }
        at_the_end(&mut scene.state(), &events)
    }));
    match played {
        Ok(verdict) => result(scene, verdict),
        Err(thrown) if thrown.is::<Violation>() => result(scene, Err(Violation)),
        // A panic of the loop's own is not ours to explain.
        Err(thrown) => resume_unwind(thrown),
    }
}

/// What is to be seen only when all is over.
fn at_the_end(state: &mut State, events: &[Told]) -> Result<(), Violation> {
    if state.broken.is_some() {
        return Err(Violation);
    }
    let taken = &state.book.taken;
    if taken != events {
        let at = taken.iter().zip(events).take_while(|(one, other)| one == other).count();
        let (one, other) = (taken.get(at), events.get(at));
        let what = format!("event {at} that was taken is {one:?}, and {other:?} was given out");
        return state.fail(Rule::Events, what);
    }
    if !state.script.arrivals.is_empty() || state.has_unread() || state.has_kept() {
        let what = "something is left to receive or to send".to_owned();
        return state.fail(Rule::Batches, what);
    }
    let (waits, most) = (state.book.waits, state.script.waits_max);
    if most.is_some_and(|most| waits > most) {
        let what = format!("sleeps {waits} times, and {most:?} would be plenty");
        return state.fail(Rule::Idle, what);
    }
    let calls = state.book.calls;
    if state.scene == Rule::Idle && calls > waits * MAX_IDLE_CALLS {
        let what = format!("{calls} calls in {waits} sleeps, though hardly anything happens");
        return state.fail(Rule::Idle, what);
    }
    Ok(())
}

/// Rule 7: the same as the record.
fn compare(state: &mut State, record: &Record) -> Result<(), Violation> {
    let wire = std::mem::take(&mut state.wire);
    let same = |one: &Datagram, other: &Datagram| {
        (one.at, one.path, one.ecn, &one.bytes) == (other.at, other.path, other.ecn, &other.bytes)
    };
    let at = wire.iter().zip(&record.said).take_while(|(one, other)| same(one, other)).count();
    if at < wire.len().max(record.said.len()) {
        let tell = |datagram: Option<&Datagram>| match datagram {
            Some(Datagram { at, bytes, .. }) => format!("{} bytes at {at:?}", bytes.len()),
            None => "nothing".to_owned(),
        };
        let (one, other) = (tell(wire.get(at)), tell(record.said.get(at)));
        let what = format!("datagram {at} is {one}, and other loops send {other}");
        return state.fail(Rule::Trace, what);
    }
    let told = u64::try_from(state.book.taken.len()).unwrap_or(u64::MAX);
    if told != record.told {
        let what = format!("{told} events, and other loops give out {}", record.told);
        return state.fail(Rule::Trace, what);
    }
    Ok(())
}
