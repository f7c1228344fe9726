//! The whole terminal, for a table that is drawn again and again.
//!
//! Invariant: the terminal is given back as it was, with what stood on it, when this is dropped.

use std::io::Write;

use agent::failure::Error;
use host_sys::terminal::Raw;

/// The alternate screen with the cursor hidden (xterm's control sequences 1049 and 25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A terminal that belongs to us for a while.
#[derive(Debug)]
pub struct Screen {
    _raw: Raw,
}

impl Screen {
    /// Take the terminal: keys come one by one, and nothing else is shown.
    pub fn take() -> Result<Screen, Error> {
        let [input, ..] = host_sys::file::standard();
        let raw = Raw::enter(input)?;
        put(ENTER);
        Ok(Screen { _raw: raw })
    }

    /// Show this and nothing else, as far as it fits.
    pub fn draw(&self, text: &str) {
        let [_, output, _] = host_sys::file::standard();
        let rows = host_sys::terminal::size(output).map_or(24, |size| usize::from(size.rows()));
        // From the top; each line and what follows the last is cleared as it is written (ED, EL).
        let lines: Vec<_> = text.lines().take(rows.max(1)).collect();
        put(&format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n")));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        put(LEAVE);
    }
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone shows nothing.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
