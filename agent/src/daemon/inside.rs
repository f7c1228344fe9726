//! Commands that people run inside an instance.
//!
//! Invariant: process 1 of the sandbox starts them, so every wall of the app is around them; hostd
//! only opens the pipes and passes on what is said.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use manifest_spec::api::{ErrorBody, ExecRequest};
use tokio::sync::mpsc;

use super::event::{CommandNews, Running};
use super::live::{Live, Waiting};
use super::peer::Peer;
use super::refusal;
use super::world::World;
use crate::failure::Error;
use crate::keep::status::Phase;
use crate::keep::wire::{Cells, Command, Order};
use host_sys::file;

impl World {
    /// Run a command inside an instance of an app.
    pub(super) fn execute(
        &mut self,
        name: &str,
        request: ExecRequest,
        peer: &Peer,
    ) -> Result<Running, ErrorBody> {
        if !self.apps.contains_key(name) {
            return Err(refusal::unknown_app(name, &self.apps));
        }
        if request.command.is_empty() {
            return Err(refusal::bad_request("there is no command"));
        }
        let chosen = self.chosen(name, &request)?;
        self.record(peer, "exec", &chosen.to_string(), &request.command.join(" "))?;
        let id = self.next_command();
        let mut environment = BTreeMap::new();
        if let Some(terminal) = &request.terminal {
            environment.insert("TERM".to_owned(), terminal.term.clone());
        }
        let command = Command {
            id,
            arguments: request.command,
            environment,
            directory: request.dir.map(Into::into),
            terminal: request
                .terminal
                .map(|terminal| Cells { rows: terminal.rows, columns: terminal.columns }),
        };
        let kernel = |errno| refusal::of(&Error::Kernel(errno));
        let (theirs, streams) = match command.terminal {
            Some(_) => (Vec::new(), None),
            None => pipes().map(|(theirs, ours)| (theirs, Some(ours))).map_err(kernel)?,
        };
        let (sender, news) = mpsc::unbounded_channel::<CommandNews>();
        let Some(live) = self.live.get_mut(&chosen) else {
            return Err(refusal::conflict(format!("{chosen} has ended"), "try again"));
        };
        live.order(&Order::Execute(command), &theirs).map_err(kernel)?;
        live.commands.insert(id, Waiting::Session(sender));
        let mark = super::event::Mark { name: chosen, serial: live.serial };
        Ok(Running { streams, news, mark, id, sender: self.sender.clone() })
    }

    /// Send a command that runs inside a signal.
    pub(super) fn signal_inside(&mut self, mark: &super::event::Mark, id: u32, signal: i32) {
        if let Some(live) = self.marked(mark) {
            // One that has ended takes no signal.
            let _ = live.order(&Order::SignalCommand { id, signal }, &[]);
        }
    }

    /// The instance that a request means: the first that serves, else the first that runs.
    fn chosen(
        &self,
        app: &str,
        request: &ExecRequest,
    ) -> Result<crate::keep::assignment::Name, ErrorBody> {
        let mut services: Vec<&str> =
            self.instances_of(app).map(|live| live.name.service.as_str()).collect();
        services.dedup();
        if let Some(service) = &request.service
            && !services.contains(&service.as_str())
        {
            return Err(refusal::unknown_service(app, service, &services));
        }
        if request.service.is_none() && services.len() > 1 {
            return Err(refusal::which_service(app, &services));
        }
        let meant = |live: &&Live| {
            request.service.as_ref().is_none_or(|service| *service == live.name.service)
                && request.instance.is_none_or(|number| number == live.name.number)
        };
        let runs = |live: &&Live| {
            live.link.is_some()
                && live.status.as_ref().is_some_and(|status| status.phase == Phase::Running)
        };
        let running: Vec<&Live> = self.instances_of(app).filter(meant).filter(runs).collect();
        let best = running.iter().find(|live| live.instance.is_serving()).or(running.first());
        best.map(|live| live.name.clone()).ok_or_else(|| {
            let message = format!("no instance of {app} that was meant runs");
            refusal::conflict(message, "see `hostctl status` for what runs")
        })
    }
}

type Pipes = (Vec<OwnedFd>, [OwnedFd; 3]);

/// Three pipes: the command's ends, and ours.
fn pipes() -> host_sys::Result<Pipes> {
    let (our_input, input) = file::input_pipe()?;
    let (our_output, output) = file::pipe()?;
    let (our_error, error) = file::pipe()?;
    Ok((vec![input, output, error], [our_input, our_output, our_error]))
}
