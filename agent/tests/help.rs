//! The complete reference of the command line, as one golden file. `UPDATE_GOLDENS=1` rewrites it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // a test starts the program it is about

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// One call of `--help`, as a terminal of 100 columns shows it.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hostctl"))
        .args(command)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that help lists, but for `help` itself.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    list.take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn the_reference_is_the_golden_file() {
    let top = help(&[]);
    let mut reference = format!("$ hostctl --help\n{top}");
    for command in commands(&top) {
        let text = help(&[&command]);
        write!(reference, "\n$ hostctl {command} --help\n{text}").unwrap();
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, &reference).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        reference == expected,
        "help has changed; if it should, run with UPDATE_GOLDENS=1 and read the difference:\n{}",
        difference(&expected, &reference)
    );
}

#[test]
fn every_line_fits_and_every_command_has_an_example() {
    let top = help(&[]);
    for command in commands(&top) {
        let text = help(&[&command]);
        assert!(text.contains("Example"), "{command}");
        let long = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{command}");
    }
}

/// The first line that differs.
fn difference(expected: &str, found: &str) -> String {
    let pair = expected.lines().zip(found.lines()).zip(1..).find(|((old, new), _)| old != new);
    match pair {
        Some(((old, new), line)) => format!("line {line}\n- {old}\n+ {new}"),
        None => "one is longer than the other".to_owned(),
    }
}
