//! Slots that stay where they are when backends come and go.
//!
//! Each backend has an order of preference over all slots that its name alone decides. They take
//! turns, and each takes the first it likes that is free, until it has its quota. So when one goes,
//! its slots are shared among the others, and few of theirs move.

/// The slots, for each whose it is. There are as many as quotas in sum, a power of two.
pub(super) fn table(names: &[&str], quotas: &[usize]) -> Vec<usize> {
    let size: usize = quotas.iter().sum();
    let mut preferences: Vec<_> = names.iter().map(|name| Preference::of(name, size)).collect();
    let mut slots = vec![None; size];
    let mut missing = quotas.to_vec();
    // Turns are as frequent as quotas are large: an order in which each takes as often as its
    // quota says spreads the losses of going last.
    for taker in super::slots::smooth(quotas) {
        while missing[taker] > 0 {
            let slot = preferences[taker].next();
            if slots[slot].is_none() {
                slots[slot] = Some(taker);
                missing[taker] -= 1;
                break;
            }
        }
    }
    slots.into_iter().flatten().collect()
}

/// A walk over all slots.
struct Preference {
    at: usize,
    step: usize,
    size: usize,
}

impl Preference {
    fn of(name: &str, size: usize) -> Preference {
        let size = size.max(1);
        let hash = hash(name);
        // An odd step meets every slot of a power of two.
        let step = (hash >> 32) as usize | 1;
        Preference { at: hash as usize % size, step, size }
    }

    fn next(&mut self) -> usize {
        let slot = self.at;
        self.at = (self.at + self.step) % self.size;
        slot
    }
}

/// FNV-1a (draft-eastlake-fnv), and a finish that lets each bit of the text reach each of the
/// number (the last step of MurmurHash3). The table must be the same in every version of hostctl.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ fnv >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}
