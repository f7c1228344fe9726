//! The program's environment, command line and check, which refer to what was decided before them.
//!
//! Invariant: nothing of the caller's environment is in it but `$TERM`, and that only with a
//! terminal. Pure.

use manifest_spec::Diagnostic;
use manifest_spec::command::Word;
use manifest_spec::manifest::Service;

use super::lifecycle;
use super::resolve::{LOG_SOCKET, NOTIFY_SOCKET, PATH, RESOLVED_MANIFEST};
use super::{Maker, Plan, PlannedPort, Settings};

/// Name of the main port's socket in `$LISTEN_FDNAMES`.
const MAIN_SOCKET: &str = "main";

/// Fill in the environment, the expanded command line and the health check.
pub(super) fn fill(
    plan: &mut Plan,
    service: &Service,
    settings: &Settings,
) -> Result<(), Diagnostic> {
    let home = plan.data_dir().map_or("/tmp".to_owned(), |path| path.display().to_string());
    let mut env: Vec<(String, String)> = vec![
        ("PATH".into(), PATH.into()),
        ("HOME".into(), home),
        ("USER".into(), plan.app.clone()),
        ("LOGNAME".into(), plan.app.clone()),
        ("LANG".into(), "C.UTF-8".into()),
    ];
    env.extend(settings.term.iter().map(|term| ("TERM".to_owned(), term.clone())));
    env.push(("HOSTCTL_MANIFEST".into(), RESOLVED_MANIFEST.into()));
    if plan.notify.is_some() {
        env.push(("NOTIFY_SOCKET".into(), NOTIFY_SOCKET.into()));
    }
    if plan.log_socket.is_some() {
        env.push(("LOG_SOCKET".into(), LOG_SOCKET.into()));
    }
    let host = plan.listens_on();
    env.push((
        "HOST".into(),
        host.map_or("(chosen at the start)".to_owned(), |host| host.to_string()),
    ));
    for port in &plan.ports {
        let name = port.name.as_ref().map_or("PORT".to_owned(), |name| variable("PORT", name));
        env.push((name, port.inside.to_string()));
    }
    let passed: Vec<_> = plan.ports.iter().filter(|port| port.maker != Maker::Program).collect();
    if !passed.is_empty() {
        // sd_listen_fds(3); LISTEN_PID is known when the program starts.
        let count = |port: &PlannedPort| match &port.maker {
            Maker::Caller(all) => all.len(),
            _ => 1,
        };
        let names: Vec<_> = passed
            .iter()
            .flat_map(|port| vec![port.name.as_deref().unwrap_or(MAIN_SOCKET); count(port)])
            .collect();
        env.push(("LISTEN_FDS".into(), names.len().to_string()));
        env.push(("LISTEN_FDNAMES".into(), names.join(":")));
    }
    for need in &plan.needs {
        let base = upper(&need.name);
        env.push((format!("{base}_HOST"), need.host.clone()));
        if let Some(port) = need.port {
            env.push((format!("{base}_PORT"), port.to_string()));
            env.push((format!("{base}_URL"), format!("tcp://{}:{port}", need.host)));
        }
    }
    if let Some(dir) = plan.data_dir() {
        env.push(("DATA_DIR".into(), dir.display().to_string()));
    }
    for (name, value) in &service.env {
        let key = || format!("{}env.{name}", plan.key_prefix);
        let value = Word::parse(value)
            .map_err(|error| Diagnostic::new(key(), error.to_string()))?
            .expand(&|name| lookup(&env, name))
            .map_err(|error| Diagnostic::new(key(), error.to_string()))?;
        env.retain(|(existing, _)| existing != name);
        env.push((name.clone(), value));
    }
    plan.run = service
        .run
        .expand(&|name| lookup(&env, name))
        .map_err(|error| Diagnostic::new(format!("{}run", plan.key_prefix), error.to_string()))?;
    plan.health = lifecycle::health(service, |command| command.expand(&|name| lookup(&env, name)))
        .map_err(|error| {
            Diagnostic::new(format!("{}health", plan.key_prefix), error.to_string())
        })?;
    plan.env = env;
    Ok(())
}

fn lookup(env: &[(String, String)], name: &str) -> Option<String> {
    env.iter().find(|(existing, _)| existing == name).map(|(_, value)| value.clone())
}

fn variable(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", upper(name))
}

fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}
