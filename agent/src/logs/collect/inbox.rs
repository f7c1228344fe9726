//! Messages that come whole: datagrams of the program's log socket, and what the holder says.
//!
//! Invariant: a message is taken out of its queue when its records are in the log, or counted as lost
//! there, and the state says so; by the time of its arrival the next collector knows one that was
//! dealt with already. Never waits.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use host_sys::Errno;
use host_sys::datagram::{self, Next};

use super::flow::Works;
use crate::logs::segment::{Reader, Step};
use crate::logs::shape::{Draft, Settings, datagram as shape};
use crate::logs::stamp::precisely;

/// How many messages are dealt with before somebody else has a turn.
const TURN: usize = 64;
/// The first buffer, in bytes: most messages are not longer.
const ROOM: usize = 16 * 1024;
/// What is taken of one message, in bytes. A longer one is cut.
const LONGEST: usize = 2 * 1024 * 1024;

/// What becomes of a message.
pub(super) enum Meaning<T> {
    /// Records.
    Records(Vec<Draft<'static>>),
    /// Something else.
    Other(T),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Inbox {
    socket: OwnedFd,
    /// Its place in the state.
    place: usize,
    buffer: Vec<u8>,
    /// The last record of the log, as long as it may be of a message that is still in the queue.
    last: Option<String>,
    is_closed: bool,
}

impl Inbox {
    /// `last` is when the last record of this start came, if that came by a message.
    pub(super) fn new(socket: OwnedFd, place: usize, last: Option<String>) -> io::Result<Inbox> {
        datagram::note_arrivals(socket.as_fd())?;
        Ok(Inbox { socket, place, buffer: Vec::new(), last, is_closed: false })
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_closed).then_some(self.socket.as_fd())
    }

    /// Whether nobody can say anything any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Deal with what waits; whether there was anything. `read` tells what a message means, and a
    /// file that came with it; what is not records is pushed to `others`.
    pub(super) fn turn<T>(
        &mut self,
        works: &mut Works,
        others: &mut Vec<T>,
        mut read: impl FnMut(&[u8], Option<OwnedFd>) -> Meaning<T>,
    ) -> io::Result<bool> {
        let mut count = 0;
        while count < TURN {
            let Some(next) = self.next()? else { break };
            self.deal_with(next, works, others, &mut read)?;
            count += 1;
        }
        Ok(count > 0)
    }

    /// Complete the message that the last record of the log is of, if there is one. Before that no
    /// other record may be written: it would not be known again.
    pub(super) fn catch_up<T>(
        &mut self,
        works: &mut Works,
        others: &mut Vec<T>,
        mut read: impl FnMut(&[u8], Option<OwnedFd>) -> Meaning<T>,
    ) -> io::Result<()> {
        if self.last.is_some()
            && let Some(next) = self.next()?
            && next.arrived.map(precisely) == self.last
        {
            self.deal_with(next, works, others, &mut read)?;
        }
        self.last = None;
        Ok(())
    }

    /// Look at the next message.
    fn next(&mut self) -> io::Result<Option<Next>> {
        if self.buffer.is_empty() {
            self.buffer.resize(ROOM, 0);
        }
        while !self.is_closed {
            let next = match datagram::look(self.socket.as_fd(), &mut self.buffer) {
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                next => next?,
            };
            if next.length == 0 && next.arrived.is_none() && next.file.is_none() {
                self.is_closed = true;
            } else if next.length > self.buffer.len() && self.buffer.len() < LONGEST {
                self.buffer.resize(next.length.min(LONGEST), 0);
            } else {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    fn deal_with<T>(
        &mut self,
        next: Next,
        works: &mut Works,
        others: &mut Vec<T>,
        read: &mut impl FnMut(&[u8], Option<OwnedFd>) -> Meaning<T>,
    ) -> io::Result<()> {
        let arrived = next.arrived.unwrap_or_else(works.clock);
        let nanos = u64::try_from(arrived.as_nanos()).unwrap_or(u64::MAX);
        // Else it was dealt with, and there was no time to take it out.
        if works.ledger.state.heard[self.place] != nanos {
            let bytes = &self.buffer[..next.length.min(self.buffer.len())];
            match read(bytes, next.file) {
                Meaning::Records(drafts) => {
                    let ts = precisely(arrived);
                    let known = self.known(&ts, drafts.len(), works);
                    record(&drafts[known..], &ts, works);
                }
                Meaning::Other(other) => others.push(other),
            }
            works.ledger.state.heard[self.place] = nanos;
            works.ledger.state.lost = works.log.lost();
            works.ledger.save()?;
        }
        datagram::discard(self.socket.as_fd())?;
        super::checkpoint();
        self.buffer.truncate(ROOM);
        self.buffer.shrink_to(ROOM);
        Ok(())
    }

    /// How many records of a message that came at this time are in the log: none, unless the last
    /// collector was killed while it wrote them.
    fn known(&self, ts: &str, records: usize, works: &Works) -> usize {
        if self.last.as_deref() != Some(ts) {
            return 0;
        }
        let count = || -> io::Result<usize> {
            let mut reader = Reader::open(works.log.folder())?;
            reader.seek_last(records as u64)?;
            let mut known = 0;
            loop {
                match reader.next()? {
                    Step::Entry(entry) => known += usize::from(entry.record.ts == ts),
                    Step::End => return Ok(known),
                    Step::Missing { .. } | Step::Damaged { .. } => {}
                }
            }
        };
        // Twice is better than never.
        count().unwrap_or(0).min(records)
    }
}

fn record(drafts: &[Draft<'_>], ts: &str, works: &mut Works) {
    works.batch.begin(works.log.next_seq(), ts);
    for draft in drafts {
        works.batch.add(draft);
    }
    if works.batch.records > 0 {
        works.log.write(&works.batch.lines, works.batch.records);
    }
    works.batch.begin(works.log.next_seq(), ts);
}

/// A datagram of the log socket: what came with a file, or looks like it, is of the journal's
/// protocol, which begins with a field's name.
pub(super) fn datagram(
    bytes: &[u8],
    file: Option<OwnedFd>,
    settings: &Settings,
) -> Vec<Draft<'static>> {
    if let Some(file) = file {
        return shape::journal(&contents(file), settings);
    }
    let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let name = bytes.iter().take_while(|byte| is_name(byte)).count();
    match bytes.get(name) {
        Some(b'=' | b'\n') if name > 0 => shape::journal(bytes, settings),
        _ => shape::syslog(bytes, settings),
    }
}

/// What is in a file that a client passed. One that is no file can't be read at a place, and nobody
/// waits for it.
fn contents(file: OwnedFd) -> Vec<u8> {
    let is_file = host_sys::file::status(file.as_fd())
        .is_ok_and(|status| status.kind == host_sys::file::Kind::File);
    let mut bytes = Vec::new();
    let file = File::from(file);
    while is_file && bytes.len() < LONGEST {
        let start = bytes.len();
        bytes.resize(start + ROOM, 0);
        match file.read_at(&mut bytes[start..], start as u64) {
            Ok(count @ 1..) => bytes.truncate(start + count),
            Ok(0) | Err(_) => {
                bytes.truncate(start);
                break;
            }
        }
    }
    bytes
}
