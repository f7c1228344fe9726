//! The life of a keeper's process.
//!
//! Invariant: whatever goes wrong is in the folder in words before the process ends. It is started
//! by hostd with the folder's lock at 3, a connection at 4, and shared sockets from 5 on.

use std::os::fd::OwnedFd;
use std::path::Path;

use host_sys::creds;
use host_sys::process::{self, Exit};
use host_sys::signal::number;
use manifest_spec::manifest::Protocol;

use super::assignment::{Assignment, HandedSocket, VERSION};
use super::companion::{Desk, call_name, copy};
use super::folder::Folder;
use super::status::{Ending, Status};
use crate::aside::Like;
use crate::cgroup::{CgroupError, scope};
use crate::clock::since_epoch;
use crate::failure::{self, Error};
use crate::lease::Held;
use crate::lease::ledger::{Choice, Placement};
use crate::network::boundary::BoundaryError;
use crate::network::rules::OwnAddress;
use crate::plan::{Identity, Keeper, PlannedAddress, Settings, facts};
use crate::planning::{self, Planned};
use crate::run::{self, Finished, Output, RunError};
use crate::uids;

/// What a keeper is called: whoever is executed by this name is one.
pub const PROGRAM: &str = "hostctl-keeper";

/// Be a keeper, if that is what this process was started as. The answer is its exit code, which
/// nobody depends on.
pub fn run_if_meant(mut arguments: impl Iterator<Item = String>) -> Option<u8> {
    if arguments.next()? != PROGRAM {
        return None;
    }
    let count = arguments.next().and_then(|count| count.parse().ok());
    let folder = arguments.next();
    Some(match (count, folder) {
        (Some(count), Some(folder)) => keep(count, Path::new(&folder)).map_or(1, |()| 0),
        _ => 2,
    })
}

fn keep(count: u32, folder: &Path) -> std::io::Result<()> {
    let mut passed = process::take_passed(count)?.into_iter();
    process::close_all_on_exec()?;
    let missing = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let lock = passed.next().ok_or_else(missing)?;
    let connection = passed.next().ok_or_else(missing)?;
    let sockets: Vec<OwnedFd> = passed.collect();
    let directories = facts::directories().map_err(|_| missing())?;
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let place = folder.parent().and_then(name).ok_or_else(missing)?;
    let name = name(folder).ok_or_else(missing)?;
    let folder = Folder::open(&directories, &place, &name).map_err(|_| missing())?;
    let assignment = folder.assignment()?.filter(|one| one.v == VERSION).ok_or_else(missing)?;
    if assignment.foreground {
        process::die_with_parent()?;
    }
    let shared: host_sys::Result<Vec<(HandedSocket, OwnedFd)>> = assignment
        .sockets
        .iter()
        .zip(&sockets)
        .map(|(socket, fd)| Ok((*socket, copy(fd)?)))
        .collect();
    let mut desk = Desk::new(folder, Status::new(process::pid()), connection, shared?)?;
    desk.report();
    let ending = match perform(&assignment, &sockets, &mut desk) {
        Ok(finished) => ending_of(&finished),
        Err(error) => {
            let told = error.told();
            Ending::NotStarted { message: told.message, hint: told.hint }
        }
    };
    desk.conclude(ending);
    // In this order: whoever hears the connection end may start the instance anew.
    drop(lock);
    drop(desk);
    Ok(())
}

/// Leave hostd's unit, where systemd runs the host: `systemctl kill` means every process of a unit,
/// and so does the OOM killer of systemd's. A hostd without root has no scopes to ask for, and its
/// keepers stay.
fn move_out(assignment: &Assignment) -> Result<(), Box<Error>> {
    if creds::effective().0 != 0 || !scope::is_booted() {
        return Ok(());
    }
    let unit = format!("hostctl-{}-{}", assignment.name, process::pid());
    scope::relocate(&unit, &format!("hostd: {}", assignment.name)).map_err(|error| {
        let error = BoundaryError::Cgroup(CgroupError::Scope(error));
        Box::new(Error::Run(RunError::Boundary(error), None))
    })
}

/// Plan, lease, run: what `hostctl run` does.
fn perform(
    assignment: &Assignment,
    sockets: &[OwnedFd],
    desk: &mut Desk,
) -> Result<Finished, Box<Error>> {
    move_out(assignment)?;
    let notify = desk.folder.path().join("notify");
    let settings = |address| settings(assignment, &notify, address);
    let planned = planning::plan(&assignment.source, settings(None)).map_err(Error::from)?;
    if !assignment.allow_unenforced {
        planning::refuse_unlimited(&planned.plan).map_err(Error::from)?;
    }
    let (planned, held) = acquire(planned, assignment, &settings)?;
    let Planned { loaded, mut plan, facts, policy } = planned;
    if plan.identity == (Identity::Own { uid: None }) {
        let users = || std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let uid = uids::claim(&facts.directories.state, policy.uids, &plan.app, users)
            .map_err(Error::Uid)?;
        plan.identity = Identity::Own { uid: Some(uid) };
    }
    desk.status.address = plan.answers_on().to_string();
    if let PlannedAddress::Own(own) = plan.address {
        desk.status.own = own;
    }
    desk.status.unenforced =
        plan.unenforced.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
    desk.inside.environment.clone_from(&plan.env);
    desk.inside.directory.clone_from(&plan.dir);
    let like = Some(Box::new(Like::of(assignment)));
    let output = match assignment.foreground {
        true => {
            let [_, output, error] = host_sys::file::standard();
            let _ = run::give(&plan, &[output, error]);
            Output::Caller { interactive: false, like }
        }
        false => {
            let version = Some(u64::from(assignment.version));
            Output::Kept { tail: desk.tail.clone(), version, like }
        }
    };
    run::run(&plan, held, &facts, sockets, output, since_epoch, desk).map_err(|error| {
        let place = failure::about(&error, &plan).map(|about| loaded.document.place(about));
        Box::new(Error::Run(error, place))
    })
}

fn settings(assignment: &Assignment, notify: &Path, address: Option<OwnAddress>) -> Settings {
    let protocol = |socket: &HandedSocket| match socket.datagram {
        true => Protocol::Udp,
        false => Protocol::Tcp,
    };
    Settings {
        service: Some(assignment.name.service.clone()),
        instance: assignment.name.number,
        keeper: Keeper::Daemon,
        ports: assignment.ports.iter().map(|port| (port.name.clone(), port.number)).collect(),
        sockets: assignment.sockets.iter().map(|one| (protocol(one), one.port)).collect(),
        own_sockets: true,
        balanced: assignment.balanced,
        address,
        notify: Some(notify.to_owned()),
        logged: !assignment.foreground,
        deployer: assignment.deployer.clone(),
        ..Settings::default()
    }
}

/// What the instance needs for itself, and the plan for the address that it got.
fn acquire(
    planned: Planned,
    assignment: &Assignment,
    settings: &dyn Fn(Option<OwnAddress>) -> Settings,
) -> Result<(Planned, Held), Box<Error>> {
    let offset = planned.loaded.manifest.port_offset;
    let Planned { plan, facts, policy, .. } = &planned;
    let (found, held) = run::acquire(plan, facts, policy, offset, Choice::Planned, since_epoch)
        .map_err(|error| Error::Run(error, None))?;
    if found == (Placement { offset, address: None }) {
        return Ok((planned, held));
    }
    let planned =
        planning::plan(&assignment.source, settings(found.address)).map_err(Error::from)?;
    Ok((planned, held))
}

/// How a run ended, in the words of a status.
fn ending_of(finished: &Finished) -> Ending {
    let outcome = &finished.outcome;
    match (outcome.exit, outcome.denied) {
        _ if outcome.out_of_memory.is_some() => Ending::Oom,
        (Exit::Signal(number::SYS, _), Some(call)) => Ending::Denied { call: call_name(call) },
        _ if outcome.killed => Ending::Killed,
        (exit, _) => Ending::of(exit),
    }
}
