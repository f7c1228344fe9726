//! Cores that are put together here, and bytes that are none.

use proptest::prelude::*;

use super::*;

/// A file's bytes.
struct Owned(Vec<u8>);

impl Bytes for Owned {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let end = usize::try_from(offset).ok().and_then(|start| start.checked_add(buffer.len()));
        match end.and_then(|end| self.0.get(offset as usize..end)) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return false,
        }
        true
    }
}

/// What a core is made of.
#[derive(Clone)]
struct Made {
    machine: u16,
    status: Vec<u8>,
    files: Vec<(u64, u64, &'static str)>,
    memory: Vec<(u64, u32, Vec<u8>)>,
    siginfo: Option<(i32, i32, u64)>,
}

const CODE: u32 = 5;
const DATA: u32 = 6;

fn note(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(5_u32.to_le_bytes());
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend(b"CORE\0\0\0\0");
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

impl Made {
    /// A thread of x86-64 that ran code at 0x400000 with a stack at 0x7000.
    fn new(instruction: u64, frame: u64, stack: Vec<u8>) -> Made {
        let mut status = vec![0; 336];
        status[12..14].copy_from_slice(&11_i16.to_le_bytes());
        for (register, value) in [(4, frame), (16, instruction), (19, 0x7000)] {
            status[112 + 8 * register..][..8].copy_from_slice(&u64::to_le_bytes(value));
        }
        Made {
            machine: 62,
            status,
            files: vec![
                (0x40_0000, 0x40_1000, "/srv/server"),
                (0x40_1000, 0x40_3000, "/srv/server"),
            ],
            memory: vec![(0x7000, DATA, stack), (0x40_1000, CODE, vec![0x90; 0x2000])],
            siginfo: Some((11, 1, 0x10)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut notes = note(1, &self.status);
        if let Some((number, code, address)) = self.siginfo {
            let mut info = vec![0; 128];
            info[..4].copy_from_slice(&number.to_le_bytes());
            info[8..12].copy_from_slice(&code.to_le_bytes());
            info[16..24].copy_from_slice(&address.to_le_bytes());
            notes.extend(note(0x5349_4749, &info));
        }
        let mut files = Vec::new();
        files.extend((self.files.len() as u64).to_le_bytes());
        files.extend(4096_u64.to_le_bytes());
        for (start, end, _) in &self.files {
            files.extend([*start, *end, 0].iter().flat_map(|one| one.to_le_bytes()));
        }
        for (.., path) in &self.files {
            files.extend(path.bytes().chain([0]));
        }
        notes.extend(note(0x4649_4c45, &files));
        let count = self.memory.len() + 1;
        let mut offset = (64 + 56 * count) as u64;
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[16..18].copy_from_slice(&4_u16.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&(count as u16).to_le_bytes());
        let mut header = |kind: u32, flags: u32, address: u64, size: usize| {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            let numbers = [offset, address, 0, size as u64, size as u64, 0];
            bytes.extend(numbers.iter().flat_map(|one| one.to_le_bytes()));
            offset += size as u64;
        };
        header(4, 4, 0, notes.len());
        for (address, flags, content) in &self.memory {
            header(1, *flags, *address, content.len());
        }
        bytes.extend(notes);
        bytes.extend(self.memory.iter().flat_map(|(.., content)| content));
        bytes
    }
}

/// A stack of words from 0x7000 on.
fn stack(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn addresses(made: &Made) -> Vec<u64> {
    let crash = read(&Owned(made.bytes())).unwrap();
    crash.frames.iter().map(|frame| frame.address).collect()
}

#[test]
fn frames_are_followed_to_the_outermost() {
    let words = stack(&[0, 0, 0x7020, 0x40_1111, 0x7030, 0x40_1222, 0, 0x40_1333]);
    let made = Made::new(0x40_1000, 0x7010, words);
    let crash = read(&Owned(made.bytes())).unwrap();
    assert_eq!((crash.signal, crash.address), (11, Some(0x10)));
    assert_eq!(addresses(&made), [0x40_1000, 0x40_1111, 0x40_1222, 0x40_1333]);
    let module = crash.frames[1].module.as_ref().unwrap();
    assert_eq!((module.path.as_str(), module.offset), ("/srv/server", 0x1111));
}

#[test]
fn a_chain_that_leads_back_or_out_of_code_ends() {
    for (words, frames) in [
        // To itself, and back.
        (stack(&[0x7000, 0x40_1111]), 2),
        (stack(&[0x7010, 0x40_1111, 0x7000, 0x40_1222]), 3),
        // To what is no code, to nowhere, to the middle of a word.
        (stack(&[0x7010, 0x7008, 0, 0]), 1),
        (stack(&[0xffff_ffff_ffff_fff8, 0x40_1111]), 2),
        (stack(&[0x7009, 0x40_1111, 0x40_1111, 0x40_1111]), 2),
    ] {
        assert_eq!(addresses(&Made::new(0x40_1000, 0x7000, words)).len(), frames);
    }
    let endless: Vec<u64> = (0..1000).flat_map(|n| [0x7010 + 16 * n, 0x40_1111]).collect();
    assert_eq!(addresses(&Made::new(0x40_1000, 0x7000, stack(&endless))).len(), FRAMES);
}

#[test]
fn a_call_of_nothing_is_told_by_its_caller() {
    let words = stack(&[0x40_1111, 0, 0, 0x40_1222]);
    assert_eq!(addresses(&Made::new(0, 0x7010, words)), [0, 0x40_1111, 0x40_1222]);
}

#[test]
fn aarch64_keeps_its_registers_elsewhere() {
    let mut made = Made::new(0, 0, stack(&[0, 0x40_1111 | 0x2f << 56]));
    made.machine = 183;
    made.status = vec![0; 392];
    made.status[12] = 11;
    for (register, value) in [(29, 0x7000), (30, 0x40_1222), (31, 0x7000), (32, 0x40_1000)] {
        made.status[112 + 8 * register..][..8].copy_from_slice(&u64::to_le_bytes(value));
    }
    assert_eq!(addresses(&made), [0x40_1000, 0x40_1111], "without its signature");
    made.status[112 + 8 * 32..][..8].fill(0);
    assert_eq!(addresses(&made), [0, 0x40_1222, 0x40_1111]);
}

#[test]
fn a_signal_that_was_sent_is_about_no_address() {
    for siginfo in [Some((11, 0, 0x10)), Some((11, 0x80, 0x10)), Some((6, 1, 0x10)), None] {
        let mut made = Made::new(0x40_1000, 0, Vec::new());
        made.siginfo = siginfo;
        assert_eq!(read(&Owned(made.bytes())).unwrap().address, None, "{siginfo:?}");
    }
}

#[test]
fn what_is_no_core_is_said_to_be_none() {
    let whole = Made::new(0x40_1000, 0, Vec::new()).bytes();
    assert_eq!(read(&Owned(b"not a core".to_vec())), Err(CoreError::NoCore));
    let mut program = whole.clone();
    program[16] = 2;
    assert_eq!(read(&Owned(program)), Err(CoreError::NoCore));
    assert_eq!(read(&Owned(whole[..100].to_vec())), Err(CoreError::Short));
    assert_eq!(read(&Owned(whole[..300].to_vec())), Err(CoreError::Short));
    let mut made = Made::new(0x40_1000, 0, Vec::new());
    made.status.truncate(50);
    assert_eq!(read(&Owned(made.bytes())), Err(CoreError::NoThread));
}

/// A module with these functions in its table of symbols: value, size, name.
fn module(functions: &[(u64, u64, &str)], kind: u32) -> Vec<u8> {
    let mut names = vec![0];
    let mut symbols = vec![0; 24];
    for (value, size, name) in functions {
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([2, 0, 1, 0]);
        symbols.extend(value.to_le_bytes());
        symbols.extend(size.to_le_bytes());
        names.extend(name.bytes().chain([0]));
    }
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16] = 3;
    bytes[18] = 62;
    bytes[54] = 56;
    bytes[58] = 64;
    bytes[60] = 2;
    bytes[40..48].copy_from_slice(&64_u64.to_le_bytes());
    let start = 64 + 2 * 64;
    for (kind, offset, size, link) in
        [(kind, start, symbols.len(), 1_u32), (3, start + symbols.len(), names.len(), 0)]
    {
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend((offset as u64).to_le_bytes());
        bytes.extend((size as u64).to_le_bytes());
        bytes.extend(link.to_le_bytes());
        bytes.extend([0; 20]);
    }
    bytes.extend(symbols);
    bytes.extend(names);
    bytes
}

fn named(frames: &mut [Frame], module: &[u8]) -> Vec<Option<(String, u64)>> {
    let mut opened = Vec::new();
    name(frames, &mut |path| {
        opened.push(path.to_owned());
        Some(Box::new(Owned(module.to_vec())))
    });
    assert_eq!(opened, ["/srv/server"], "each module is opened once");
    frames.iter().map(|frame| frame.symbol.clone()).collect()
}

#[test]
fn functions_are_named_by_the_module() {
    let words = stack(&[0x7010, 0x40_1120, 0, 0x40_1120]);
    let mut frames = read(&Owned(Made::new(0x40_1100, 0x7000, words).bytes())).unwrap().frames;
    let functions = [(0x1000, 0x200, "outer"), (0x1100, 0x20, "crash"), (0x1120, 0x20, "next")];
    for kind in [2, 11] {
        frames.iter_mut().for_each(|frame| frame.symbol = None);
        let names = named(&mut frames, &module(&functions, kind));
        // What is returned to behind a last call is the calling function's still.
        let crash = |within| Some(("crash".to_owned(), within));
        assert_eq!(names, [crash(0), crash(0x20), crash(0x20)], "{kind}");
    }
    frames.iter_mut().for_each(|frame| frame.symbol = None);
    assert_eq!(named(&mut frames, &module(&[(0x1101, 9, "beside")], 2)), [None, None, None]);
    for functions in [(0x1000, 0x100, "ends before it"), (0x1200, 0x100, "begins behind it")] {
        assert_eq!(named(&mut frames, &module(&[functions], 2)), [None, None, None]);
    }
    assert_eq!(named(&mut frames, b"no module"), [None, None, None]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// No bytes make it panic, or say more than it may.
    #[test]
    fn nothing_in_a_file_can_do_harm(
        cut in 0_usize..20_000,
        changes in prop::collection::vec((0_usize..1200, any::<u8>()), 0..24),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let words = stack(&[0x7010, 0x40_1111, 0x7030, 0x40_1222, 0, 0, 0, 0x40_1333]);
        let mut core = Made::new(0x40_1000, 0x7000, words).bytes();
        let mut shared = module(&[(0x1000, 0x200, "outer"), (0x1100, 0x20, "crash")], 2);
        for (place, byte) in &changes {
            for bytes in [&mut core, &mut shared] {
                let length = bytes.len();
                bytes[place % length] = *byte;
            }
        }
        core.truncate(cut);
        for bytes in [core, noise] {
            if let Ok(mut crash) = read(&Owned(bytes)) {
                prop_assert!(crash.frames.len() <= FRAMES);
                name(&mut crash.frames, &mut |_| Some(Box::new(Owned(shared.clone()))));
            }
        }
    }
}
