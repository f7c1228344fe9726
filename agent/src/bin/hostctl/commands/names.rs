//! `hostctl names`: who asks hostd for names of services.

use std::process::ExitCode;

use agent::dns::resolved::{self, AnnounceError};
use agent::dns::{DOMAIN, PLACE};
use agent::failure::{Error, SYSTEM, UNAVAILABLE};

use crate::cli::names::{NamesArguments, NamesCommand};
use crate::ui::Ui;

pub fn names(arguments: &NamesArguments, ui: &Ui) -> Result<ExitCode, Error> {
    match arguments.command {
        NamesCommand::Announce => {
            resolved::announce().map_err(refused)?;
            ui.say(&format!("systemd-resolved asks {PLACE} for NAME.{DOMAIN} until the next boot"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn refused(error: AnnounceError) -> Error {
    let (hint, code) = match error {
        AnnounceError::Device(_) => ("type it as root", SYSTEM),
        AnnounceError::Bus(_) | AnnounceError::Refused(..) => {
            ("docs/names.md has a line for other resolvers", UNAVAILABLE)
        }
    };
    Error::Refused(error.to_string(), hint.to_owned(), code)
}
