//! `hostctl halt`.

use std::process::ExitCode;
use std::time::Duration;

use agent::failure::Error;
use manifest_spec::api::HostStatus;
use tokio::time::{Instant, sleep};

use crate::cli::apps::HaltArguments;
use crate::client::{self, Client, Place};
use crate::ui::Ui;
use crate::words;

/// Between two looks at what still runs.
const EVERY: Duration = Duration::from_millis(50);

pub fn halt(arguments: &HaltArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    client::run(async {
        let mut client = Client::open(place).await?;
        let answer = client.post("/v1/halt", &serde_json::json!({})).await?;
        if arguments.json {
            ui.answer(&answer.json())?;
        }
        ui.say("every app is being stopped; they start again when hostd does");
        let end = Instant::now() + arguments.timeout;
        loop {
            let host: HostStatus = client.get("/v1/host").await?.read()?;
            if host.instances == 0 {
                ui.say("nothing runs any more");
                return Ok(ExitCode::SUCCESS);
            }
            if Instant::now() > end {
                let left = words::count(host.instances, "instance");
                let limit = words::span(arguments.timeout.as_millis() as u64);
                let message = format!("{left} still there after {limit}; stopping goes on");
                return Err(Error::Missed(message, "`hostctl ps` shows which".into()));
            }
            sleep(EVERY).await;
        }
    })
}
