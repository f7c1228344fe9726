//! Whether somebody wants this process to end.
//!
//! Invariant: asking costs nothing and changes nothing; who rang once need not ring again.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};

use host_sys::signal::{Signals, number};

/// SIGTERM, read from a descriptor.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    signals: Option<Signals>,
    rung: Cell<bool>,
}

impl Bell {
    /// From now on the signal does nothing but ring. To be called before there is a second thread.
    pub(crate) fn hang() -> host_sys::Result<Bell> {
        let signals = Some(Signals::block(&[number::TERM])?);
        Ok(Bell { signals, rung: Cell::new(false) })
    }

    /// Whether it has been rung.
    pub(crate) fn was_rung(&self) -> bool {
        if let Some(signals) = &self.signals
            && matches!(signals.next(), Ok(Some(_)))
        {
            self.rung.set(true);
        }
        self.rung.get()
    }

    /// What becomes readable when it is rung.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.signals.as_ref().map(AsFd::as_fd)
    }
}
