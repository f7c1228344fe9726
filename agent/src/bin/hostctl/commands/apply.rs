//! `hostctl apply`: deploy just what was shown.
//!
//! Invariant: what is deployed is what a token stands for; if the world has moved since, nothing is
//! done.

use std::process::ExitCode;

use agent::failure::Error;
use manifest_spec::api::{DeployRequest, Difference, ErrorCode};

use super::{deploy, difference};
use crate::cli::apps::ApplyArguments;
use crate::client::{self, Client, Place};
use crate::ui::Ui;

pub fn apply(arguments: &ApplyArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let ApplyArguments { manifest, force, wait, token, yes, json } = arguments;
    let mut request = deploy::request(manifest, force, token.clone())?;
    client::run(async {
        let mut client = Client::open(place).await?;
        if request.token.is_none() {
            let answer = difference::ask(&mut client, &request).await?;
            let difference: Difference = answer.read()?;
            if !json {
                ui.answer(&difference::page(&difference, None, ui.look()))?;
            }
            if !difference.changes.is_empty() && !yes {
                confirm(&difference.app, &request, ui)?;
            }
            request.token = Some(difference.token);
        }
        let answer = client.post("/v1/deploy", &request).await;
        let answer = answer.map_err(|error| moved(error, &request))?;
        deploy::conclude(client, &answer, wait, *json, ui).await
    })
}

fn confirm(app: &str, request: &DeployRequest, ui: &Ui) -> Result<(), Error> {
    let file = &request.manifest.name;
    match ui.ask("apply this?") {
        Some(true) => Ok(()),
        Some(false) => {
            let hint = format!("`hostctl plan {file} --deployed` shows it again");
            Err(Error::Missed(format!("{app} stays as it is"), hint))
        }
        None => {
            let message = "nobody is there to say yes to this difference".to_owned();
            let hint = format!(
                "give the token of `hostctl plan {file} --deployed` with --token, or --yes for whatever it is"
            );
            Err(Error::Usage(message, hint))
        }
    }
}

/// A world that has moved, with what to do about it in this place.
fn moved(error: Error, request: &DeployRequest) -> Error {
    match error {
        Error::Answer(mut body) if body.code == ErrorCode::Moved => {
            let file = &request.manifest.name;
            body.hint = Some(format!(
                "read what is different now with `hostctl plan {file} --deployed`, and apply its token"
            ));
            Error::Answer(body)
        }
        error => error,
    }
}
