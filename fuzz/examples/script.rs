//! Shows what an input of `script` says, as a scenario that `tripline sim play` takes:
//!
//!     cargo run -p tripline-fuzz --example script fuzz/corpus/script/close-at-rest
//!
//! Without a file: how many drawn inputs of up to 60, 120 and 600 bytes are played in a second.

use std::time::Instant;
use tripline_sansio::Seed;

fn main() -> std::io::Result<()> {
    if let Some(file) = std::env::args_os().nth(1) {
        print!("{}", tripline_fuzz::decode(&std::fs::read(file)?));
        return Ok(());
    }
    for most in [60, 120, 600] {
        let start = Instant::now();
        for number in 0..COUNT {
            let mut random = Seed::from_number(number).random("script");
            let len = random.below(most);
            let input: Vec<u8> = (0..len).map(|_| random.bytes::<1>()[0]).collect();
            tripline_fuzz::script(&input);
        }
        let rate = COUNT as f64 / start.elapsed().as_secs_f64();
        println!("up to {most} bytes: {rate:.0} inputs in a second");
    }
    Ok(())
}

/// How many inputs of each length.
const COUNT: u64 = 300;
