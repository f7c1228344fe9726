//! `hostctl plan`.

pub mod page;

use std::process::ExitCode;

use agent::plan::advice::{self, Advice};
use agent::plan::{Keeper, Plan, explain};
use agent::sandbox::{self, step::Step};
use agent::source::Loaded;
use serde_json::{Value, json};

use agent::planning::Planned;

use super::load::{self, InHand, Text};
use crate::cli::PlanArguments;
use crate::ui::Ui;
use agent::failure::Error;

pub fn plan(mut arguments: PlanArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let text = load::text(&arguments.manifest, &arguments.flags)?;
    let mut broken = Vec::new();
    let mut values = Vec::new();
    let mut pages = Vec::new();
    let services = services(&text, &arguments)?;
    // All together they are supervised, as by hostd.
    let keeper = if services.len() > 1 { Keeper::Daemon } else { Keeper::Foreground };
    let in_hand = InHand { keeper, ..InHand::default() };
    for service in services {
        arguments.host.service = service;
        let planned = load::plan(&text, &arguments.manifest, &arguments.host, &in_hand)?;
        match arguments.json {
            true => values.push(json(&planned, &text)),
            false => pages.push(page_of(&planned, &text, &arguments)),
        }
        broken.extend(planned.plan.unenforced.into_iter().filter(|one| one.strict));
    }
    match values.len() {
        0 => ui.answer(&pages.join("\n"))?,
        1 => ui.answer(&format!("{:#}\n", values[0]))?,
        _ => ui.answer(&format!("{:#}\n", json!({ "services": values })))?,
    }
    if arguments.host.strict && !broken.is_empty() {
        return Err(Error::Strict(broken));
    }
    Ok(ExitCode::SUCCESS)
}

/// The services to plan, as `--service` would name them: the one that was named, the only one, or
/// all of them in the manifest's order.
fn services(text: &Text, arguments: &PlanArguments) -> Result<Vec<Option<String>>, Error> {
    if arguments.host.service.is_some() {
        return Ok(vec![arguments.host.service.clone()]);
    }
    let loaded = load::load(text, &arguments.manifest, load::drop_in)?;
    let names = loaded.manifest.services.iter().map(|service| Some(service.name.to_string()));
    match loaded.manifest.services.len() {
        1 => Ok(vec![None]),
        _ => Ok(names.collect()),
    }
}

fn json(planned: &Planned, text: &Text) -> Value {
    let Planned { loaded, plan, facts, .. } = planned;
    let steps = sandbox::build(plan, facts);
    let mut value = explain::json(plan, &steps, &|key| origin(key, loaded));
    value["file"] = json!(text.name);
    value["steps"] = json!(names(&steps));
    value["warnings"] = json!(advice::advise(plan));
    value
}

fn page_of(planned: &Planned, text: &Text, arguments: &PlanArguments) -> String {
    let Planned { loaded, plan, facts, .. } = planned;
    let mut shown = format!("{} ({})\n\n", plan.instance_name(), text.name);
    let width = page::terminal_width();
    shown.push_str(&values(plan, arguments.origin.then_some(loaded), width));
    if arguments.steps {
        let steps = sandbox::build(plan, facts);
        shown.push_str(&format!("\nsteps\n{}", numbered(&names(&steps), width)));
    }
    shown.push_str(&remarks(plan, &advice::advise(plan), width));
    shown
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
