//! `hostctl plan --deployed`: what a deployment would change of what runs.

use std::process::ExitCode;

use agent::failure::{DIFFERENT, Error};
use manifest_spec::api::{Change, ChangeKind, DeployRequest, Difference, Effect, PlanRequest};

use super::{deploy, typed};
use crate::board::{Look, Tone};
use crate::cli::PlanArguments;
use crate::cli::apps::ForceArguments;
use crate::client::{self, Answer, Client, Place};
use crate::commands::plan::page::one_line;
use crate::ui::Ui;

pub fn difference(arguments: &PlanArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let force = ForceArguments {
        strict: arguments.host.strict,
        allow_unenforced: arguments.allow_unenforced,
    };
    let request = deploy::request(&arguments.manifest, &force, None)?;
    let answer = client::run(async { ask(&mut Client::open(place).await?, &request).await })?;
    let difference: Difference = answer.read()?;
    if arguments.json {
        ui.answer(&answer.json())?;
    } else {
        let command = apply_command(&request, &difference.token, place);
        ui.answer(&page(&difference, Some(&command), ui.look()))?;
    }
    Ok(match difference.changes.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(DIFFERENT),
    })
}

/// What deploying this would change.
pub async fn ask(client: &mut Client, request: &DeployRequest) -> Result<Answer, Error> {
    let request = request.clone();
    let request = PlanRequest {
        manifest: request.manifest,
        overrides: request.overrides,
        allow_unenforced: request.allow_unenforced,
        strict: request.strict,
    };
    client.post("/v1/plan", &request).await
}

/// What to type so that just this is done.
fn apply_command(request: &DeployRequest, token: &str, place: &Place) -> String {
    let mut words = typed::variables(&request.overrides);
    words.push("hostctl apply".to_owned());
    if let Place::There(machine) = place {
        words.push(format!("--host {}", typed::quoted(machine.as_str())));
    }
    words.push(typed::quoted(&request.manifest.name));
    words.extend(typed::flags(&request.overrides));
    words.extend(request.strict.then(|| "--strict".to_owned()));
    words.extend(request.allow_unenforced.then(|| "--allow-unenforced".to_owned()));
    words.push(format!("--token {}", typed::quoted(token)));
    words.join(" ")
}

/// The difference, service by service.
pub fn page(difference: &Difference, command: Option<&str>, look: Look) -> String {
    let name = Tone::Strong.paint(&one_line(&difference.app), look.colour);
    let mut text = match (difference.version, difference.changes.as_slice()) {
        (Some(version), []) => format!("{name}: version {version} is deployed; nothing differs\n"),
        (None, []) => format!("{name}: nothing differs\n"),
        (Some(version), _) => format!("{name}: version {version} is deployed\n"),
        (None, _) => format!("{name}: not deployed yet\n"),
    };
    for service in services(&difference.changes) {
        text.push('\n');
        text.push_str(&service_page(service, look));
    }
    if !difference.warnings.is_empty() {
        text.push_str("\nto know\n");
        text.extend(difference.warnings.iter().map(|one| format!("  {}\n", one_line(one))));
    }
    if let (Some(command), false) = (command, difference.changes.is_empty()) {
        text.push_str(&format!("\napply with: {}\n", one_line(command)));
    }
    text
}

/// Changes by service, in the order in which services first come.
fn services(changes: &[Change]) -> Vec<Vec<&Change>> {
    let mut services: Vec<Vec<&Change>> = Vec::new();
    for change in changes {
        match services.iter_mut().find(|all| all[0].service == change.service) {
            Some(service) => service.push(change),
            None => services.push(vec![change]),
        }
    }
    services
}

fn service_page(changes: Vec<&Change>, look: Look) -> String {
    let name = changes[0].service.as_deref().unwrap_or("the app");
    let hardest = changes.iter().map(|change| change.effect).max().unwrap_or(Effect::None);
    let name = Tone::Strong.paint(&one_line(name), look.colour);
    let mut text = format!("{name}: {}\n", effect(hardest));
    let mut why = "";
    for change in changes {
        text.push_str(&format!("  {}\n", value(change, look)));
        if change.why != why && !change.why.is_empty() {
            // What the heading says is not said again.
            let milder = match change.effect == hardest {
                true => String::new(),
                false => format!("; {}", effect(change.effect)),
            };
            let reason = Tone::Faint.paint(&one_line(&change.why), look.colour);
            text.push_str(&format!("      {reason}{milder}\n"));
            why = &change.why;
        }
    }
    text
}

fn value(change: &Change, look: Look) -> String {
    let (sign, tone) = match change.kind {
        ChangeKind::New => ("+", Tone::Good),
        ChangeKind::Changed => ("~", Tone::Moving),
        ChangeKind::Removed => ("-", Tone::Bad),
    };
    let whole = matches!(change.key.as_str(), "" | "service");
    let key = match (whole, change.kind) {
        (true, ChangeKind::New) => "new",
        (true, ChangeKind::Changed) => "changed",
        (true, ChangeKind::Removed) => "removed",
        (false, _) => &change.key,
    };
    let values = match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!(": {old} → {new}"),
        (None, Some(one)) | (Some(one), None) => format!(": {one}"),
        (None, None) => String::new(),
    };
    tone.paint(&format!("{sign} {}{}", one_line(key), one_line(&values)), look.colour)
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "nothing comes of it for what runs",
        Effect::Adopt => "instances run on and take it over",
        Effect::Beside => "new instances start beside the old ones, which end once those are ready",
        Effect::Replace => "instances are stopped, then new ones are started: away in between",
        Effect::Start => "instances are started",
        Effect::Stop => "instances are stopped",
    }
}

#[cfg(test)]
mod tests {
    use manifest_spec::api::{ManifestSource, OverridesWire};

    use super::*;

    fn example() -> Difference {
        serde_json::from_str(include_str!("difference/example.json")).unwrap()
    }

    #[test]
    fn a_page_is_the_golden_file() {
        let page = page(&example(), Some("hostctl apply app.toml --token 5f1c"), Look::default());
        crate::golden::check("difference/example.txt", &page);
    }

    #[test]
    fn what_to_type_has_all_that_the_token_stands_for() {
        let request = DeployRequest {
            manifest: ManifestSource {
                name: "my app.toml".into(),
                text: String::new(),
                folder: "/".into(),
            },
            overrides: OverridesWire {
                variables: vec![("HOSTCTL_SET_PORT".into(), "81".into())],
                set: vec!["env.A=b c".into()],
                ..OverridesWire::default()
            },
            allow_unenforced: true,
            strict: false,
            token: None,
        };
        let place = Place::There("me@box".parse().unwrap());
        assert_eq!(
            apply_command(&request, "5f1c", &place),
            "HOSTCTL_SET_PORT=81 hostctl apply --host me@box 'my app.toml' \
             --set 'env.A=b c' --allow-unenforced --token 5f1c"
        );
    }

    #[test]
    fn nothing_is_said_in_a_line() {
        let same = Difference { changes: Vec::new(), warnings: Vec::new(), ..example() };
        let page = page(&same, Some("x"), Look::default());
        assert_eq!(page, "shop: version 3 is deployed; nothing differs\n");
    }
}
