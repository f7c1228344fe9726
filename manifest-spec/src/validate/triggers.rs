//! Hooks and policies: one trigger each, and keys that go with it.

use super::{App, needs, variables};
use crate::decode::{At, Field, Findings};
use crate::manifest::{Hook, Policy, Trigger};
use crate::names::{HookName, PolicyName};
use crate::raw::{RawHook, RawPolicy};
use crate::schedule::Expression;
use crate::suggest::did_you_mean;
use crate::tree::Place;

pub(super) fn hooks(app: &App<'_>, findings: &mut Findings<'_>) -> Vec<Hook> {
    let all = app.raw.app.hooks.value().into_iter().flat_map(|map| &map.0);
    all.filter_map(|named| hook(&named.name, named.value.value()?, app, findings)).collect()
}

fn hook(
    name: &At<HookName>,
    raw: &RawHook,
    app: &App<'_>,
    findings: &mut Findings<'_>,
) -> Option<Hook> {
    if let Field::Given(like) = &raw.like
        && let Some((message, hint)) = needs::check_exists(&like.value, app)
    {
        let hint = if app.short_form {
            "drop like: the hook of a single-service app is like that service".to_owned()
        } else {
            hint
        };
        findings.add(&like.place, like.key.clone(), message).hint(hint);
    }
    match &raw.run {
        Field::Absent => {
            findings
                .add(&name.place, format!("{}.run", name.key), "the hook has no program to run")
                .hint("add a command such as run = \"./digest\"");
        }
        Field::Given(run) => variables::check_hook(run, raw.like.value(), app, findings),
        Field::Invalid => {}
    }
    check_companions(raw, findings);
    check_days(raw, findings);
    let trigger = trigger(name, raw, findings);
    Some(Hook {
        name: name.value.clone(),
        trigger: trigger?,
        run: raw.run.value()?.clone(),
        like: raw.like.value().cloned(),
        overlap: raw.overlap.value().copied(),
        missed: raw.missed.value().copied(),
        timeout: raw.timeout.value().copied(),
        max: raw.max.value().map(|max| max.0),
    })
}

/// How two days combine, and whether such a day comes.
fn check_days(raw: &RawHook, findings: &mut Findings<'_>) {
    let Field::Given(cron) = &raw.cron else { return };
    if matches!(raw.days, Field::Invalid) {
        return;
    }
    if let Err(error) = Expression::parse(&cron.value.0, raw.days.value().copied()) {
        let finding = findings.add(&cron.place, cron.key.clone(), error.to_string());
        if let Some(hint) = error.hint() {
            finding.hint(hint);
        }
    }
}

/// The one trigger of a hook.
fn trigger(name: &At<HookName>, raw: &RawHook, findings: &mut Findings<'_>) -> Option<Trigger> {
    let cron = raw.cron.value().map(|cron| Trigger::Cron {
        expression: cron.0.clone(),
        zone: raw.zone.value().map(|zone| zone.0.clone()),
        days: raw.days.value().copied(),
    });
    let every = raw.every.value().map(|span| Trigger::Every(*span));
    let http = raw.http.value().map(|request| Trigger::Http {
        method: request.method.clone(),
        route: request.route.clone(),
    });
    let event = raw.event.value().map(|event| Trigger::Event(event.0.clone()));
    let is_invalid = matches!(raw.cron, Field::Invalid)
        || matches!(raw.every, Field::Invalid)
        || matches!(raw.http, Field::Invalid)
        || matches!(raw.event, Field::Invalid);
    let mut all: Vec<Trigger> = [cron, every, http, event].into_iter().flatten().collect();
    let message = match all.len() {
        1 => return all.pop(),
        0 if is_invalid => return None,
        0 => "the hook has nothing that starts it",
        _ => "the hook has more than one trigger",
    };
    findings
        .add(&name.place, name.key.clone(), message)
        .hint("write one of cron = \"0 7 * * *\", every = \"35m\", http = \"POST api.example.com/x\" and event = \"crashed\"");
    None
}

/// Keys that mean something beside one kind of trigger only.
fn check_companions(raw: &RawHook, findings: &mut Findings<'_>) {
    fn place<T>(field: &Field<T>) -> Option<(&Place, &String)> {
        field.get().map(|at| (&at.place, &at.key))
    }
    let of_cron =
        [("zone", place(&raw.zone)), ("days", place(&raw.days)), ("missed", place(&raw.missed))];
    let is_timed = |key: &str| !raw.cron.is_absent() || key == "missed" && !raw.every.is_absent();
    for (key, place) in of_cron {
        if let Some((place, path)) = place
            && !is_timed(key)
        {
            findings
                .add(place, path.clone(), format!("{key} belongs to a schedule, and there is none"))
                .hint("add cron = \"0 7 * * *\", or drop the key");
        }
    }
    if let Field::Given(max) = &raw.max
        && raw.http.is_absent()
    {
        findings
            .add(&max.place, max.key.clone(), "max bounds requests, and the hook has no http")
            .hint("add http = \"POST api.example.com/x\", or drop the key");
    }
}

pub(super) fn policies(app: &App<'_>, findings: &mut Findings<'_>) -> Vec<Policy> {
    let all = app.raw.app.policies.value().into_iter().flat_map(|map| &map.0);
    all.filter_map(|named| policy(&named.name, named.value.value()?, app, findings)).collect()
}

fn policy(
    name: &At<PolicyName>,
    raw: &RawPolicy,
    app: &App<'_>,
    findings: &mut Findings<'_>,
) -> Option<Policy> {
    if name.value.is_built_in() {
        findings
            .add(&name.place, name.key.clone(), format!("\"{}\" is a built-in policy", name.value))
            .hint("choose another name");
    }
    match &raw.run {
        Field::Absent => {
            findings
                .add(&name.place, format!("{}.run", name.key), "the policy has no program to run")
                .hint("add a command such as run = \"python3 policy.py\"");
        }
        Field::Given(run) => variables::check_policy(run, app, findings),
        Field::Invalid => {}
    }
    if let Field::Given(fallback) = &raw.fallback
        && !fallback.value.is_built_in()
    {
        let hint = did_you_mean(fallback.value.as_str(), PolicyName::BUILT_IN)
            .unwrap_or_else(|| format!("they are {}", PolicyName::BUILT_IN.join(", ")));
        findings
            .add(&fallback.place, fallback.key.clone(), "the fallback must be a built-in policy")
            .hint(hint);
    }
    Some(Policy {
        name: name.value.clone(),
        run: raw.run.value()?.clone(),
        deadline: raw.deadline.value().copied(),
        fallback: raw.fallback.value().cloned(),
    })
}
