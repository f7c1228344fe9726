//! `hostctl tracebacks`: what went wrong in apps, by kind.
//!
//! | room | owns |
//! | --- | --- |
//! | [`groups`] | which of them are the same |

mod groups;

use std::process::ExitCode;

use agent::failure::{DATA, Error};
use manifest_spec::api::LogQuery;

use super::logs::page::{Form, Page};
use super::logs::supply::Supply;
use super::logs::{about, stamp};
use crate::board::{self, Cell, Look, Tone};
use crate::cli::TracebacksArguments;
use crate::client::place::Machine;
use crate::ui::Ui;
use crate::ui::harmless;
use groups::{Group, Groups};

pub fn tracebacks(
    arguments: &TracebacksArguments,
    host: Option<&Machine>,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let since = arguments.since.map(stamp);
    let query = LogQuery { since, traces: true, ..LogQuery::default() };
    let query = about(query, arguments.target.as_ref());
    let mut groups = Groups::default();
    Supply::find(query, host)?.each(&mut |_, lines| {
        lines.iter().for_each(|line| groups.take(line));
        Ok(true)
    })?;
    let all = groups.sorted();
    match &arguments.show {
        Some(digits) => show(one(&all, digits)?, arguments.json, ui)?,
        None if arguments.json => ui.answer(&format!("{:#}\n", Groups::json(&all)))?,
        None if all.is_empty() => ui.say("nothing went wrong, as far as the logs reach back"),
        None => ui.answer(&table(&all, ui.look()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The group whose fingerprint begins like this.
fn one<'a>(all: &'a [Group], digits: &str) -> Result<&'a Group, Error> {
    let fits: Vec<&Group> = all.iter().filter(|one| one.fingerprint.starts_with(digits)).collect();
    match fits.as_slice() {
        [one] => Ok(one),
        [] => Err(Error::Refused(
            format!("no stack trace and no crash has the fingerprint {digits}"),
            "`hostctl tracebacks` lists those that there are".into(),
            DATA,
        )),
        several => {
            let all: Vec<&str> = several.iter().map(|one| one.fingerprint.as_str()).collect();
            Err(Error::Refused(
                format!("several fingerprints begin with {digits}"),
                format!("type one of {}", all.join(", ")),
                DATA,
            ))
        }
    }
}

const HEAD: [&str; 6] = ["FINGERPRINT", "COUNT", "LAST", "WHERE", "VERSION", "WHAT"];

/// The column that gives way on a narrow terminal.
const WHAT: usize = 5;

fn table(all: &[Group], look: Look) -> String {
    let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
    board::table(&HEAD, &rows, WHAT, look)
}

fn row(group: &Group) -> Vec<Cell> {
    let tone = if group.is_crash() { Tone::Bad } else { Tone::Plain };
    vec![
        Cell::toned(group.fingerprint.clone(), Tone::Faint),
        Cell::number(group.count.to_string()),
        ago(group.last()).into(),
        group.place().into(),
        group.versions_in_words().into(),
        Cell::toned(group.what(), tone),
    ]
}

fn ago(time: u64) -> String {
    crate::words::ago(time / 1_000_000, super::now_ms())
}

/// The last one of a group, in full.
fn show(group: &Group, json: bool, ui: &Ui) -> Result<(), Error> {
    if json {
        return ui.answer(&format!("{:#}\n", group.json()));
    }
    let mut text = format!("{}\n", Tone::Strong.paint(&harmless(&group.what()), ui.look().colour));
    let mut say = |label: &str, what: &str| {
        text.push_str(&format!("  {label:<11} {}\n", harmless(what)));
    };
    say("fingerprint", &group.fingerprint);
    say("where", &group.place());
    say("versions", &group.versions_in_words());
    let times = if group.count == 1 { "once".to_owned() } else { format!("{} times", group.count) };
    say("seen", &format!("{times}, first {}, last {}", ago(group.first()), ago(group.last())));
    text.push('\n');
    let mut page = Page::new(Form::Text, ui.look(), true);
    page.expect(2);
    let example = page.lines(std::slice::from_ref(group.example()));
    text.push_str(&String::from_utf8_lossy(&example));
    ui.answer(&text)
}
