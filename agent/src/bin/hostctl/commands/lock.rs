//! `hostctl lock`.

use std::process::ExitCode;

use agent::clock::since_epoch;
use agent::lease::key::Key;
use agent::lock::{self, LockedCommand};
use agent::plan::facts;

use super::exit_code;
use crate::cli::LockArguments;
use crate::ui::Ui;
use agent::failure::Error;

pub fn lock(arguments: LockArguments, ui: &Ui) -> Result<ExitCode, Error> {
    let key = Key::lock(&arguments.name, arguments.max).map_err(|error| {
        let hint = "a name is 1 to 255 bytes without blanks and slashes; --max is at least 1";
        Error::Usage(error.to_string(), hint.into())
    })?;
    let directories = facts::directories()?;
    let environment = std::env::vars_os().collect();
    let command = LockedCommand { words: arguments.command, environment };
    let mut waiting =
        |refusal: &agent::lease::conflict::Refusal| ui.say(&format!("waiting: {refusal}"));
    let mut held =
        lock::acquire(&key, &command, arguments.wait, &directories, since_epoch, &mut waiting)
            .map_err(Error::Lock)?;
    let exit = lock::run(&command, &mut held).map_err(Error::Lock)?;
    Ok(ExitCode::from(exit_code(exit)))
}
