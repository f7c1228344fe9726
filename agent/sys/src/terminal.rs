//! Terminals: size, raw mode, and pairs of pseudo-terminals (pty(7), termios(3)).
//!
//! Invariant: [`Raw`] gives the terminal back as it was when it is dropped.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::termios::{self, LocalFlags, OutputFlags, SetArg, Termios};

use crate::Result;
use crate::raw::{check, descriptor};

#[allow(missing_docs)] // the macros make public functions; the names are the kernel's
mod ioctl {
    nix::ioctl_read_bad!(get_size, libc::TIOCGWINSZ, libc::winsize);
    nix::ioctl_write_ptr_bad!(put_size, libc::TIOCSWINSZ, libc::winsize);
}

/// Rows, columns and pixels of a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Size(libc::winsize);

impl Size {
    /// One of this many rows and columns, its pixels unknown.
    pub fn new(rows: u16, columns: u16) -> Self {
        Size(libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
    }

    /// Rows.
    pub fn rows(&self) -> u16 {
        self.0.ws_row
    }

    /// Columns.
    pub fn columns(&self) -> u16 {
        self.0.ws_col
    }
}

/// Whether the descriptor is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// Whether this process is in the foreground of its controlling terminal, which this is.
pub fn in_foreground(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::tcgetpgrp(fd).is_ok_and(|group| group == nix::unistd::getpgrp())
}

/// The terminal's size.
///
/// # Errors
/// `ENOTTY` for anything else.
pub fn size(fd: BorrowedFd<'_>) -> Result<Size> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills a winsize, which `size` is.
    unsafe { ioctl::get_size(fd.as_raw_fd(), &raw mut size) }?;
    Ok(Size(size))
}

/// Set the size of a terminal; its foreground processes get SIGWINCH.
///
/// # Errors
/// `ENOTTY` for anything else.
pub fn set_size(fd: BorrowedFd<'_>, size: Size) -> Result<()> {
    // SAFETY: TIOCSWINSZ reads a winsize, which `size` holds.
    unsafe { ioctl::put_size(fd.as_raw_fd(), &raw const size.0) }?;
    Ok(())
}

/// A terminal in raw mode, restored when dropped.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    saved: Termios,
}

impl Raw {
    /// Switch to raw mode: every key goes to the reader, none is interpreted.
    ///
    /// # Errors
    /// What tcsetattr(3) says.
    pub fn enter(terminal: BorrowedFd<'_>) -> Result<Self> {
        let terminal = crate::file::duplicate(terminal)?;
        let saved = termios::tcgetattr(terminal.as_fd())?;
        let mut raw = saved.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(terminal.as_fd(), SetArg::TCSADRAIN, &raw)?;
        Ok(Raw { terminal, saved })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done when the terminal is gone.
        let _ = termios::tcsetattr(self.terminal.as_fd(), SetArg::TCSADRAIN, &self.saved);
    }
}

/// Have a terminal pass output on as it is, because another one will process it.
///
/// # Errors
/// What tcsetattr(3) says.
pub fn pass_output(terminal: BorrowedFd<'_>) -> Result<()> {
    let mut state = termios::tcgetattr(terminal)?;
    state.output_flags.remove(OutputFlags::OPOST);
    termios::tcsetattr(terminal, SetArg::TCSANOW, &state)
}

/// How a terminal treats the keys typed into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// The byte of the interrupt key, if that key sends SIGINT; 3 is Ctrl-C.
    pub interrupt: Option<u8>,
    /// Lines are edited by the terminal and handed over whole.
    pub canonical: bool,
}

/// How the terminal treats keys now.
///
/// # Errors
/// `ENOTTY`, `EIO` when its other side is gone.
pub fn keys(terminal: BorrowedFd<'_>) -> Result<Keys> {
    let state = termios::tcgetattr(terminal)?;
    let signals = state.local_flags.contains(LocalFlags::ISIG);
    let byte = state.control_chars[termios::SpecialCharacterIndices::VINTR as usize];
    Ok(Keys {
        interrupt: signals.then_some(byte),
        canonical: state.local_flags.contains(LocalFlags::ICANON),
    })
}

/// Open a new pseudo-terminal of the devpts whose multiplexer is at `multiplexer`: both sides.
///
/// # Errors
/// What open(2) and ioctl_tty(2) say.
pub fn open_pair(multiplexer: &CStr) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = nix::fcntl::open(multiplexer, flags, Mode::empty())?;
    let unlock: libc::c_int = 0;
    let (fd, unlock) = (master.as_raw_fd(), &raw const unlock);
    // SAFETY: TIOCSPTLCK reads an int.
    check(libc::c_long::from(unsafe { libc::ioctl(fd, libc::TIOCSPTLCK, unlock) }))?;
    // TIOCGPTPEER (kernel 4.13) opens the other side without a path.
    // SAFETY: it takes open flags as an integer and returns a new descriptor.
    let slave = unsafe {
        descriptor(libc::c_long::from(libc::ioctl(fd, libc::TIOCGPTPEER, flags.bits())))
    }?;
    Ok((master, slave))
}

/// The same terminal, opened anew and non-blocking, so that no setting is shared with whoever holds
/// it already; the plain descriptor again where it may not be opened (after su(1), say).
///
/// # Errors
/// What fcntl(2) says.
pub fn reopen(terminal: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", terminal.as_raw_fd());
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path.as_str(), flags, Mode::empty())
        .or_else(|_| crate::file::duplicate(terminal))
}

/// Make `terminal` the controlling terminal of this session, which must have none.
///
/// # Errors
/// `EPERM` when this process leads no session or another session has the terminal.
pub fn control(terminal: BorrowedFd<'_>) -> Result<()> {
    let fd = terminal.as_raw_fd();
    // SAFETY: TIOCSCTTY takes an integer.
    check(libc::c_long::from(unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) }))?;
    Ok(())
}
