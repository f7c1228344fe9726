//! What is in a file already: the end that a killed writer left, and the numbers of our records.
//!
//! Invariant: done by whoever has the file's lock. Bounded memory, whatever is in the files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use host_sys::{Errno, file as sys};
use manifest_spec::log::Resource;
use serde::Deserialize;

use super::copies::copy;
use super::{MODE, Mark};

/// Longest line that is looked at; ours are far shorter.
const LINE: u64 = 4 * 1024 * 1024;
/// Read at once when the end of a line is looked for.
const BLOCK: u64 = 64 * 1024;
/// How each of our lines begins.
const BEGIN: &[u8] = b"{\"v\":";
/// Copies that are looked into.
const COPIES: u32 = 1000;

/// Whose records are looked for.
#[derive(Debug)]
pub(super) struct Whose<'a> {
    pub(super) resource: &'a Resource,
    /// No number above this one counts.
    pub(super) most: u64,
}

/// The part of a line that tells whose it is.
#[derive(Deserialize)]
struct Known<'a> {
    seq: u64,
    #[serde(borrow)]
    app: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    service: std::borrow::Cow<'a, str>,
    instance: u32,
}

/// See to it that a file ends with the end of a line; its size then. What a writer of ours began and
/// did not finish is cut off: whoever it was writes the whole record again. Any other text stays,
/// and gets its end.
pub(super) fn mend(file: &File, size: u64) -> io::Result<u64> {
    let mut last = [0];
    if size == 0 || file.read_exact_at(&mut last, size - 1).is_err() || last == [b'\n'] {
        return Ok(size);
    }
    let begin = line_begin(file, size)?;
    let mut head = [0; BEGIN.len()];
    let there = BEGIN.len().min((size - begin) as usize);
    file.read_exact_at(&mut head[..there], begin)?;
    let is_ours = head[..there] == BEGIN[..there];
    // A file that was not written back before the power failed ends with zeros.
    if is_ours || head[..there].iter().all(|byte| *byte == 0) {
        file.set_len(begin)?;
        return Ok(begin);
    }
    let mut file = file;
    file.write_all(b"\n")?;
    Ok(size + 1)
}

/// Where the line begins that the file ends in.
fn line_begin(file: &File, size: u64) -> io::Result<u64> {
    let mut end = size;
    let mut block = vec![0; BLOCK as usize];
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let block = &mut block[..(end - start) as usize];
        file.read_exact_at(block, start)?;
        if let Some(place) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The highest number among somebody's records that were written since `mark` was noted, wherever
/// the file has been rotated to since; in all files if that can't be told.
pub(super) fn highest(
    directory: BorrowedFd<'_>,
    name: &Path,
    mark: Option<Mark>,
    whose: &Whose<'_>,
) -> io::Result<Option<u64>> {
    let mut highest = None;
    for number in 0..COPIES {
        let file = match sys::append_in(directory, &copy(name, number), MODE, false) {
            Ok(file) => file,
            // A rotation that was interrupted leaves the first name free.
            Err(Errno::ENOENT) if number == 0 => continue,
            Err(Errno::ENOENT) => break,
            Err(errno) => return Err(errno.into()),
        };
        let status = sys::status(std::os::fd::AsFd::as_fd(&file))?;
        let marked = mark.filter(|mark| mark.identity == status.identity);
        // Smaller than it was: not the file it was, whatever its number says.
        let marked = marked.filter(|mark| mark.size <= status.size);
        let found = in_file(File::from(file), marked.map_or(0, |mark| mark.size), whose)?;
        highest = highest.max(found);
        if marked.is_some() {
            break;
        }
    }
    Ok(highest)
}

fn in_file(mut file: File, from: u64, whose: &Whose<'_>) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(from))?;
    let mut lines = BufReader::with_capacity(BLOCK as usize, file);
    let (mut highest, mut line) = (None, Vec::new());
    loop {
        line.clear();
        if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(highest);
        }
        let Ok(known) = serde_json::from_slice::<Known<'_>>(&line) else { continue };
        let Resource { app, service, instance, .. } = whose.resource;
        let is_theirs = known.app == *app && known.service == *service;
        if is_theirs && known.instance == *instance && known.seq <= whose.most {
            highest = highest.max(Some(known.seq));
        }
    }
}
