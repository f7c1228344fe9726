//! Tables with a heading, and states in colour.
//!
//! Invariant: on a terminal every line fits, and what does not is wrapped, not lost; anywhere else
//! a row is one line, whatever its length. Colour changes no width. Never prints.

use manifest_spec::api::{InstanceState, VersionState, Wanted};

use crate::commands::plan::page::{one_line, wrap};

/// Blanks between columns.
const GAP: usize = 2;

/// What the flexible column gets at least, however narrow the terminal.
const LEAST: usize = 12;

/// Colours that tell names apart, by their order (ECMA-48, SGR).
pub const COLOURS: [&str; 6] = ["36", "33", "35", "32", "34", "31"];

/// How something is shown, by what it means to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// It is on its way.
    Moving,
    /// It wants attention.
    Bad,
    /// It is over, or beside the point.
    Faint,
    /// A heading.
    Strong,
}

impl Tone {
    /// Select Graphic Rendition (ECMA-48, 8.3.117).
    fn code(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Good => Some("32"),
            Tone::Moving => Some("33"),
            Tone::Bad => Some("1;31"),
            Tone::Faint => Some("2"),
            Tone::Strong => Some("1"),
        }
    }

    /// The text in this tone, if colours are wanted.
    pub fn paint(self, text: &str, colour: bool) -> String {
        match self.code().filter(|_| colour && !text.is_empty()) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

/// One field of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// A text in a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Cell {
        Cell { text: text.into(), tone, right: false }
    }

    /// A number: its end stands where the others' do.
    pub fn number(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), tone: Tone::Plain, right: true }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }
}

/// Where and how a table is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Columns of the terminal, if it is one.
    pub width: Option<usize>,
    /// Whether it shows colours.
    pub colour: bool,
}

/// A heading and rows as lines; column `flexible` takes the room that the others leave.
pub fn table(head: &[&str], rows: &[Vec<Cell>], flexible: usize, look: Look) -> String {
    let right = |column: usize| rows.iter().filter_map(|row| row.get(column)).any(|one| one.right);
    let head = head.iter().enumerate().map(|(column, text)| Cell {
        text: (*text).to_owned(),
        tone: Tone::Strong,
        right: right(column),
    });
    let mut all = vec![head.collect::<Vec<_>>()];
    all.extend(rows.iter().cloned());
    for cell in all.iter_mut().flatten() {
        cell.text = one_line(&cell.text);
    }
    let widths = widths(&all, flexible, look.width);
    all.iter().map(|row| shown(row, &widths, look)).collect()
}

fn widths(rows: &[Vec<Cell>], flexible: usize, width: Option<usize>) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max()
    };
    let mut widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    let others = widths.iter().enumerate().filter(|(column, _)| *column != flexible);
    let others: usize = others.map(|(_, width)| width + GAP).sum();
    if let (Some(room), Some(width)) = (widths.get_mut(flexible), width) {
        *room = (*room).min(width.saturating_sub(others).max(LEAST));
        // Where that is not enough, names are broken.
        let over = (others + *room).saturating_sub(width);
        widths[0] = widths[0].min(widths[0].saturating_sub(over).max(LEAST));
    }
    widths
}

fn shown(row: &[Cell], widths: &[usize], look: Look) -> String {
    let cells: Vec<Vec<String>> = row
        .iter()
        .zip(widths)
        .map(|(cell, room)| match look.width {
            Some(_) => wrap(&cell.text, *room),
            None => vec![cell.text.clone()],
        })
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or_default();
    let mut text = String::new();
    for line in 0..height {
        let mut column = 0;
        let mut end = 0;
        for ((parts, cell), room) in cells.iter().zip(row).zip(widths) {
            let part = parts.get(line).map_or("", String::as_str);
            let free = room.saturating_sub(part.chars().count());
            let start = column + if cell.right { free } else { 0 };
            if !part.is_empty() {
                text.push_str(&" ".repeat(start.saturating_sub(end)));
                text.push_str(&cell.tone.paint(part, look.colour));
                end = start + part.chars().count();
            }
            column += room + GAP;
        }
        text.push('\n');
    }
    text
}

/// A state in its tone.
pub fn state(state: InstanceState) -> Cell {
    let (text, tone) = state_in_words(state);
    Cell::toned(text, tone)
}

/// A state in words, and its tone.
pub fn state_in_words(state: InstanceState) -> (&'static str, Tone) {
    match state {
        InstanceState::Running => ("running", Tone::Good),
        InstanceState::Ready => ("ready", Tone::Good),
        InstanceState::Starting => ("starting", Tone::Moving),
        InstanceState::Draining => ("draining", Tone::Moving),
        InstanceState::Stopping => ("stopping", Tone::Moving),
        InstanceState::Stopped => ("stopped", Tone::Faint),
        InstanceState::Unhealthy => ("unhealthy", Tone::Bad),
        InstanceState::BackingOff => ("backing off", Tone::Bad),
        InstanceState::Failed => ("failed", Tone::Bad),
    }
}

/// What became of a version, in words, and its tone.
pub fn version_state(state: VersionState) -> Cell {
    let (text, tone) = match state {
        VersionState::Rolling => ("rolling out", Tone::Moving),
        VersionState::Current => ("current", Tone::Good),
        VersionState::Superseded => ("superseded", Tone::Faint),
        VersionState::Failed => ("failed", Tone::Bad),
        VersionState::RolledBack => ("rolled back", Tone::Bad),
    };
    Cell::toned(text, tone)
}

/// What is wanted of an app, in words.
pub fn wanted(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => "running",
        Wanted::Stopped => "stopped",
        Wanted::Removed => "being removed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<Vec<Cell>> {
        vec![
            vec!["shop.web.1".into(), state(InstanceState::Running), Cell::number("3 m")],
            vec!["db".into(), state(InstanceState::BackingOff), Cell::number("340 ms"), "x".into()],
        ]
    }

    #[test]
    fn a_pipe_gets_plain_lines() {
        let text = table(&["NAME", "STATE", "UP", "WHY"], &example(), 3, Look::default());
        let expected = "\
NAME        STATE            UP  WHY
shop.web.1  running         3 m
db          backing off  340 ms  x
";
        assert_eq!(text, expected);
    }

    #[test]
    fn colour_changes_no_width() {
        let plain = table(&["NAME", "STATE", "UP"], &example(), 0, Look::default());
        let look = Look { width: None, colour: true };
        let coloured = table(&["NAME", "STATE", "UP"], &example(), 0, look);
        assert!(coloured.contains("\x1b[32mrunning\x1b[0m"), "{coloured:?}");
        let mut stripped = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[1;31m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_and_lose_nothing() {
        let long = "the program exited with 1 at once, for the fifth time in a row";
        let rows = vec![vec!["shop.web.1".into(), Cell::from(long)]];
        for width in 28..90 {
            let look = Look { width: Some(width), colour: false };
            let text = table(&["NAME", "WHY"], &rows, 1, look);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            let words: Vec<_> = text.split_whitespace().skip(3).collect();
            assert_eq!(words.join(" "), long);
        }
    }

    #[test]
    fn a_name_can_neither_break_the_table_nor_drive_the_terminal() {
        let rows = vec![vec!["a\x1b[2J\nb".into(), Cell::from("c")]];
        let text = table(&["NAME", "X"], &rows, 1, Look { width: Some(80), colour: true });
        assert!(text.contains("a\\u{1b}[2J\\nb"), "{text:?}");
    }
}
