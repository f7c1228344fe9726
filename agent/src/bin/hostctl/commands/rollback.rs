//! `hostctl rollback`.

use std::process::ExitCode;

use agent::failure::Error;
use manifest_spec::api::RollbackRequest;

use super::deploy::conclude;
use crate::cli::apps::RollbackArguments;
use crate::client::{self, Client, Place, app_path};
use crate::ui::Ui;

pub fn rollback(arguments: &RollbackArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let RollbackArguments { app, version, wait, json } = arguments;
    client::run(async {
        let mut client = Client::open(place).await?;
        let path = format!("{}/rollback", app_path(app));
        let answer = client.post(&path, &RollbackRequest { version: *version }).await?;
        conclude(client, &answer, wait, *json, ui).await
    })
}
