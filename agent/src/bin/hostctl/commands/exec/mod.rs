//! `hostctl exec` and `hostctl shell`: a command inside an instance, with this terminal or these
//! streams.
//!
//! | room | owns |
//! | --- | --- |
//! | [`session`] | the streams and signals, while it runs |
//! | [`streams`] | the threads that read and write our own standard streams |

mod session;
mod streams;

use std::process::ExitCode;

use agent::failure::{Error, NOT_FOUND};
use agent::plan::facts;
use host_sys::{file, terminal};
use manifest_spec::api::{ExecRequest, Exit, Terminal};

use crate::cli::apps::{ExecArguments, ShellArguments};
use crate::client::{self, Client, Place};
use crate::target::Target;
use crate::ui::Ui;

/// The shell: every POSIX system has one of this name.
const SHELL: &str = "sh";

pub fn exec(arguments: &ExecArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let ExecArguments { target, tty, dir, command } = arguments;
    let tty = *tty && has_keyboard(ui);
    inside(target, command.clone(), dir.clone(), tty, place)
}

pub fn shell(arguments: &ShellArguments, place: &Place, ui: &Ui) -> Result<ExitCode, Error> {
    let target = &arguments.target;
    let command = vec![SHELL.to_owned()];
    inside(target, command, None, has_keyboard(ui), place).map_err(|error| match error {
        Error::Answer(mut body) if body.exit_code == NOT_FOUND => {
            body.hint = Some(format!(
                "the app has no shell in its view; run a program that it has: hostctl exec {target} -- …"
            ));
            Error::Answer(body)
        }
        error => error,
    })
}

/// Whether somebody types; said if not.
fn has_keyboard(ui: &Ui) -> bool {
    let [input, ..] = file::standard();
    let there = terminal::is_terminal(input);
    if !there {
        ui.say("standard input is no terminal, so the command gets none either");
    }
    there
}

fn inside(
    target: &Target,
    command: Vec<String>,
    dir: Option<String>,
    tty: bool,
    place: &Place,
) -> Result<ExitCode, Error> {
    let request = ExecRequest {
        service: target.service.clone(),
        instance: target.instance,
        command,
        terminal: tty.then(own_terminal),
        dir,
    };
    client::run(async {
        let client = Client::open(place).await?;
        let (connection, guard) = client.exec(&target.app, &request).await?;
        let exit = session::run(connection, tty).await;
        drop(guard);
        exit.map(|exit| ExitCode::from(code(exit)))
    })
}

fn own_terminal() -> Terminal {
    let (columns, rows) = session::size().unwrap_or((80, 24));
    let term = facts::variable("TERM").unwrap_or_else(|| "dumb".to_owned());
    Terminal { columns, rows, term }
}

/// The command's own code, or 128+N as shells count signals.
fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Exited(status) => status as u8,
        Exit::Signaled(number) => 128_u8.saturating_add(u8::try_from(number).unwrap_or(127)),
    }
}
