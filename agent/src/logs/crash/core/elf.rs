//! Headers of 64-bit little-endian ELF files (elf(5)).
//!
//! Invariant: pure; a number that a file states is only ever an offset to try, never a size to
//! allocate.

use super::Bytes;

/// Most segments or sections of a file that are looked at: what fits into the 16 bits of a header.
const HEADERS: u64 = 0xffff;

const TYPE_CORE: u16 = 4;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_NOTE: u32 = 4;
const FLAG_CODE: u32 = 1;

/// Bytes of the headers: of the file, of a segment, of a section.
const FILE: usize = 64;
const SEGMENT: usize = 56;
const SECTION: usize = 64;

/// What a core is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// x86-64.
    X86,
    /// aarch64.
    Arm,
}

/// The file's header, as far as it is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) machine: Machine,
    kind: u16,
    segments: (u64, u64),
    sections: (u64, u64),
}

/// A program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    kind: u32,
    flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
}

impl Segment {
    pub(super) fn is_note(&self) -> bool {
        self.kind == SEGMENT_NOTE
    }

    pub(super) fn is_load(&self) -> bool {
        self.kind == SEGMENT_LOAD
    }

    pub(super) fn is_code(&self) -> bool {
        self.flags & FLAG_CODE != 0
    }
}

/// A section header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) kind: u32,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// The section that belongs to it: of symbols, that of their names.
    pub(super) link: u32,
}

/// The header of a core file.
pub(super) fn core_header(file: &dyn Bytes) -> Option<Header> {
    header(file).filter(|header| header.kind == TYPE_CORE)
}

/// The header of any file of a machine that is known here.
pub(super) fn header(file: &dyn Bytes) -> Option<Header> {
    let mut bytes = [0; FILE];
    if !file.read(0, &mut bytes) {
        return None;
    }
    // Magic, 64 bits, little-endian.
    if bytes[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let machine = match short(&bytes, 18)? {
        62 => Machine::X86,
        183 => Machine::Arm,
        _ => return None,
    };
    let sized = |at, size: usize| short(&bytes, at).filter(|found| usize::from(*found) == size);
    sized(54, SEGMENT)?;
    let segments = (long(&bytes, 32)?, u64::from(short(&bytes, 56)?));
    let has_sections = short(&bytes, 60)? > 0;
    let sections = match has_sections.then(|| sized(58, SECTION)).flatten() {
        Some(_) => (long(&bytes, 40)?, u64::from(short(&bytes, 60)?)),
        None => (0, 0),
    };
    Some(Header { machine, kind: short(&bytes, 16)?, segments, sections })
}

/// Its segments; `None` if the file ends before they do.
pub(super) fn segments(file: &dyn Bytes, header: &Header) -> Option<Vec<Segment>> {
    let bytes = table(file, header.segments, SEGMENT)?;
    let read = |bytes: &[u8]| {
        Some(Segment {
            kind: word(bytes, 0)?,
            flags: word(bytes, 4)?,
            offset: long(bytes, 8)?,
            address: long(bytes, 16)?,
            file_size: long(bytes, 32)?,
            memory_size: long(bytes, 40)?,
        })
    };
    bytes.chunks_exact(SEGMENT).map(read).collect()
}

/// Its sections; `None` if the file ends before they do.
pub(super) fn sections(file: &dyn Bytes, header: &Header) -> Option<Vec<Section>> {
    let bytes = table(file, header.sections, SECTION)?;
    let read = |bytes: &[u8]| {
        Some(Section {
            kind: word(bytes, 4)?,
            offset: long(bytes, 24)?,
            size: long(bytes, 32)?,
            link: word(bytes, 40)?,
        })
    };
    bytes.chunks_exact(SECTION).map(read).collect()
}

fn table(file: &dyn Bytes, (offset, count): (u64, u64), size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count.min(HEADERS) as usize * size];
    file.read(offset, &mut bytes).then_some(bytes)
}

/// A number of two bytes at this offset.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of four bytes.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of eight bytes.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
