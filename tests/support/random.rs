//! Chance that can be repeated.
//!
//! Invariant: the seed is printed, and `HOSTCTL_SEED` sets it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A source of chance (xorshift64*).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// One with a seed of this moment, or the one in the environment.
    #[allow(clippy::print_stdout)] // a test that fails is repeated with it
    pub fn new() -> Random {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let said = std::env::var("HOSTCTL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = said.unwrap_or(now) | 1;
        println!("HOSTCTL_SEED={seed}");
        Random(seed)
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end.max(1)
    }
}
