//! The names that a module has for addresses: its symbol table, or what it exports.
//!
//! Invariant: one pass over each table, in pieces; at most [`MOST`] symbols are looked at, and a name
//! is cut at [`NAME`] bytes.

use super::Bytes;
use super::elf::{self, Section, long, short, word};

/// Most symbols of one table.
const MOST: u64 = 1 << 20;

/// Longest name, in bytes.
const NAME: usize = 512;

/// Bytes of a symbol, and how many are read at once.
const SYMBOL: usize = 24;
const PIECE: usize = 2048;

/// Kinds of sections.
const TABLE: u32 = 2;
const EXPORTED: u32 = 11;

/// Kinds of symbols: a function, and one whose place is chosen at run time.
const FUNCTION: u8 = 2;
const CHOSEN: u8 = 10;

/// A place whose name is wanted.
pub(super) struct Wanted<'a> {
    /// From where the module begins in memory.
    pub(super) offset: u64,
    /// What was taken off it.
    pub(super) back: u64,
    /// Where to put the name, and how far the place is in it.
    pub(super) found: &'a mut Option<(String, u64)>,
}

/// A function around a place, in the table that is being read.
#[derive(Clone, Copy)]
struct Around {
    name: u32,
    start: u64,
}

/// Find names.
pub(super) fn find(file: &dyn Bytes, mut wanted: Vec<Wanted<'_>>) {
    let Some(header) = elf::header(file) else { return };
    let (Some(segments), Some(sections)) =
        (elf::segments(file, &header), elf::sections(file, &header))
    else {
        return;
    };
    // Where the module says that it begins: 0, or an address that it must have.
    let lowest = segments.iter().filter(|one| one.is_load()).map(|one| one.address).min();
    let base = lowest.unwrap_or_default() & !0xfff;
    for kind in [TABLE, EXPORTED] {
        let Some(table) = sections.iter().find(|one| one.kind == kind) else { continue };
        let Some(names) = sections.get(table.link as usize) else { continue };
        wanted.retain(|one| one.found.is_none());
        look_up(file, table, names, base, &mut wanted);
    }
}

fn look_up(
    file: &dyn Bytes,
    table: &Section,
    names: &Section,
    base: u64,
    wanted: &mut [Wanted<'_>],
) {
    let mut around: Vec<Option<Around>> = vec![None; wanted.len()];
    let count = (table.size / SYMBOL as u64).min(MOST);
    let mut piece = vec![0; PIECE * SYMBOL];
    let mut done = 0;
    while done < count {
        let bytes = &mut piece[..(count - done).min(PIECE as u64) as usize * SYMBOL];
        let Some(place) = table.offset.checked_add(done * SYMBOL as u64) else { return };
        if !file.read(place, bytes) {
            break;
        }
        for (one, around) in wanted.iter().zip(&mut around) {
            let address = base.wrapping_add(one.offset);
            for symbol in bytes.chunks_exact(SYMBOL) {
                take(symbol, address, around);
            }
        }
        done += PIECE as u64;
    }
    for (one, around) in wanted.iter_mut().zip(around) {
        let Some(around) = around else { continue };
        let within = base.wrapping_add(one.offset) - around.start + one.back;
        *one.found = name(file, names, around.name).map(|name| (name, within));
    }
}

/// Take a symbol for the one around an address, if it is and begins nearer than the one before.
fn take(symbol: &[u8], address: u64, around: &mut Option<Around>) {
    let kind = symbol.get(4).map_or(0, |info| info & 0xf);
    let defined = short(symbol, 6).is_some_and(|section| section != 0);
    if !defined || !matches!(kind, FUNCTION | CHOSEN) {
        return;
    }
    let (Some(name), Some(start), Some(size)) =
        (word(symbol, 0), long(symbol, 8), long(symbol, 16))
    else {
        return;
    };
    let inside = address.checked_sub(start).is_some_and(|within| within < size);
    if inside && around.is_none_or(|known| known.start < start) {
        *around = Some(Around { name, start });
    }
}

fn name(file: &dyn Bytes, names: &Section, at: u32) -> Option<String> {
    let left = names.size.checked_sub(u64::from(at))?;
    let mut bytes = vec![0; left.min(NAME as u64) as usize];
    if !file.read(names.offset.checked_add(u64::from(at))?, &mut bytes) {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(&bytes[..end]).into_owned();
    Some(name).filter(|name| !name.is_empty())
}
