//! `hostctl plan`.

pub mod page;

use std::process::ExitCode;

use agent::plan::advice::{self, Advice};
use agent::plan::{Plan, explain};
use agent::sandbox::{self, step::Step};
use agent::source::Loaded;
use serde_json::json;

use agent::planning::Planned;

use super::load::{self, InHand};
use crate::cli::PlanArguments;
use crate::ui::Ui;
use agent::failure::Error;

pub fn plan(arguments: PlanArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let text = load::text(&arguments.manifest, &arguments.flags)?;
    let Planned { loaded, plan, facts, .. } =
        load::plan(&text, &arguments.manifest, &arguments.host, &InHand::default())?;
    let steps = sandbox::build(&plan, &facts);
    let advice = advice::advise(&plan);
    if arguments.json {
        let mut value = explain::json(&plan, &steps, &|key| origin(key, &loaded));
        value["file"] = json!(text.name);
        value["steps"] = json!(names(&steps));
        value["warnings"] = json!(advice);
        ui.answer(&format!("{value:#}\n"))?;
    } else {
        let mut shown = format!("{} ({})\n\n", plan.instance_name(), text.name);
        let width = page::terminal_width();
        shown.push_str(&values(&plan, arguments.origin.then_some(&loaded), width));
        if arguments.steps {
            shown.push_str(&format!("\nsteps\n{}", numbered(&names(&steps), width)));
        }
        shown.push_str(&remarks(&plan, &advice, width));
        ui.answer(&shown)?;
    }
    let broken: Vec<_> = plan.unenforced.into_iter().filter(|one| one.strict).collect();
    if arguments.host.strict && !broken.is_empty() {
        return Err(Error::Strict(broken));
    }
    Ok(ExitCode::SUCCESS)
}

fn values(plan: &Plan, origins: Option<&Loaded>, width: Option<usize>) -> String {
    let rows = explain::rows(plan).into_iter().map(|row| {
        let mut cells = vec![row.label, row.value];
        cells.extend(origins.map(|loaded| origin(&row.key, loaded)));
        cells
    });
    page::table(&rows.collect::<Vec<_>>(), 1, width)
}

fn names(steps: &[Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

fn numbered(steps: &[String], width: Option<usize>) -> String {
    let row = |(number, step): (usize, &String)| [format!("{number:2}"), step.clone()];
    let rows: Vec<_> = (1..).zip(steps).map(row).collect();
    page::table(&rows, 1, width)
}

/// What does not hold here, and what to look at before running.
fn remarks(plan: &Plan, advice: &[Advice], width: Option<usize>) -> String {
    let mut shown = String::new();
    if !plan.unenforced.is_empty() {
        let rows: Vec<_> =
            plan.unenforced.iter().map(|one| [one.what.clone(), one.why.clone()]).collect();
        shown.push_str(&format!("\nnot enforced here\n{}", page::table(&rows, 1, width)));
        let demanded: Vec<_> = plan.demands().map(|one| one.what.as_str()).collect();
        if !demanded.is_empty() {
            let keys = demanded.join(", ");
            shown.push_str(&format!("\nrun refuses {keys} without --allow-unenforced\n"));
        }
    }
    if !advice.is_empty() {
        let rows: Vec<_> = advice
            .iter()
            .flat_map(|one| {
                let hint = format!("hint: {}", one.hint);
                [[one.key.clone(), one.message.clone()], [String::new(), hint]]
            })
            .collect();
        shown.push_str(&format!("\nto look at\n{}", page::table(&rows, 1, width)));
    }
    shown
}

/// Who said the value behind a key: itself, the list it is an item of, or nobody. A table that
/// holds it does not count: that would call a default the author's.
fn origin(key: &str, loaded: &Loaded) -> String {
    let document = &loaded.document;
    let list = key.rsplit_once('[').map(|(list, _)| list);
    // [env] at the top level is shared by all services.
    let shared =
        key.find(".env.").map(|at| &key[at + 1..]).filter(|_| key.starts_with("services."));
    let said = [Some(key), list, shared].into_iter().flatten().find_map(|key| document.origin(key));
    let Some(said) = said else { return "default".to_owned() };
    let last = key.rsplit('.').next();
    let is_port = last == Some("port") || key.starts_with("ports.") || key.contains(".ports.");
    match loaded.manifest.port_offset {
        offset if offset > 0 && is_port => format!("{said}, --port-offset {offset}"),
        _ => said.to_string(),
    }
}
