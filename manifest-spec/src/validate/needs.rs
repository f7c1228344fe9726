//! Which service starts before which: every need exists, and none leads back to itself.

use std::collections::HashMap;

use super::{App, Slot};
use crate::decode::{At, Findings};
use crate::names::ServiceName;
use crate::suggest::did_you_mean;

pub(super) fn check(app: &App<'_>, findings: &mut Findings<'_>) {
    for slot in &app.slots {
        let mut seen = Vec::new();
        for need in needs(slot) {
            let fault = if need.value == slot.name {
                Some(("a service cannot need itself".to_owned(), "drop it".to_owned()))
            } else if seen.contains(&&need.value) {
                Some((format!("\"{}\" is needed twice", need.value), "drop one of them".to_owned()))
            } else {
                check_exists(&need.value, app)
            };
            if let Some((message, hint)) = fault {
                findings.add(&need.place, need.key.clone(), message).hint(hint);
            }
            seen.push(&need.value);
        }
    }
    check_cycles(app, findings);
}

/// Why no service has this name, with a hint; `None` if one has.
pub(super) fn check_exists(name: &ServiceName, app: &App<'_>) -> Option<(String, String)> {
    if app.slot(name).is_some() {
        return None;
    }
    let names: Vec<&str> = app.slots.iter().map(|slot| slot.name.as_str()).collect();
    let hint = if app.short_form {
        "an app of one service has no others; write each as a section [services.NAME]".to_owned()
    } else {
        did_you_mean(name.as_str(), names.iter().copied())
            .unwrap_or_else(|| format!("the services are {}", names.join(", ")))
    };
    Some((format!("there is no service \"{name}\""), hint))
}

fn needs<'a>(slot: &Slot<'a>) -> &'a [At<ServiceName>] {
    slot.raw.and_then(|raw| raw.needs.value()).map_or(&[], Vec::as_slice)
}

/// How far the search below has come with a service.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    /// On the path from where the search began.
    Open,
    /// Everything behind it was looked at.
    Done,
}

/// Walks the needs depth first, without recursion: a chain may be as long as the app.
fn check_cycles(app: &App<'_>, findings: &mut Findings<'_>) {
    let index: HashMap<&ServiceName, usize> =
        app.slots.iter().enumerate().map(|(at, slot)| (&slot.name, at)).collect();
    let mut marks: Vec<Option<Mark>> = vec![None; app.slots.len()];
    for start in 0..app.slots.len() {
        if marks[start].is_some() {
            continue;
        }
        marks[start] = Some(Mark::Open);
        // Each level: a service, and how many of its needs were followed.
        let mut path = vec![(start, 0)];
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            let Some(need) = needs(&app.slots[at]).get(*next) else {
                marks[at] = Some(Mark::Done);
                path.pop();
                continue;
            };
            *next += 1;
            let Some(&target) = index.get(&need.value) else { continue };
            match marks[target] {
                None => {
                    marks[target] = Some(Mark::Open);
                    path.push((target, 0));
                }
                Some(Mark::Open) if target != at => {
                    let first = path.iter().position(|(on, _)| *on == target).unwrap_or(0);
                    let services = path[first..].iter().map(|(on, _)| &app.slots[*on].name);
                    report_cycle(services, need, findings);
                }
                Some(_) => {}
            }
        }
    }
}

fn report_cycle<'a>(
    services: impl Iterator<Item = &'a ServiceName>,
    need: &At<ServiceName>,
    findings: &mut Findings<'_>,
) {
    let mut chain: Vec<&str> = services.map(ServiceName::as_str).collect();
    chain.push(need.value.as_str());
    let shown = if chain.len() > 12 {
        format!("{} → … → {}", chain[..6].join(" → "), chain[chain.len() - 5..].join(" → "))
    } else {
        chain.join(" → ")
    };
    findings
        .add(&need.place, need.key.clone(), format!("the needs go in a circle: {shown}"))
        .hint("drop one of these needs: each service starts after what it needs");
}
