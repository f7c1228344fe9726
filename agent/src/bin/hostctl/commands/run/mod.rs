//! `hostctl run`.

mod crew;
pub mod flags;
mod sockets;

use std::process::ExitCode;

use agent::aside::Like;
use agent::cgroup::OutOfMemory;
use agent::clock::since_epoch;
use agent::lease::Held;
use agent::lease::ledger::{Choice, Placement};
use agent::logs::wire::Undelivered;
use agent::plan::{Identity, Plan, facts};
use agent::planning::{self, Planned, Source};
use agent::run::{Finished, Output, RunError};
use agent::sandbox::seccomp;
use agent::supervise::{Alone, News};
use agent::uids;
use host_sys::Errno;
use host_sys::process::Exit;
use host_sys::signal;
use manifest_spec::quantity::Bytes;

use super::exit_code;
use super::load::{self, InHand, Text};
use crate::cli::{PortOffset, RunArguments};
use crate::ui::Ui;
use agent::failure::{self, Error};

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
    if arguments.host.service.is_none() && sockets.is_empty() {
        let loaded = load::load(&text, &arguments.manifest, load::drop_in)?;
        if crew::is_meant(&loaded.manifest) {
            return crew::run(&text, &arguments, choice == Choice::Smallest, ui);
        }
    }
    let in_hand = InHand { sockets: sockets::described(&sockets), ..InHand::default() };
    let planned = load::plan(&text, &arguments.manifest, &arguments.host, &in_hand)?;
    let broken: Vec<_> = planned.plan.unenforced.iter().filter(|one| one.strict).cloned().collect();
    if arguments.host.strict && !broken.is_empty() {
        return Err(Error::Strict(broken));
    }
    if !arguments.allow_unenforced {
        planning::refuse_unlimited(&planned.plan)?;
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
    let mut alone = Alone(|news| {
        if let (true, Some(line)) = (shown, told(&news, &plan)) {
            ui.say(&line);
        }
    });
    let like = like(&text, &arguments, &plan)?;
    let output = Output::Caller { interactive: arguments.interactive, like: Some(Box::new(like)) };
    let finished = agent::run::run(&plan, held, &facts, &sockets, output, since_epoch, &mut alone)
        .map_err(|error| {
            let place = failure::about(&error, &plan).map(|about| loaded.document.place(about));
            Error::Run(error, place)
        })?;
    conclude(&finished, &plan, ui);
    Ok(ExitCode::from(exit_code(finished.outcome.exit)))
}

/// The instance, for programs that are sinks and run beside it.
fn like(text: &Text, arguments: &RunArguments, plan: &Plan) -> Result<Like, Error> {
    let source = Source {
        name: text.name.clone(),
        text: text.text.clone(),
        folder: text.folder.clone(),
        overrides: load::overrides(&arguments.manifest)?,
    };
    let (service, instance) = (plan.service.clone(), plan.instance);
    Ok(Like { source, service, instance, ports: Vec::new(), deployer: None, kept: false })
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
    let (found, held) = agent::run::acquire(plan, facts, policy, offset, choice, since_epoch)
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

/// News for the person who watches.
fn told(news: &News, plan: &Plan) -> Option<String> {
    let app = &plan.app;
    Some(match news {
        News::LookingUp => format!("{app}: looking up the host names of [access] connect"),
        News::Stopping { signal, grace } => {
            let signal = if *signal == 0 { "SIGINT".to_owned() } else { signal::name(*signal) };
            format!(
                "{app}: {signal} sent, waiting up to {} s; Ctrl-C again ends it at once",
                grace.as_secs()
            )
        }
        News::Leftovers => {
            format!("{app}: the program has ended; waiting for processes it left behind")
        }
        News::Killing => format!("{app}: ended by force"),
        News::Born { .. }
        | News::Socket(_)
        | News::Started
        | News::Denied { .. }
        | News::ProgramEnded(_)
        | News::Terminal { .. }
        | News::Executed { .. }
        | News::NotExecuted { .. } => return None,
    })
}

fn conclude(finished: &Finished, plan: &Plan, ui: &Ui) {
    for Undelivered { to, records, said } in &finished.undelivered {
        let (noun, wait) = if *records == 1 { ("record", "waits") } else { ("records", "wait") };
        let why = said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default();
        ui.say(&format!(
            "{to}: {records} log {noun} {wait} for it{why}; the next run sends what is left"
        ));
    }
    let outcome = &finished.outcome;
    if let (Exit::Signal(number, _), Some(call)) = (outcome.exit, outcome.denied)
        && number == signal::number::SYS
    {
        ui.say(&denied(call, plan));
    } else if let (Exit::Signal(signal::number::KILL, _), Some(which), false) =
        (outcome.exit, outcome.out_of_memory, outcome.killed)
    {
        let (said, hint) = out_of_memory(which, plan);
        ui.say(&said);
        ui.hint(&hint);
    } else if let Exit::Signal(number, core) = outcome.exit
        && !outcome.stopped
        && !outcome.killed
    {
        let core = if core { ", core dumped" } else { "" };
        ui.say(&format!("{} ended by {}{core}", plan.app, signal::name(number)));
    }
}

/// Whose memory ran out, and what to do about it.
fn out_of_memory(which: OutOfMemory, plan: &Plan) -> (String, String) {
    let (app, key) = (&plan.app, format!("{}limits.memory", plan.key_prefix));
    match (which, plan.limits.memory) {
        (OutOfMemory::Limit, Some(bytes)) => {
            let (bytes, twice) = (Bytes(bytes), Bytes(bytes.saturating_mul(2)));
            let said =
                format!("{app} was ended by the kernel: it used more than limits.memory = {bytes}");
            (said, format!("give it more, as in --set {key}={twice}"))
        }
        _ => {
            let said = format!("{app} was ended by the kernel: the host had no memory left");
            (said, format!("limit what takes it, as with --set {key}=512M"))
        }
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
