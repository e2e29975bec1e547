//! The examples, run as tests: each is a whole program, and fails by itself if something is wrong.
#![forbid(unsafe_code)]

#[path = "../examples/arena.rs"]
mod arena;
#[path = "../examples/echo_calls.rs"]
mod echo_calls;
#[path = "../examples/foreign_loop.rs"]
mod foreign_loop;
#[path = "../examples/game_loop.rs"]
mod game_loop;

/// Ten lines are a server and a client.
#[test]
fn ten_lines_are_a_server_and_a_client() {
    echo_calls::main().expect("an echo");
}

/// A game over calls: its world on a latest stream, inputs that expire, a shop that is asked.
#[test]
fn a_game_is_played_over_calls() {
    arena::main().expect("the game is played to its end");
}

/// T70: a foreign loop needs "readable" and one timer.
#[test]
fn t70_the_engine_lives_in_a_foreign_loop() {
    foreign_loop::main().expect("it counts to a hundred");
}

/// T70: a game calls with zero each frame, and never waits.
#[test]
fn t70_the_engine_lives_in_a_game() {
    game_loop::main().expect("the game is played to its end");
}
