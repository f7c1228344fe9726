//! Classic BPF as seccomp runs it, strict: what the kernel's verifier refuses panics here.

use crate::sandbox::seccomp::Instruction;
use crate::sandbox::seccomp::calls::Architecture;

/// `struct seccomp_data`.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) architecture: u32,
    /// `None` if the program must not look, as when the kernel asks which calls are always allowed.
    pub(super) arguments: Option<[u64; 6]>,
}

impl Data {
    pub(super) fn native(architecture: &Architecture, number: u32, arguments: &[u64]) -> Self {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        Data { number, architecture: architecture.audit, arguments: Some(all) }
    }

    fn word(&self, offset: u32) -> u32 {
        assert_eq!(offset % 4, 0, "unaligned load");
        match offset {
            0 => self.number,
            4 => self.architecture,
            8 | 12 => panic!("the filter depends on the instruction pointer"),
            16..64 => {
                let arguments = self.arguments.expect("the filter looks at an argument");
                let word = usize::try_from(offset - 16).unwrap() / 4;
                (arguments[word / 2] >> (32 * (word % 2))) as u32
            }
            _ => panic!("load at {offset}, behind the end"),
        }
    }
}

/// The value the program returns.
pub(super) fn run(program: &[Instruction], data: &Data) -> u32 {
    let mut accumulator = 0_u32;
    let mut at = 0;
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match code {
            0x06 => return k,
            0x20 => {
                accumulator = data.word(k);
                continue;
            }
            0x54 => {
                accumulator &= k;
                continue;
            }
            0x05 => {
                at += usize::try_from(k).unwrap();
                continue;
            }
            0x15 => accumulator == k,
            0x35 => accumulator >= k,
            0x45 => accumulator & k != 0,
            _ => panic!("operation {code:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}
