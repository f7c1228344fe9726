//! Columns of text, fitted to the terminal.
//!
//! Invariant: nothing is lost. On a terminal what does not fit is wrapped; anywhere else a row is
//! one line, whatever its length. Never prints.

use crate::ui::clean;

/// Blanks before the first column and between columns.
const INDENT: usize = 2;
const GAP: usize = 2;
/// What the flexible column gets at least, however narrow the terminal.
const LEAST: usize = 24;
/// What the columns beside it get at most, on a terminal.
const MOST: usize = 30;
/// Without a terminal: how far a column may push the one behind it to the right.
const FAR: usize = 48;

/// Columns of standard output, if that is a terminal that knows its size.
pub fn terminal_width() -> Option<usize> {
    let [_, output, _] = host_sys::file::standard();
    let columns = host_sys::terminal::size(output).ok()?.columns();
    (columns > 0).then(|| usize::from(columns))
}

/// Rows as lines. Column `flexible` takes the room the others leave in `width`; without a width
/// nothing is wrapped.
pub fn table<R: AsRef<[String]>>(rows: &[R], flexible: usize, width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.as_ref().iter().map(|cell| one_line(cell)).collect()).collect();
    let widths = widths(&rows, flexible, width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(&widths)
            .map(
                |(cell, room)| if width.is_some() { wrap(cell, *room) } else { vec![cell.clone()] },
            )
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..height {
            let mut shown = " ".repeat(INDENT);
            for (cell, room) in cells.iter().zip(&widths) {
                let part = cell.get(line).map_or("", String::as_str);
                shown.push_str(&format!("{part:<room$}{:GAP$}", ""));
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
    }
    text
}

/// A cell without anything that would end its line.
pub fn one_line(cell: &str) -> String {
    clean(cell).replace('\n', "\\n")
}

fn widths(rows: &[Vec<String>], flexible: usize, width: Option<usize>) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let mut widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
    let Some(width) = width else {
        widths.iter_mut().for_each(|width| *width = (*width).min(FAR));
        return widths;
    };
    let mut others = INDENT;
    for (column, width) in widths.iter_mut().enumerate().filter(|(column, _)| *column != flexible) {
        // A first column of labels is never worth breaking for.
        *width = (*width).min(if column == 0 { MOST / 3 * 2 } else { MOST });
        others += *width + GAP;
    }
    if let Some(room) = widths.get_mut(flexible) {
        *room = (*room).min(width.saturating_sub(others).max(LEAST));
    }
    widths
}

/// A text in lines of at most `room` characters, broken where a reader expects it.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    while rest.len() > room {
        let end = break_at(&rest, room);
        let tail = rest.split_off(end);
        lines.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = tail.into_iter().skip_while(|c| *c == ' ').collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

/// Before a word, else behind a separator, else in the middle.
fn break_at(text: &[char], room: usize) -> usize {
    let room = room.max(1);
    // A break in the first third leaves more hole than text.
    let least = room / 3;
    let blank = (least..=room).rev().find(|at| text.get(*at) == Some(&' '));
    let separator = || {
        (least.max(1)..=room).rev().find(|at| matches!(text[at - 1], '/' | ':' | ',' | '=' | '&'))
    };
    blank.or_else(separator).filter(|at| *at > 0).unwrap_or(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn a_pipe_gets_one_line_a_row() {
        let long = "x".repeat(300);
        let text = table(&[row(&["a", &long, "there"]), row(&["bc", "short", "here"])], 1, None);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], format!("  a   {long}  there"));
        assert_eq!(lines[1], format!("  bc  {:48}  here", "short"));
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_and_lose_nothing() {
        let value = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin and a few words more";
        for width in 30..100 {
            let text = table(&[row(&["env", value, "app.toml:3:1"])], 1, Some(width));
            let room = width.max(2 + 3 + 2 + LEAST + 2 + 12);
            assert!(text.lines().all(|line| line.chars().count() <= room), "{width}:\n{text}");
            let shown = table(&[row(&["env", value])], 1, Some(width));
            assert_eq!(letters(&shown), format!("env{}", letters(value)), "{width}");
        }
    }

    #[test]
    fn words_stay_whole_and_paths_break_at_slashes() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("/srv/forum/shared", 11), ["/srv/forum/", "shared"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn a_value_can_neither_break_the_table_nor_drive_the_terminal() {
        let text = table(&[row(&["env", "A=\x1b[2J\nB"])], 1, Some(80));
        assert_eq!(text, "  env  A=\\u{1b}[2J\\nB\n");
    }
}
