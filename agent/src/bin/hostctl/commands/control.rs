//! `hostctl stop`, `start`, `restart` and `scale`: how much of an app runs.

use std::process::ExitCode;

use agent::failure::Error;
use manifest_spec::api::{AppStatus, Changed, ScaleRequest, ServiceRequest};
use serde::Serialize;

use super::waiting::{self, Goal};
use crate::cli::apps::{PartArguments, ScaleArguments, WaitArguments};
use crate::client::{self, Client, Place, app_path};
use crate::target::Scale;
use crate::ui::Ui;

/// What is done to an app or a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Stop,
    Start,
    Restart,
}

impl Deed {
    fn path(self) -> &'static str {
        match self {
            Deed::Stop => "stop",
            Deed::Start => "start",
            Deed::Restart => "restart",
        }
    }

    /// What is so from now on, and what was so already.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Deed::Stop => ("is being stopped", "is stopped already"),
            Deed::Start => ("is being started", "is started already"),
            Deed::Restart => ("is being restarted", "is being restarted already"),
        }
    }
}

pub fn control(
    deed: Deed,
    arguments: &PartArguments,
    place: &Place,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let target = &arguments.part.0;
    let path = format!("{}/{}", app_path(&target.app), deed.path());
    let request = ServiceRequest { service: target.service.clone() };
    let (done, so_already) = deed.told();
    // Of an app of which one service was stopped, the others run on.
    let goal = match (deed, &target.service) {
        (Deed::Stop, None) => Goal::Stopped,
        _ => Goal::Serving,
    };
    let told = (format!("{target} {done}"), format!("{target} {so_already}"));
    client::run(async {
        let client = Client::open(place).await?;
        change(client, &path, &request, told, goal, (&arguments.wait, arguments.json), ui).await
    })
}

pub fn scale(arguments: &ScaleArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let Scale { app, service, count } = &arguments.scale;
    client::run(async {
        let mut client = Client::open(place).await?;
        let service = match service {
            Some(service) => service.clone(),
            None => only_service(&mut client, app).await?,
        };
        let path = format!("{}/scale", app_path(app));
        let instances = crate::words::count(*count, "instance");
        let told = (
            format!("{app}.{service} gets {instances}"),
            format!("{app}.{service} has {instances} already"),
        );
        let request = ScaleRequest { service, count: *count };
        let wait = (&arguments.wait, arguments.json);
        change(client, &path, &request, told, Goal::Serving, wait, ui).await
    })
}

/// The one service of an app.
async fn only_service(client: &mut Client, app: &str) -> Result<String, Error> {
    let status: AppStatus = client.get(&app_path(app)).await?.read()?;
    match status.services.as_slice() {
        [service] => Ok(service.name.clone()),
        services => {
            let names: Vec<_> = services.iter().map(|one| one.name.as_str()).collect();
            let first = names.first().copied().unwrap_or("web");
            Err(Error::Usage(
                format!("{app} has several services"),
                format!("name one of {}, as in {app}.{first}=2", names.join(", ")),
            ))
        }
    }
}

/// Change what is wanted of an app, say so, and stay until it is so if that is wanted.
pub async fn change(
    mut client: Client,
    path: &str,
    request: &impl Serialize,
    (done, so_already): (String, String),
    goal: Goal,
    (wait, json): (&WaitArguments, bool),
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let answer = match goal {
        Goal::Gone => client.delete(path, request).await?,
        _ => client.post(path, request).await?,
    };
    let changed: Changed = answer.read()?;
    if json {
        ui.answer(&answer.json())?;
    }
    for warning in &changed.warnings {
        ui.say(&format!("{}: {warning}", changed.app));
    }
    ui.say(if changed.unchanged { &so_already } else { &done });
    if !wait.wait {
        return Ok(ExitCode::SUCCESS);
    }
    waiting::wait(client, &changed.app, changed.seq, goal, wait.timeout, ui).await
}
