//! A Procfile: one line for each process type, `web: bundle exec puma`.

use std::collections::BTreeSet;

use super::detect::{Found, PORT, Program};
use super::folder::Folder;
use super::name;

/// The process type that runs once for each release, and is no service.
const RELEASE: &str = "release";

pub(super) fn detect(folder: &Folder) -> Option<Found> {
    parse(&folder.text("Procfile")?)
}

fn parse(text: &str) -> Option<Found> {
    let mut found =
        Found { source: "Procfile".to_owned(), programs: Vec::new(), notes: Vec::new() };
    let mut names = BTreeSet::new();
    let mut ports = PORT..;
    for (kind, run) in text.lines().filter_map(line) {
        let name = name::valid(kind);
        if kind == RELEASE {
            let note = format!("left out of the manifest: release, run it yourself: {run}");
            found.notes.push(note);
        } else if !names.insert(name.clone()) {
            found.notes.push(format!("left out of the manifest: a second process type {kind}"));
        } else {
            // As Heroku has it, `web` listens whether or not its line shows it.
            let listens = kind == "web" || run.contains("$PORT") || run.contains("${PORT");
            let port = if listens { ports.next() } else { None };
            found.programs.push(Program { name, run: run.to_owned(), port });
        }
    }
    (!found.programs.is_empty()).then_some(found)
}

/// A process type and its command; comments and blank lines are none.
fn line(line: &str) -> Option<(&str, &str)> {
    let (kind, run) = line.split_once(':')?;
    let (kind, run) = (kind.trim(), run.trim());
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!kind.is_empty() && kind.chars().all(is_name) && !run.is_empty()).then_some((kind, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_type_is_a_service_and_release_is_none() {
        let text = "# types\nweb: puma -p $PORT\nrelease: rake db:migrate\nmail_worker: ./work\n\
                    admin: serve ${PORT:-1}\nweb: again\n";
        let found = parse(text).unwrap();
        let programs: Vec<_> =
            found.programs.iter().map(|p| (p.name.as_str(), p.run.as_str(), p.port)).collect();
        assert_eq!(
            programs,
            [
                ("web", "puma -p $PORT", Some(8080)),
                ("mail-worker", "./work", None),
                ("admin", "serve ${PORT:-1}", Some(8081)),
            ]
        );
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        assert!(found.notes[0].contains("rake db:migrate"), "{:?}", found.notes);
    }

    #[test]
    fn a_file_without_a_process_type_says_nothing() {
        for text in ["", "# web: x\n", "release: x\n", "web:\n", "http://x y\n  :z\n"] {
            let found = parse(text).filter(|found| found.programs.iter().all(|p| p.name != "http"));
            assert_eq!(found, None, "{text:?}");
        }
    }
}
