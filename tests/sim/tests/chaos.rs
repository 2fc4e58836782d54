//! Random schedules, each by its seed: whatever happens, the film comes whole within the window.

use headwater_sim::Chaos;

#[test]
fn whatever_happens_everybody_gets_the_film_from_an_honest_source() {
    let chaos = Chaos::default();
    // `cargo xtask bench swarm --case chaos` runs ten thousand.
    for seed in 0..300 {
        let outcome = std::panic::catch_unwind(|| chaos.run(seed));
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(what)) => panic!("seed {seed}: {what}"),
            Err(_) => panic!("seed {seed} panicked"),
        }
    }
}
