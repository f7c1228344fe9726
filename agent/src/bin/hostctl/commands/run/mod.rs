//! `hostctl run`.

pub mod flags;
mod sockets;

use std::process::ExitCode;

use agent::lease::Held;
use agent::lease::ledger::{Choice, Placement};
use agent::network::boundary::BoundaryError;
use agent::plan::{Identity, Plan, facts};
use agent::planning::Planned;
use agent::run::{Finished, RunError};
use agent::sandbox::seccomp;
use agent::supervise::Notice;
use agent::uids;
use host_sys::Errno;
use host_sys::process::Exit;
use host_sys::signal;
use manifest_spec::Diagnostic;

use super::load::{self, InHand, Text};
use super::{exit_code, now};
use crate::cli::{PortOffset, RunArguments};
use crate::ui::Ui;
use agent::failure::{Error, cause};

pub fn run(mut arguments: RunArguments, ui: &Ui) -> Result<ExitCode, Error> {
    if let (Some(_), Some(file)) = (&arguments.save, &arguments.manifest.file) {
        return Err(load::contradiction("--save", file));
    }
    // What a careless caller left open must reach no program.
    host_sys::process::close_all_on_exec().map_err(|errno| match errno {
        Errno::EINVAL | Errno::ENOSYS => Error::Run(RunError::OldKernel(facts::kernel()), None),
        errno => Error::Kernel(errno),
    })?;
    let text = load::text(&arguments.manifest, &arguments.flags)?;
    let choice = match arguments.manifest.port_offset {
        Some(PortOffset::Auto) => Choice::Smallest,
        _ => Choice::Planned,
    };
    if choice == Choice::Smallest {
        arguments.manifest.port_offset = None;
    }
    let sockets = sockets::take()?;
    let in_hand = InHand { address: None, sockets: sockets::described(&sockets) };
    let planned = load::plan(&text, &arguments.manifest, &arguments.host, &in_hand)?;
    let broken: Vec<_> = planned.plan.unenforced.iter().filter(|one| one.strict).cloned().collect();
    if arguments.host.strict && !broken.is_empty() {
        return Err(Error::Strict(broken));
    }
    if let Some(path) = &arguments.save {
        flags::save(path, &text.text)?;
        ui.say(&format!("wrote {}", path.display()));
    }
    let (planned, held) = acquire(planned, choice, &text, &mut arguments, in_hand)?;
    let Planned { loaded, mut plan, facts, .. } = planned;
    if plan.identity == (Identity::Own { uid: None }) {
        plan.identity = Identity::Own { uid: Some(claim(&plan, &facts)?) };
    }
    let shown = !arguments.quiet;
    if shown {
        let found = (choice == Choice::Smallest).then_some(loaded.manifest.port_offset);
        announce(&plan, found, ui);
    }
    let mut notify = |notice| {
        if shown {
            ui.say(&told(notice, &plan));
        }
    };
    let finished =
        agent::run::run(&plan, held, &facts, &sockets, arguments.interactive, now, &mut notify)
            .map_err(|error| {
                let place = about(&error, &plan).map(|about| loaded.document.place(about));
                Error::Run(error, place)
            })?;
    conclude(&finished, &plan, ui);
    Ok(ExitCode::from(exit_code(finished.outcome.exit)))
}

/// What the app needs for itself, and the plan for the offset it was found at.
fn acquire(
    planned: Planned,
    choice: Choice,
    text: &Text,
    arguments: &mut RunArguments,
    in_hand: InHand,
) -> Result<(Planned, Held), Error> {
    let offset = planned.loaded.manifest.port_offset;
    let Planned { plan, facts, policy, .. } = &planned;
    let (found, held) = agent::run::acquire(plan, facts, policy, offset, choice, now)
        .map_err(|error| Error::Run(error, None))?;
    if found == (Placement { offset, address: None }) {
        return Ok((planned, held));
    }
    arguments.manifest.port_offset = Some(PortOffset::By(found.offset));
    let in_hand = InHand { address: found.address, ..in_hand };
    let planned = load::plan(text, &arguments.manifest, &arguments.host, &in_hand)?;
    Ok((planned, held))
}

fn claim(plan: &Plan, facts: &agent::plan::HostFacts) -> Result<u32, Error> {
    let policy = agent::source::policy(&facts.directories.policy())?;
    let users = || std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    uids::claim(&facts.directories.state, policy.uids, &plan.app, users).map_err(Error::Uid)
}

/// What does not hold here, in one line each, the offset that was found, and where the app answers.
fn announce(plan: &Plan, found: Option<u16>, ui: &Ui) {
    for one in &plan.unenforced {
        ui.say(&format!("{}: not enforced: {}: {}", plan.app, one.what, one.why));
    }
    if let Some(offset) = found {
        ui.say(&format!("{}: port offset {offset}, the smallest that is free", plan.app));
    }
    if let Some(port) = plan.ports.iter().find(|port| port.name.is_none()) {
        ui.say(&format!("{}: starting on {}:{}", plan.app, plan.answers_on(), port.port));
    }
}

fn told(notice: Notice, plan: &Plan) -> String {
    let app = &plan.app;
    match notice {
        Notice::LookingUp => format!("{app}: looking up the host names of [access] connect"),
        Notice::Stopping(number, grace) => {
            let signal = if number == 0 { "SIGINT".to_owned() } else { signal::name(number) };
            format!(
                "{app}: {signal} sent, waiting up to {} s; Ctrl-C again ends it at once",
                grace.as_secs()
            )
        }
        Notice::Leftovers => {
            format!("{app}: the program has ended; waiting for processes it left behind")
        }
        Notice::Killing => format!("{app}: ended by force"),
    }
}

/// A failure as a mistake in the manifest, if a key of it is behind it.
fn about(error: &RunError, plan: &Plan) -> Option<Diagnostic> {
    match error {
        RunError::Step { key, failure, .. } if key == "run" => {
            Some(Diagnostic::new(format!("{}run", plan.key_prefix), cause(failure)))
        }
        RunError::Step { key, failure, .. } if !key.is_empty() => {
            Some(Diagnostic::new(key.clone(), cause(failure)))
        }
        RunError::Boundary(error) => match error {
            BoundaryError::Name(key, error) => {
                let hint = "check its spelling and the host's DNS, or write its address";
                Some(Diagnostic::new(key.clone(), error.to_string()).with_hint(hint))
            }
            BoundaryError::Interface(key, _, all) => {
                let hint = format!("its interfaces are {}", all.join(", "));
                Some(Diagnostic::new(key.clone(), error.to_string()).with_hint(hint))
            }
            _ => None,
        },
        RunError::Data(data) => Some(Diagnostic::new(data.key.clone(), data.error.to_string())),
        _ => None,
    }
}

fn conclude(finished: &Finished, plan: &Plan, ui: &Ui) {
    for (path, lost) in &finished.losses {
        ui.say(&format!("{}: {lost} log records could not be written", path.display()));
    }
    let outcome = &finished.outcome;
    if let (Exit::Signal(number, _), Some(call)) = (outcome.exit, outcome.denied)
        && number == signal::number::SYS
    {
        ui.say(&denied(call, plan));
    } else if let Exit::Signal(number, core) = outcome.exit
        && !outcome.stopped
        && !outcome.killed
    {
        let core = if core { ", core dumped" } else { "" };
        ui.say(&format!("{} ended by {}{core}", plan.app, signal::name(number)));
    }
}

/// Which call was refused, and the setting that would allow it.
fn denied(call: i32, plan: &Plan) -> String {
    let name = u32::try_from(call).ok().and_then(seccomp::name_of);
    let Some(name) = name else {
        return format!(
            "{} was ended for system call number {call}, which is not allowed",
            plan.app
        );
    };
    format!("{} was ended for calling {name}(2): {}", plan.app, seccomp::remedy(name).advice(name))
}
