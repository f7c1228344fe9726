//! `hostctl policy`: plugins are tried before they decide about anybody's connections.
//!
//! A plugin runs here as it would run under hostd: through the same process and in the same sandbox,
//! as a policy of an app that has nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent::aside::OfPolicy;
use agent::aside::start::{OWN, Starter};
use agent::failure::{DATA, Error, FAILED};
use agent::plan::facts;
use agent::planning::Source;
use agent::plugin::kit::{self, Asker, Failure, Report};
use agent::plugin::trace::{self, Outcome};
use agent::source::SourceError;
use manifest_spec::plugin::{Question, answer_schema, question_schema};
use serde_json::json;
use tokio::task::LocalSet;

use super::quoted;
use crate::board::{self, Cell, Look, Tone};
use crate::cli::policy::{PluginArguments, PolicyArguments, PolicyCommand};
use crate::client;
use crate::ui::{Ui, clean};

/// The policy of an app that is made up.
const NAME: &str = "plugin";

pub fn policy(arguments: PolicyArguments, ui: &Ui) -> Result<ExitCode, Error> {
    match arguments.command {
        PolicyCommand::Check { plugin, json } => check(plugin, json, ui),
        PolicyCommand::Try { plugin, trace, json } => try_out(&plugin, &trace, json, ui),
        PolicyCommand::Schema => {
            let both = json!({ "question": question_schema(), "answer": answer_schema() });
            ui.answer(&format!("{both:#}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(plugin: PluginArguments, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let asker = asker(&plugin)?;
    let report = wait(async { Ok(kit::check(asker, plugin.command).await) })?;
    match json {
        true => ui.answer(&format!("{:#}\n", json!(report)))?,
        false => ui.answer(&page(&report, ui.look()))?,
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The cases, and below one that failed why.
fn page(report: &Report, look: Look) -> String {
    let mut text = String::new();
    for case in &report.cases {
        let (word, tone) = match case.failure {
            None => ("ok", Tone::Good),
            Some(_) => ("FAILED", Tone::Bad),
        };
        let word = tone.paint(&format!("{word:6}"), look.colour);
        text.push_str(&format!("{word}  {:16}  {}\n", case.name, case.promise));
        text.extend(case.failure.iter().flat_map(explained));
    }
    let passed = report.cases.iter().filter(|case| case.failure.is_none()).count();
    text.push_str(&format!("\n{passed} of {} cases passed\n", report.cases.len()));
    text
}

/// Lines about a failure; what a plugin wrote is shown without what drives a terminal.
fn explained(failure: &Failure) -> Vec<String> {
    let mut lines = vec![format!("        {}\n", clean(&failure.reason))];
    let shown = [("question", &failure.question), ("answer", &failure.answer)];
    for (name, said) in shown {
        lines.extend(said.iter().map(|said| format!("        {name}: {}\n", clean(said))));
    }
    let errors = failure.errors.lines();
    lines.extend(errors.map(|line| format!("        it wrote: {}\n", clean(line))));
    lines
}

fn try_out(plugin: &PluginArguments, path: &Path, json: bool, ui: &Ui) -> Result<ExitCode, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Source(SourceError::Read(path.to_owned(), error)))?;
    let questions = trace::read(&text).map_err(|error| {
        let hint = "type `hostctl policy schema` to see what a line has";
        Error::Refused(format!("{}: {error}", path.display()), hint.to_owned(), DATA)
    })?;
    let mut asker = asker(plugin)?;
    let mut passed = true;
    wait(async {
        for question in &questions {
            let answered = asker.ask(question, &question.line()).await;
            let outcome = answered.map(|answer| trace::outcome(question, &answer));
            passed &= outcome.is_ok();
            let shown = match json {
                true => format!("{}\n", step_as_json(question, &outcome)),
                false => step(question, &outcome, ui.look()),
            };
            if !ui.stream(&shown)? {
                break;
            }
        }
        Ok(())
    })?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn step_as_json(question: &Question, outcome: &Result<Outcome, Failure>) -> serde_json::Value {
    let mut step = json!({ "id": question.id, "service": question.service });
    match outcome {
        Ok(outcome) => step["outcome"] = json!(outcome),
        Err(failure) => step["failure"] = json!(failure),
    }
    step
}

const HEAD: [&str; 6] = ["BACKEND", "STATE", "CONNECTIONS", "P50", "WEIGHT", "SHARE"];

/// What one question came to.
fn step(question: &Question, outcome: &Result<Outcome, Failure>, look: Look) -> String {
    let begin = format!("{}. {}", question.id, clean(&question.service));
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => return format!("{begin}: no answer\n{}\n", explained(failure).concat()),
    };
    let rows: Vec<Vec<Cell>> = question
        .backends
        .iter()
        .zip(&outcome.shares)
        .map(|(backend, share)| {
            let (state, tone) = match (backend.healthy, backend.draining) {
                (false, _) => ("unhealthy", Tone::Bad),
                (true, true) => ("draining", Tone::Moving),
                (true, false) => ("serving", Tone::Good),
            };
            let number = |number: Option<String>| Cell::number(number.unwrap_or("-".to_owned()));
            vec![
                clean(&backend.id).into(),
                Cell::toned(state, tone),
                number(backend.connections.map(|count| count.to_string())),
                number(backend.latency_ms.map(|latency| format!("{} ms", latency.p50))),
                number(share.weight.map(|weight| weight.to_string())),
                number(share.share.map(|share| format!("{:.1} %", share * 100.0))),
            ]
        })
        .collect();
    let (slots, key) = (outcome.slots, outcome.key);
    let table = board::table(&HEAD, &rows, 0, look);
    format!("{begin}: {slots} slots, by {key}\n{table}\n")
}

/// A plugin as a policy of an app that has nothing else.
fn asker(plugin: &PluginArguments) -> Result<Asker, Error> {
    let directories = facts::directories()?;
    let words: Vec<String> =
        plugin.command.iter().map(|word| quoted(&word.replace('$', "$$"))).collect();
    let text = format!(
        "name = \"policy-check\"\nrun = \"true\"\n[policies.{NAME}]\nrun = [{}]\n",
        words.join(", ")
    );
    let source = Source {
        name: "the plugin's command".to_owned(),
        text,
        folder: folder(&plugin.command)?,
        ..Source::default()
    };
    let of = OfPolicy { source, policy: NAME.to_owned(), deployer: None, kept: false };
    let starter = Starter { executable: OWN.into(), directories };
    Ok(Asker::new(starter, of, plugin.deadline.0))
}

/// The folder that it sees: the working one, or its own if that is elsewhere.
fn folder(command: &[String]) -> Result<PathBuf, Error> {
    let here = std::env::current_dir().map_err(|error| {
        Error::Usage(format!("the working directory: {error}"), "change to another one".into())
    })?;
    let program = command.first().filter(|program| program.contains('/'));
    let path = program.and_then(|program| std::fs::canonicalize(here.join(program)).ok());
    let away = path.filter(|path| !path.starts_with(&here));
    let own = away.and_then(|path| path.parent().map(Path::to_owned));
    Ok(own.unwrap_or(here))
}

fn wait<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    client::run(async { LocalSet::new().run_until(work).await })
}
