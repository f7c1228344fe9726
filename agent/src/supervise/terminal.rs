//! The caller's terminal joined to the sandbox's own.
//!
//! Invariant: the program never holds a descriptor of the caller's terminal, so it can neither push
//! input into it nor read what is typed for somebody else; the caller's terminal is given back as
//! it was. Output keeps its order; what does not fit now is kept, bounded, and the source waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use host_sys::poll::Interest;
use host_sys::terminal::{self, Raw};
use host_sys::{Errno, Result, file};

use crate::sandbox::StandardStreams;

/// Most that is held in one direction while the other side is slow.
const HELD: usize = 64 * 1024;

/// One direction: what was read and could not be written yet.
#[derive(Debug, Default)]
struct Flow {
    held: Vec<u8>,
    closed: bool,
}

impl Flow {
    fn has_room(&self) -> bool {
        !self.closed && self.held.len() < HELD
    }

    /// Read once; the bytes that came.
    fn fill(&mut self, from: BorrowedFd<'_>) -> std::ops::Range<usize> {
        let mut buffer = [0; 8192];
        let start = self.held.len();
        match file::read(from, &mut buffer) {
            Ok(0) => self.closed = true,
            Ok(count) => self.held.extend_from_slice(&buffer[..count]),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // EIO: the last process of the sandbox has closed its terminal.
            Err(_) => self.closed = true,
        }
        start..self.held.len()
    }

    /// Write as much as goes at once.
    fn drain(&mut self, to: BorrowedFd<'_>) {
        match file::write(to, &self.held) {
            Ok(count) => drop(self.held.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // Nobody looks any more; the program is not to be held up by that.
            Err(_) => self.held.clear(),
        }
    }
}

/// Which descriptors are ready, as [`Terminal::interests`] listed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Keys were typed.
    Keys,
    /// The program can take input.
    Input,
    /// The program has output.
    Output,
    /// The screen can take output.
    Screen,
}

/// Both terminals.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    keyboard: Option<OwnedFd>,
    screen: OwnedFd,
    interactive: bool,
    input: Flow,
    output: Flow,
    _raw: Option<Raw>,
}

impl Terminal {
    /// Join the sandbox's terminal with the caller's: keys come from `streams[0]` if somebody types
    /// there, and output shows on the first of the other two that is a terminal.
    ///
    /// # Errors
    /// When the caller's terminal can't be switched to raw mode.
    pub(super) fn join(
        master: OwnedFd,
        streams: [BorrowedFd<'_>; 3],
        standard: StandardStreams,
        interactive: bool,
    ) -> Result<Self> {
        let screen = terminal::reopen(streams[standard.shown()])?;
        let keyboard = if standard.keyboard { Some(terminal::reopen(streams[0])?) } else { None };
        let raw = if standard.keyboard { Some(Raw::enter(streams[0])?) } else { None };
        Ok(Terminal {
            master,
            keyboard,
            screen,
            interactive,
            input: Flow::default(),
            output: Flow::default(),
            _raw: raw,
        })
    }

    /// Give the sandbox's terminal the size of the caller's.
    pub(super) fn resize(&self) {
        if let Ok(size) = terminal::size(self.screen.as_fd()) {
            // A terminal that is gone has no size to keep up with.
            let _ = terminal::set_size(self.master.as_fd(), size);
        }
    }

    /// What to wait for.
    pub(super) fn interests(&self) -> Vec<(Side, Interest<'_>)> {
        let mut list = Vec::new();
        let mut add = |side, fd, write| list.push((side, Interest { fd, write }));
        if let Some(keyboard) = self.keyboard.as_ref().filter(|_| self.input.has_room()) {
            add(Side::Keys, keyboard.as_fd(), false);
        }
        if !self.input.held.is_empty() {
            add(Side::Input, self.master.as_fd(), true);
        }
        if self.output.has_room() {
            add(Side::Output, self.master.as_fd(), false);
        }
        if !self.output.held.is_empty() {
            add(Side::Screen, self.screen.as_fd(), true);
        }
        list
    }

    /// Move bytes; `true` when the interrupt key was typed to a program that leaves it to its
    /// terminal (one that reads keys itself, like an editor, gets the key and nothing else).
    pub(super) fn transfer(&mut self, side: Side) -> bool {
        match side {
            Side::Keys => return self.typed(),
            Side::Input => self.input.drain(self.master.as_fd()),
            Side::Output => drop(self.output.fill(self.master.as_fd())),
            Side::Screen => self.output.drain(self.screen.as_fd()),
        }
        false
    }

    fn typed(&mut self) -> bool {
        let Some(keyboard) = &self.keyboard else { return false };
        let fresh = self.input.fill(keyboard.as_fd());
        let Ok(keys) = terminal::keys(self.master.as_fd()) else { return false };
        let interrupt = keys.interrupt.filter(|_| keys.canonical && !self.interactive);
        interrupt.is_some_and(|byte| self.input.held[fresh].contains(&byte))
    }

    /// Show what is left when every process of the sandbox has ended.
    pub(super) fn finish(mut self) {
        while !self.output.closed {
            let before = self.output.held.len();
            self.output.fill(self.master.as_fd());
            if self.output.held.len() == before {
                break;
            }
        }
        while !self.output.held.is_empty() {
            let screen = Interest { fd: self.screen.as_fd(), write: true };
            // A screen that stands still for a second (Ctrl-S) does not hold up the end.
            let ready = host_sys::poll::wait(&[screen], Some(std::time::Duration::from_secs(1)));
            if !ready.is_ok_and(|ready| ready[0]) {
                break;
            }
            self.output.drain(self.screen.as_fd());
        }
    }
}
