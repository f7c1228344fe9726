//! The core file of a process (core(5)), read for one thing: where its crashed thread was.
//!
//! Owns the layout of 64-bit little-endian ELF cores of x86-64 and aarch64 Linux. Invariant: pure and
//! bounded, whatever the bytes say: notes up to [`NOTES`], [`FRAMES`] frames, one pass over a module's
//! symbols; nothing in a file can make it panic or read for ever. An app can write any file, so what
//! comes of one is the app's own word about itself. Never opens a file: whoever asks brings it.
//!
//! | module | owns |
//! | --- | --- |
//! | [`elf`] | headers of ELF files (elf(5)) |
//! | [`notes`] | registers, the signal, which file is mapped where |
//! | [`walk`] | from frame to frame by frame pointers |
//! | [`symbols`] | the names that a module has for addresses |

mod elf;
mod notes;
mod symbols;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::os::unix::fs::FileExt;

use elf::Segment;
use notes::Notes;
use symbols::Wanted;

/// Most bytes of notes that are read: the crashed thread's come first, and the kernel writes at most
/// 4 MiB about mapped files (fs/binfmt_elf.c, MAX_FILE_NOTE_SIZE).
const NOTES: u64 = 8 << 20;

/// Most frames of a backtrace.
pub const FRAMES: usize = 64;

/// Something that is read from any place of it.
pub trait Bytes {
    /// Fill `buffer` from `offset` on; `false` if there are not as many bytes.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool;
}

impl Bytes for File {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        self.read_exact_at(buffer, offset).is_ok()
    }
}

/// Why nothing can be said of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreError {
    /// It is no core file of this kind of machine.
    NoCore,
    /// It ends before what it says it holds: the disk was full, or RLIMIT_CORE too small.
    Short,
    /// It does not say where a thread was.
    NoThread,
}

impl std::fmt::Display for CoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            CoreError::NoCore => "it is no core file of a 64-bit program of this kind of machine",
            CoreError::Short => "it ends before its notes do",
            CoreError::NoThread => "it does not say where a thread was",
        })
    }
}

impl std::error::Error for CoreError {}

/// What a core says of the crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The signal that ended it.
    pub signal: i32,
    /// The address that could not be accessed or executed, where the signal is about one.
    pub address: Option<u64>,
    /// The frames of the crashed thread, the innermost first.
    pub frames: Vec<Frame>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The next instruction: for the innermost the one that crashed, else the one to return to.
    pub address: u64,
    /// The file it is in, if it is in one, as the program saw it.
    pub module: Option<Module>,
    /// The function, if the module names it, and how far in it.
    pub symbol: Option<(String, u64)>,
}

/// A place in a mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its path inside the sandbox.
    pub path: String,
    /// From the address where it begins.
    pub offset: u64,
}

/// Read a core: frames by module and offset.
///
/// # Errors
/// When it is none, or nothing of it that would help is there.
pub fn read(core: &dyn Bytes) -> Result<Crash, CoreError> {
    let header = elf::core_header(core).ok_or(CoreError::NoCore)?;
    let segments = elf::segments(core, &header).ok_or(CoreError::Short)?;
    let part = segments.iter().find(|one| one.is_note()).ok_or(CoreError::NoThread)?;
    let mut bytes = vec![0; part.file_size.min(NOTES) as usize];
    if !core.read(part.offset, &mut bytes) {
        return Err(CoreError::Short);
    }
    let notes = notes::read(&bytes, header.machine);
    let registers = notes.registers.ok_or(CoreError::NoThread)?;
    let memory = Memory::new(core, &segments);
    let addresses = walk::frames(&memory, header.machine, &registers);
    let frames = addresses.into_iter().map(|address| Frame {
        address,
        module: module_of(&notes, address),
        symbol: None,
    });
    Ok(Crash { signal: notes.signal, address: notes.address, frames: frames.collect() })
}

/// Give frames the names that their modules have for them. `open` opens a module by its path; each is
/// opened once.
pub fn name(frames: &mut [Frame], open: &mut dyn FnMut(&str) -> Option<Box<dyn Bytes>>) {
    let mut asked: Vec<String> = Vec::new();
    let paths: Vec<String> =
        frames.iter().filter_map(|one| Some(one.module.as_ref()?.path.clone())).collect();
    for path in paths {
        if asked.contains(&path) {
            continue;
        }
        if let Some(file) = open(&path) {
            name_in(frames, &path, &*file);
        }
        asked.push(path);
    }
}

fn name_in(frames: &mut [Frame], path: &str, file: &dyn Bytes) {
    let inside = frames.iter_mut().enumerate().filter_map(|(index, frame)| {
        let module = frame.module.as_ref().filter(|module| module.path == path)?;
        // A call can be the last instruction of its function: what is behind it is another's then.
        let back = u64::from(index > 0);
        Some(Wanted { offset: module.offset.saturating_sub(back), back, found: &mut frame.symbol })
    });
    symbols::find(file, inside.collect());
}

fn module_of(notes: &Notes, address: u64) -> Option<Module> {
    let mapping = notes.mappings.iter().find(|one| (one.start..one.end).contains(&address))?;
    let path = notes.paths.get(mapping.path)?;
    let same = notes.mappings.iter().filter(|one| notes.paths.get(one.path) == Some(path));
    let base = same.map(|one| one.start).min()?;
    Some(Module { path: path.clone(), offset: address - base })
}

/// The memory of the process, as far as it is in the core.
struct Memory<'a> {
    core: &'a dyn Bytes,
    loaded: Vec<&'a Segment>,
}

impl<'a> Memory<'a> {
    fn new(core: &'a dyn Bytes, segments: &'a [Segment]) -> Memory<'a> {
        let mut loaded: Vec<&Segment> = segments.iter().filter(|one| one.is_load()).collect();
        loaded.sort_by_key(|one| one.address);
        Memory { core, loaded }
    }

    fn segment(&self, address: u64) -> Option<&Segment> {
        let behind = self.loaded.partition_point(|one| one.address <= address);
        let found = self.loaded.get(behind.checked_sub(1)?)?;
        (address - found.address < found.memory_size).then_some(*found)
    }

    /// Whether there is something to execute at this address.
    fn is_code(&self, address: u64) -> bool {
        self.segment(address).is_some_and(Segment::is_code)
    }

    /// Eight bytes of it, as a number.
    fn word(&self, address: u64) -> Option<u64> {
        let segment = self.segment(address)?;
        let within = address - segment.address;
        let end = within.checked_add(8)?;
        if end > segment.file_size {
            return None;
        }
        let mut word = [0; 8];
        let place = segment.offset.checked_add(within)?;
        self.core.read(place, &mut word).then(|| u64::from_le_bytes(word))
    }
}
