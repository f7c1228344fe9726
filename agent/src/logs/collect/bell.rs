//! Whether somebody wants this process to end.
//!
//! Invariant: asking costs nothing and changes nothing; who rang once need not ring again.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};

use host_sys::signal::{Signals, number};

/// Says that there is little time left.
pub(crate) const HURRY: i32 = number::USR1;

/// SIGTERM and [`HURRY`], read from a descriptor.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    signals: Option<Signals>,
    rung: Cell<bool>,
    hurried: Cell<bool>,
}

impl Bell {
    /// From now on the signals do nothing but ring. To be called before there is a second thread.
    pub(crate) fn hang() -> host_sys::Result<Bell> {
        let signals = Some(Signals::block(&[number::TERM, HURRY])?);
        Ok(Bell { signals, ..Bell::default() })
    }

    /// Whether it has been rung: somebody waits for the end.
    pub(crate) fn was_rung(&self) -> bool {
        self.listen();
        self.rung.get()
    }

    /// Whether nobody will come back for what is left.
    pub(crate) fn is_hurried(&self) -> bool {
        self.listen();
        self.hurried.get()
    }

    fn listen(&self) {
        while let Some(Ok(Some(signal))) = self.signals.as_ref().map(Signals::next) {
            if signal == HURRY { self.hurried.set(true) } else { self.rung.set(true) }
        }
    }

    /// What becomes readable when it is rung.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.signals.as_ref().map(AsFd::as_fd)
    }
}
