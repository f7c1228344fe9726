//! `hostctl remove`.

use std::process::ExitCode;

use agent::failure::Error;
use manifest_spec::api::{AppStatus, RemoveRequest};

use super::control::change;
use super::waiting::Goal;
use crate::cli::apps::RemoveArguments;
use crate::client::{self, Client, Place, app_path};
use crate::ui::Ui;

pub fn remove(arguments: &RemoveArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let RemoveArguments { app, data, yes, wait, json } = arguments;
    client::run(async {
        let mut client = Client::open(place).await?;
        if *data && !yes {
            // Nobody is asked about an app that does not exist.
            let status: AppStatus = client.get(&app_path(app)).await?.read()?;
            confirm(&status.app, ui)?;
        }
        let with = if *data { " with its data" } else { "; its data stays" };
        let told = (
            format!("{app} is being removed{with}"),
            format!("{app} is being removed already{with}"),
        );
        let request = RemoveRequest { data: *data };
        change(client, &app_path(app), &request, told, Goal::Gone, (wait, *json), ui).await
    })
}

fn confirm(app: &str, ui: &Ui) -> Result<(), Error> {
    match ui.ask(&format!("delete {app} and all its data? Nothing brings it back.")) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Missed(
            format!("{app} stays as it is"),
            format!("`hostctl remove {app}` removes it and keeps the data"),
        )),
        None => Err(Error::Usage(
            format!("the data of {app} would be deleted, and nobody is there to ask"),
            format!("if it may go: hostctl remove {app} --data --yes"),
        )),
    }
}
