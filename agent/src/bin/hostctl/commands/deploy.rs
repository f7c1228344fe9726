//! `hostctl deploy`.

use std::process::ExitCode;

use agent::failure::Error;
use manifest_spec::api::{DeployRequest, Deployed};

use super::load;
use super::waiting::{self, Goal};
use crate::cli::apps::{DeployArguments, ForceArguments, WaitArguments};
use crate::client::{self, Answer, Client, Place};
use crate::ui::Ui;

pub fn deploy(arguments: &DeployArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let request = request(&arguments.manifest, &arguments.force, None)?;
    client::run(async {
        let mut client = Client::open(place).await?;
        let answer = client.post("/v1/deploy", &request).await?;
        conclude(client, &answer, &arguments.wait, arguments.json, ui).await
    })
}

/// What `deploy` and `apply` send.
pub fn request(
    manifest: &crate::cli::ManifestArguments,
    force: &ForceArguments,
    token: Option<String>,
) -> Result<DeployRequest, Error> {
    let (manifest, overrides) = load::sent(manifest)?;
    let ForceArguments { strict, allow_unenforced } = *force;
    Ok(DeployRequest { manifest, overrides, allow_unenforced, strict, token })
}

/// Say what was accepted, and stay until it serves if that is wanted.
pub async fn conclude(
    client: Client,
    answer: &Answer,
    wait: &WaitArguments,
    json: bool,
    ui: &Ui,
) -> Result<ExitCode, Error> {
    let deployed: Deployed = answer.read()?;
    if json {
        ui.answer(&answer.json())?;
    }
    let Deployed { app, version, unchanged, seq, warnings } = deployed;
    for warning in &warnings {
        ui.say(&format!("{app}: {warning}"));
    }
    match unchanged {
        true => ui.say(&format!("{app}: version {version} is that already; nothing is different")),
        false => ui.say(&format!("{app}: version {version} deployed")),
    }
    if !wait.wait || unchanged && serves(&client, &app).await? {
        return Ok(ExitCode::SUCCESS);
    }
    waiting::wait(client, &app, seq, Goal::Version(version), wait.timeout, ui).await
}

/// Whether all that should run of an app does its work.
async fn serves(client: &Client, app: &str) -> Result<bool, Error> {
    let status = client.again().await?.get(&client::app_path(app)).await?.read()?;
    Ok(super::status::serves(&status))
}
