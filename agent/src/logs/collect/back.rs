//! What is between a program's pipe and the log: a second pipe, and a file beside it.
//!
//! Owns moving bytes from the one to the other and what is then in them. Invariant: bytes that have
//! left the program's pipe are in the back pipe or in the file until they are let go of; only this
//! process puts anything into either or takes it out, so what they hold says how far it came.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use host_sys::poll::{Interest, wait};
use host_sys::{Errno, file, pipe, socket};

/// How much is moved by one call at most.
const MOST: usize = 4 * 1024 * 1024;
/// What is read at once, in bytes.
const BLOCK: usize = 64 * 1024;

/// A pipe that only this process knows, for looking at what another holds, and room for what is
/// read. One is enough for all streams.
#[derive(Debug)]
pub(super) struct Lens {
    reader: OwnedFd,
    writer: OwnedFd,
    null: OwnedFd,
    buffer: Vec<u8>,
    /// How much is in the pipe.
    holds: usize,
}

impl Lens {
    pub(super) fn new(room: usize) -> host_sys::Result<Lens> {
        let (reader, writer) = file::pipe()?;
        // Without more room everything works as well, only not as smoothly.
        let _ = file::widen_pipe(writer.as_fd(), i32::try_from(room).unwrap_or(i32::MAX));
        let (null, buffer) = (file::open_null()?, vec![0; BLOCK]);
        Ok(Lens { reader, writer, null, buffer, holds: 0 })
    }

    /// Look at what a pipe holds, without the first `skip` bytes; how many bytes are seen, with
    /// those.
    fn open(&mut self, pipe: &OwnedFd, skip: usize) -> io::Result<usize> {
        self.empty(self.holds)?;
        let seen = match pipe::show(pipe.as_fd(), self.writer.as_fd(), MOST) {
            Err(Errno::EAGAIN) => 0,
            seen => seen?,
        };
        self.holds = seen;
        self.empty(skip.min(seen))?;
        Ok(seen)
    }

    /// The next bytes, at most `most`; none when there are no more.
    fn next(&mut self, most: usize) -> io::Result<&[u8]> {
        let count = self.holds.min(most).min(BLOCK);
        if count == 0 {
            return Ok(&[]);
        }
        let read = file::read(self.reader.as_fd(), &mut self.buffer[..count])?;
        self.holds -= read;
        Ok(&self.buffer[..read])
    }

    fn empty(&mut self, count: usize) -> io::Result<()> {
        let_go(&self.reader, &self.null, count as u64)?;
        self.holds -= count;
        Ok(())
    }
}

/// Take bytes out of a pipe that has them.
fn let_go(pipe: &OwnedFd, null: &OwnedFd, count: u64) -> io::Result<()> {
    let mut left = count;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(MOST).min(MOST);
        let gone = pipe::shift(pipe.as_fd(), null.as_fd(), most)?;
        if gone == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= gone as u64;
    }
    Ok(())
}

/// What became of filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// So many bytes were moved.
    Some(u64),
    /// There were none.
    Nothing,
    /// There are some, and no room.
    Full,
    /// There are none, and nobody can write any.
    Ended,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Back {
    reader: OwnedFd,
    writer: OwnedFd,
    aside: File,
}

impl Back {
    /// Both ends of the pipe, and where the file is.
    pub(super) fn new(ends: [OwnedFd; 2], aside: &Path) -> io::Result<Back> {
        let [reader, writer] = ends;
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        Ok(Back { reader, writer, aside: options.open(aside)? })
    }

    /// How many bytes are in the pipe.
    pub(super) fn holds(&self) -> io::Result<u64> {
        Ok(socket::unread(self.reader.as_fd())? as u64)
    }

    /// Move in what waits in the program's pipe.
    pub(super) fn fill(&self, front: &OwnedFd) -> io::Result<Filled> {
        match pipe::shift(front.as_fd(), self.writer.as_fd(), MOST) {
            Ok(0) => Ok(Filled::Ended),
            Ok(count) => Ok(Filled::Some(count as u64)),
            Err(Errno::EAGAIN) => {
                // Without room the kernel does not look whether anything is to come. First this: what
                // then is not there by the next call does not come any more.
                let interest = [Interest { fd: front.as_fd(), write: false }];
                let is_ready = wait(&interest, Some(Duration::ZERO))?[0];
                Ok(match (is_ready, socket::unread(front.as_fd())?) {
                    (_, 1..) => Filled::Full,
                    (true, 0) => Filled::Ended,
                    (false, 0) => Filled::Nothing,
                })
            }
            Err(Errno::EINTR) => Ok(Filled::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Look into the pipe behind its first `skip` bytes; how many bytes of it can be seen, with
    /// those. [`Back::read`] reads them.
    pub(super) fn look(&self, lens: &mut Lens, skip: u64) -> io::Result<u64> {
        Ok(lens.open(&self.reader, usize::try_from(skip).unwrap_or(usize::MAX))? as u64)
    }

    /// The next bytes of what [`Back::look`] looked at; none at its end.
    pub(super) fn read<'a>(&self, lens: &'a mut Lens) -> io::Result<&'a [u8]> {
        lens.next(BLOCK)
    }

    /// Bytes that are beside, from a place on.
    pub(super) fn read_aside<'a>(
        &self,
        lens: &'a mut Lens,
        offset: u64,
        most: u64,
    ) -> io::Result<&'a [u8]> {
        let count = usize::try_from(most).unwrap_or(BLOCK).min(BLOCK);
        self.aside.read_exact_at(&mut lens.buffer[..count], offset)?;
        Ok(&lens.buffer[..count])
    }

    /// Write the first bytes of the pipe into the file as well, at most `count`, at this place; how
    /// many that were. What else was in the file behind it counts for nothing.
    pub(super) fn copy_aside(&self, lens: &mut Lens, offset: u64, count: u64) -> io::Result<u64> {
        let mut left = count.min(self.look(lens, 0)?);
        let all = left;
        let mut offset = offset;
        while left > 0 {
            let bytes = lens.next(usize::try_from(left).unwrap_or(BLOCK))?;
            super::checkpoint();
            self.aside.write_all_at(bytes, offset)?;
            offset += bytes.len() as u64;
            left -= bytes.len() as u64;
        }
        Ok(all)
    }

    /// Nobody needs what is beside any more.
    pub(super) fn forget_aside(&self) -> io::Result<()> {
        super::checkpoint();
        self.aside.set_len(0)
    }

    /// Take bytes out of the pipe.
    pub(super) fn let_go(&self, lens: &Lens, count: u64) -> io::Result<()> {
        super::checkpoint();
        #[cfg(test)]
        if count > 1 {
            let_go(&self.reader, &lens.null, count / 2)?;
            super::checkpoint();
            return let_go(&self.reader, &lens.null, count - count / 2);
        }
        let_go(&self.reader, &lens.null, count)
    }
}
