//! From a manifest to a plan: every default, and the host policy's word.
//!
//! Owns all defaults of hostctl. Invariant: pure; a value of the manifest is used as it is or
//! refused, never changed. Every error names the key.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use manifest_spec::command::Word;
use manifest_spec::manifest::{
    Base, Destination, Manifest, Network, Port, Service, SinkTarget, User,
};
use manifest_spec::names::ServiceName;
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostic, Diagnostics};

use super::grants::Context;
use super::unenforced::{port_key, unenforced, unsupported};
use super::{Grant, HostFacts, Identity, Need, Plan, PlannedLimits, PlannedPort};

/// Search path inside every sandbox.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the program finds the resolved manifest.
pub const RESOLVED_MANIFEST: &str = "/run/hostctl/manifest.json";

/// Descriptors a process may open when the manifest does not say: enough for a busy server, and
/// far below what would let one program starve the host.
const FILES: u64 = 65_536;

/// Time between the request to stop and the end by force.
pub const GRACE: Duration = Duration::from_secs(10);

/// What the command line adds to the manifest.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the manifest, absolute.
    pub folder: PathBuf,
    /// The service to run; may be left out when there is one.
    pub service: Option<String>,
    /// The uid this app already has, if any.
    pub uid: Option<u32>,
    /// `$TERM`, when the program gets a terminal.
    pub term: Option<String>,
    /// Time between the request to stop and the end by force.
    pub grace: Duration,
}

/// Decide everything.
///
/// # Errors
/// Every reason why this service can't run like this on this host.
pub fn resolve(
    manifest: &Manifest,
    facts: &HostFacts,
    policy: &HostPolicy,
    settings: &Settings,
) -> Result<Plan, Diagnostics> {
    let service = choose(manifest, settings.service.as_deref()).map_err(one)?;
    let prefix = prefix(manifest, service);
    let mut errors = unsupported(manifest, service, &prefix);
    errors.extend(permit(manifest, service, &prefix, facts, policy));
    let identity =
        identify(manifest, service, &prefix, facts, policy, settings).unwrap_or_else(|error| {
            errors.push(error);
            Identity::Root
        });
    let grants = Context {
        folder: &settings.folder,
        app: manifest.name.as_str(),
        directories: &facts.directories,
        home: facts.home.as_deref(),
        denied: &policy.deny.paths,
        prefix: &prefix,
    }
    .resolve(&service.access)
    .unwrap_or_else(|refused| {
        errors.extend(refused);
        Vec::new()
    });
    let dir = directory(service, &settings.folder, &grants).unwrap_or_else(|message| {
        let hint = "add it to [access] read";
        errors.push(Diagnostic::new(format!("{prefix}dir"), message).with_hint(hint));
        PathBuf::new()
    });
    let limits = limits(service, &prefix, facts, policy, &mut errors);
    let network = network(service);
    let mut plan = Plan {
        app: manifest.name.to_string(),
        service: service.name.to_string(),
        instance: 1,
        identity,
        dir,
        run: Vec::new(),
        env: Vec::new(),
        ports: service.ports.iter().map(|port| planned(port, &prefix)).collect(),
        base: service.access.base.unwrap_or(Base::System),
        grants,
        network,
        resolver: network == Network::Host && service.access.connect.iter().flatten().any(named),
        interfaces: service.access.interfaces.clone(),
        connect: service.access.connect.iter().flatten().map(ToString::to_string).collect(),
        needs: needs(manifest, service),
        capabilities: service.access.capabilities.clone().unwrap_or_default(),
        syscalls: service.access.syscalls.clone().unwrap_or_default(),
        limits,
        log_files: log_files(manifest, &settings.folder),
        grace: settings.grace,
        unenforced: Vec::new(),
        key_prefix: prefix,
    };
    plan.unenforced = unenforced(&plan, service, facts);
    if let Err(error) = fill(&mut plan, service, settings) {
        errors.push(error);
    }
    match Diagnostics::new(errors) {
        Some(errors) => Err(errors),
        None => Ok(plan),
    }
}

fn one(error: Diagnostic) -> Diagnostics {
    Diagnostics::from(error)
}

fn choose<'a>(manifest: &'a Manifest, wanted: Option<&str>) -> Result<&'a Service, Diagnostic> {
    let names = || {
        let names: Vec<_> = manifest.services.iter().map(|service| service.name.as_str()).collect();
        names.join(", ")
    };
    match (wanted, manifest.services.as_slice()) {
        (Some(wanted), services) => {
            services.iter().find(|service| service.name.as_str() == wanted).ok_or_else(|| {
                Diagnostic::new("services", format!("there is no service {wanted:?}"))
                    .with_hint(format!("the services are {}", names()))
            })
        }
        (None, [service]) => Ok(service),
        (None, _) => Err(Diagnostic::new(
            "services",
            format!(
                "the app has {} services, and this version runs one at a time",
                manifest.services.len()
            ),
        )
        .with_hint(format!("add --service with one of {}", names()))),
    }
}

/// Prefix of a service's keys: empty in the short form, where the top level is the service.
fn prefix(manifest: &Manifest, service: &Service) -> String {
    if manifest.short_form { String::new() } else { format!("services.{}.", service.name) }
}

/// Refusals of the host policy that need no resolved value.
fn permit(
    manifest: &Manifest,
    service: &Service,
    prefix: &str,
    facts: &HostFacts,
    policy: &HostPolicy,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    if !policy.allows_user(facts.uid, &manifest.name) {
        let message = format!("the host policy does not let uid {} run this app", facts.uid);
        let hint = "ask the operator for an entry in [[users]] of policy.toml";
        errors.push(Diagnostic::new("name", message).with_hint(hint));
    }
    let lists = [
        ("capabilities", &service.access.capabilities, &policy.allow.capabilities),
        ("syscalls", &service.access.syscalls, &policy.allow.syscalls),
    ];
    for (key, asked, allowed) in lists {
        let Some(allowed) = allowed else { continue };
        for name in asked.iter().flatten().filter(|name| !allowed.contains(name)) {
            let message = format!("the host policy does not allow {name}");
            let hint = format!("ask the operator to add it to [allow] {key} in policy.toml");
            errors.push(Diagnostic::new(format!("{prefix}access.{key}"), message).with_hint(hint));
        }
    }
    for name in service.access.syscalls.iter().flatten() {
        if !crate::sandbox::seccomp::is_known(name) {
            let message = format!("{name:?} is not a system call of this architecture");
            errors.push(Diagnostic::new(format!("{prefix}access.syscalls"), message));
        }
    }
    errors
}

/// Who the program runs as.
fn identify(
    manifest: &Manifest,
    service: &Service,
    prefix: &str,
    facts: &HostFacts,
    policy: &HostPolicy,
    settings: &Settings,
) -> Result<Identity, Diagnostic> {
    let key = format!("{prefix}access.user");
    if service.access.user == Some(User::Root) {
        if !facts.is_root() {
            let message = "only root can run a program as root";
            return Err(Diagnostic::new(key, message).with_hint("leave out user, or run as root"));
        }
        if !policy.allows_root(&manifest.name) {
            let message = "the host policy does not let this app run as root";
            let hint = format!("add {:?} to [allow] root in policy.toml", manifest.name.as_str());
            return Err(Diagnostic::new(key, message).with_hint(hint));
        }
        return Ok(Identity::Root);
    }
    if !facts.is_root() {
        if service.access.capabilities.as_ref().is_some_and(|list| !list.is_empty()) {
            let message = "capabilities can't be given without root";
            return Err(Diagnostic::new(format!("{prefix}access.capabilities"), message));
        }
        return Ok(Identity::Caller { uid: facts.uid, gid: facts.gid });
    }
    let range = policy.uids;
    let (first, end) = (u64::from(range.first), u64::from(range.first) + u64::from(range.count));
    let clash = facts
        .subordinate
        .iter()
        .find(|(_, from, count)| first < from.saturating_add(*count) && *from < end);
    match clash {
        Some((owner, from, count)) => Err(Diagnostic::new(
            "uids",
            format!(
                "the uid range {first}-{} of hostctl is in use: /etc/subuid or /etc/subgid gives {owner} the ids {from}-{}",
                end - 1,
                from + count.saturating_sub(1)
            ),
        )
        .with_hint("choose another range in [uids] of policy.toml, or change the subordinate ids")),
        None => Ok(Identity::Own { uid: settings.uid }),
    }
}

/// The host's network if anything of it is granted, else none.
fn network(service: &Service) -> Network {
    let access = &service.access;
    let granted = !service.ports.is_empty()
        || !service.needs.is_empty()
        || access.connect.as_ref().is_some_and(|list| !list.is_empty())
        || access.interfaces.as_ref().is_some_and(|list| !list.is_empty());
    access.network.unwrap_or(if granted { Network::Host } else { Network::None })
}

/// Whether a destination needs the resolver: a name, or anything at all.
fn named(destination: &Destination) -> bool {
    matches!(destination, Destination::Host { .. } | Destination::Anywhere)
}

/// The working directory: what the manifest says, else its folder if that is in view, else the
/// root.
fn directory(service: &Service, folder: &Path, grants: &[Grant]) -> Result<PathBuf, String> {
    let joined = folder.join(service.dir.as_deref().unwrap_or("."));
    let dir: PathBuf = joined.components().filter(|part| *part != Component::CurDir).collect();
    let granted = |grant: &Grant| dir.starts_with(&grant.path) || grant.path.starts_with(&dir);
    let system = service.access.base != Some(Base::None) && dir.starts_with("/usr");
    let in_view = system || grants.iter().any(granted);
    match (in_view, &service.dir) {
        (true, _) => Ok(dir),
        (false, None) => Ok("/".into()),
        (false, Some(_)) => Err(format!("{} is not in view of the program", dir.display())),
    }
}

fn planned(port: &Port, prefix: &str) -> PlannedPort {
    let name = port.name.as_ref().map(ToString::to_string);
    PlannedPort {
        key: port_key(prefix, name.as_deref()),
        name,
        port: port.port,
        protocol: port.protocol,
        interface: port.interface.clone(),
    }
}

fn needs(manifest: &Manifest, service: &Service) -> Vec<Need> {
    let find = |name: &ServiceName| manifest.services.iter().find(|service| service.name == *name);
    let main = |service: &Service| {
        service.ports.iter().find(|port| port.name.is_none()).map(|port| port.port)
    };
    service
        .needs
        .iter()
        .map(|name| Need {
            name: name.to_string(),
            host: "127.0.0.1".to_owned(),
            port: find(name).and_then(main),
        })
        .collect()
}

fn log_files(manifest: &Manifest, folder: &Path) -> Vec<PathBuf> {
    manifest
        .logs
        .sinks
        .iter()
        .filter_map(|sink| match &sink.to {
            SinkTarget::File(path) => Some(folder.join(path)),
            _ => None,
        })
        .collect()
}

fn limits(
    service: &Service,
    prefix: &str,
    facts: &HostFacts,
    policy: &HostPolicy,
    errors: &mut Vec<Diagnostic>,
) -> PlannedLimits {
    let (asked, top) = (&service.limits, &policy.ceilings);
    let files = asked.files.map_or(FILES.min(facts.files_limit), u64::from);
    if files > facts.files_limit {
        let message =
            format!("{files} is above the hard limit of open files here, {}", facts.files_limit);
        let hint = "lower it, or raise the limit with `ulimit -Hn` or LimitNOFILE=";
        errors.push(Diagnostic::new(format!("{prefix}limits.files"), message).with_hint(hint));
    }
    let mut ceiling = |key: &str,
                       asked: Option<u64>,
                       top: Option<u64>,
                       show: &dyn Fn(u64) -> String| {
        let Some(top) = top.filter(|top| asked.is_none_or(|asked| asked > *top)) else { return };
        let found = asked.map_or("no limit".to_owned(), show);
        let message = format!("{found} is above the host policy's ceilings.{key}, {}", show(top));
        let hint = format!("write {key} = {}", show(top));
        errors.push(Diagnostic::new(format!("{prefix}limits.{key}"), message).with_hint(hint));
    };
    let (plain, size, share) = (
        |value: u64| value.to_string(),
        |value: u64| format!("\"{}\"", manifest_spec::quantity::Bytes(value)),
        |value: u64| format!("\"{value}%\""),
    );
    ceiling("memory", asked.memory.map(|bytes| bytes.0), top.memory.map(|bytes| bytes.0), &size);
    ceiling("cpu", asked.cpu.map(|cpu| cpu.0.into()), top.cpu.map(|cpu| cpu.0.into()), &share);
    ceiling("processes", asked.processes.map(u64::from), top.processes.map(u64::from), &plain);
    ceiling("files", Some(files), top.files.map(u64::from), &plain);
    PlannedLimits {
        memory: asked.memory.map(|bytes| bytes.0),
        cpu: asked.cpu.map(|cpu| cpu.0),
        processes: asked.processes,
        files: u32::try_from(files).unwrap_or(u32::MAX),
    }
}

/// Environment and command line, which refer to what is decided by now.
fn fill(plan: &mut Plan, service: &Service, settings: &Settings) -> Result<(), Diagnostic> {
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
    env.push(("HOST".into(), "127.0.0.1".into()));
    for port in &plan.ports {
        let name = port.name.as_ref().map_or("PORT".to_owned(), |name| variable("PORT", name));
        env.push((name, port.port.to_string()));
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
