//! `hostctl history`.

use std::process::ExitCode;

use agent::failure::Error;
use agent::lease::conflict::since;
use manifest_spec::api::{History, OverridesWire, VersionEntry};

use super::{now_ms, typed};
use crate::board::{self, Cell, Look};
use crate::cli::apps::HistoryArguments;
use crate::client::{self, Client, Place, app_path};
use crate::ui::Ui;

pub fn history(arguments: &HistoryArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let HistoryArguments { app, version, json } = arguments;
    client::run(async {
        let path = format!("{}/history", app_path(app));
        let answer = Client::open(place).await?.get(&path).await?;
        let history: History = answer.read()?;
        match version {
            Some(number) => ui.answer(&manifest(&history, *number)?)?,
            None if *json => ui.answer(&answer.json())?,
            None => ui.answer(&page(&history, now_ms(), ui.look()))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The manifest of a version, as it was deployed: what was put on top of it is said in comments.
fn manifest(history: &History, number: u32) -> Result<String, Error> {
    let entry = history.versions.iter().find(|entry| entry.version == number);
    let entry = entry.ok_or_else(|| {
        let all: Vec<_> = history.versions.iter().map(|one| one.version.to_string()).collect();
        Error::Usage(
            format!("{} has no version {number}", history.app),
            format!("its versions are {}", all.join(", ")),
        )
    })?;
    let flags = typed(&entry.overrides);
    let head = match flags.is_empty() {
        true => String::new(),
        false => format!("# deployed with {}\n", flags.join(" ")),
    };
    Ok(format!("{head}{}", entry.manifest_text))
}

/// What was put on top of the manifest of a version.
fn typed(overrides: &OverridesWire) -> Vec<String> {
    let mut all = typed::variables(overrides);
    all.extend(typed::flags(overrides));
    all
}

const HEAD: [&str; 6] = ["VERSION", "STATE", "DEPLOYED", "BY", "FROM", "REASON"];

fn page(history: &History, now: u64, look: Look) -> String {
    let rows: Vec<Vec<Cell>> = history.versions.iter().map(|one| row(one, now)).collect();
    board::table(&HEAD, &rows, HEAD.len() - 1, look)
}

fn row(entry: &VersionEntry, now: u64) -> Vec<Cell> {
    let mut from = vec![entry.manifest_name.clone()];
    from.extend(typed(&entry.overrides));
    vec![
        Cell::number(entry.version.to_string()),
        board::version_state(entry.state),
        since(entry.at_ms as i64, now as i64).into(),
        entry.by.clone().into(),
        from.join(" ").into(),
        entry.reason.clone().unwrap_or_default().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> History {
        let entry = |version: u32, overrides: serde_json::Value| {
            serde_json::json!({
                "version": version, "state": "current", "at_ms": 0, "by": "root",
                "manifest_name": "app.toml", "manifest_text": "name = \"shop\"\n",
                "folder": "/srv/shop", "overrides": overrides,
            })
        };
        let overrides = serde_json::json!({
            "profile": "dev", "set": ["env.TEXT=a b"], "unset": ["health"], "port_offset": 3,
        });
        let versions = [entry(2, overrides), entry(1, serde_json::json!({}))];
        serde_json::from_value(serde_json::json!({ "app": "shop", "versions": versions })).unwrap()
    }

    #[test]
    fn a_manifest_is_what_was_deployed() {
        assert_eq!(manifest(&example(), 1).unwrap(), "name = \"shop\"\n");
        assert_eq!(
            manifest(&example(), 2).unwrap(),
            "# deployed with --profile dev --unset health --set 'env.TEXT=a b' --port-offset 3\n\
             name = \"shop\"\n"
        );
        assert!(manifest(&example(), 3).is_err());
    }
}
