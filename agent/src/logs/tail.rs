//! The last lines of a program's output, for whoever asks why it ended.
//!
//! Invariant: bounded, whatever the program writes: 64 lines, each at most 1 KiB, 32 KiB in all. Both
//! streams are in the order in which their lines were completed; the beginning of a line that has
//! no end yet comes last.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Most lines.
const LINES: usize = 64;
/// Longest line, in bytes of its text.
const LINE: usize = 1024;
/// All their text, in bytes.
const ALL: usize = 32 * 1024;
/// Longest character of UTF-8, in bytes.
const CHARACTER: usize = 4;

/// Which stream a line came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl Source {
    /// As records name it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Output => "stdout",
            Source::Error => "stderr",
        }
    }
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailLine {
    /// Where it came by.
    pub source: Source,
    /// What is not UTF-8 is replaced by U+FFFD. It is the program's: not cleaned for a terminal.
    pub text: String,
    /// Whether it was longer.
    pub cut: bool,
}

/// The last lines of one run. A clone is the same tail, so that one can be kept where the output is
/// read and one where it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Tail(Rc<RefCell<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<TailLine>,
    size: usize,
    begun: [Vec<u8>; 2],
}

impl Tail {
    /// Take in what came by a stream.
    pub(super) fn push(&self, source: Source, bytes: &[u8]) {
        self.0.borrow_mut().push(source, bytes);
    }

    /// What is there now.
    pub fn lines(&self) -> Vec<TailLine> {
        let ring = self.0.borrow();
        let begun = [Source::Output, Source::Error].into_iter().filter_map(|source| {
            let bytes = &ring.begun[source as usize];
            (!bytes.is_empty()).then(|| line(source, bytes))
        });
        ring.lines.iter().cloned().chain(begun).collect()
    }
}

impl Ring {
    fn push(&mut self, source: Source, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let begun = &mut self.begun[source as usize];
            let (piece, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |p| (p, true));
            // A character more than is shown, so that the cut is not seen inside one.
            let room = (LINE + CHARACTER).saturating_sub(begun.len());
            begun.extend(&piece[..piece.len().min(room)]);
            if ends {
                let line = line(source, begun);
                begun.clear();
                self.add(line);
            }
        }
    }

    fn add(&mut self, line: TailLine) {
        self.size += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.size > ALL {
            self.size -= self.lines.pop_front().map_or(self.size, |line| line.text.len());
        }
    }
}

fn line(source: Source, bytes: &[u8]) -> TailLine {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let cut = text.len() > LINE;
    if cut {
        let end = (0..=LINE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    TailLine { source, text, cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tail: &Tail) -> Vec<String> {
        tail.lines().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn both_streams_are_in_the_order_of_their_ends_wherever_reads_cut_them() {
        let pieces = [
            (Source::Output, "one\ntw"),
            (Source::Error, "bad\n"),
            (Source::Output, "o\n\nthree"),
            (Source::Error, "prompt"),
        ];
        let tail = Tail::default();
        let whole = tail.clone();
        for (source, text) in pieces {
            for byte in text.as_bytes() {
                tail.push(source, &[*byte]);
            }
        }
        assert_eq!(texts(&whole), ["one", "bad", "two", "", "three", "prompt"]);
        let sources: Vec<_> = whole.lines().iter().map(|line| line.source.name()).collect();
        assert_eq!(sources, ["stdout", "stderr", "stdout", "stdout", "stdout", "stderr"]);
    }

    #[test]
    fn lines_and_their_number_and_all_of_them_are_bounded() {
        let tail = Tail::default();
        for number in 0..100 {
            tail.push(Source::Output, format!("{number}\n").as_bytes());
        }
        assert_eq!(texts(&tail)[0], "36");
        assert_eq!(texts(&tail).len(), LINES);
        for _ in 0..100 {
            tail.push(Source::Error, &[b'x'; 100_000]);
            tail.push(Source::Error, b"\n");
        }
        let lines = tail.lines();
        assert_eq!(lines.len(), ALL / LINE);
        assert!(lines.iter().all(|line| line.text.len() == LINE && line.cut));
        tail.push(Source::Output, &[b'y'; 100_000]);
        assert!(texts(&tail).iter().map(String::len).sum::<usize>() <= ALL + 2 * LINE);
        assert!(tail.0.borrow().begun.iter().map(Vec::capacity).sum::<usize>() <= 4 * LINE);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_no_character_is_torn() {
        let tail = Tail::default();
        tail.push(Source::Output, b"a\xff\xfeb\n");
        assert_eq!(texts(&tail), ["a\u{fffd}\u{fffd}b"]);
        for before in 0..CHARACTER {
            let tail = Tail::default();
            let text = format!("{}{}", "x".repeat(before), "\u{1f600}".repeat(LINE));
            tail.push(Source::Output, format!("{text}\n").as_bytes());
            let line = &tail.lines()[0];
            assert!(text.starts_with(&line.text) && line.cut, "{before}");
            assert!((LINE - CHARACTER + 1..=LINE).contains(&line.text.len()), "{before}");
        }
        tail.push(Source::Output, &[0xff; 2000]);
        assert!(tail.lines()[1].text.len() <= LINE);
    }
}
