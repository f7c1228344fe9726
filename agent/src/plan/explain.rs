//! A plan in words and in JSON: for people, for programs, and for the app itself.
//!
//! Invariant: every value of the plan is shown, with the key that decides it. Never prints.

use manifest_spec::manifest::{Base, Network, Protocol};
use manifest_spec::quantity::{Bytes, Span};
use manifest_spec::wire::{
    ResolvedAccess, ResolvedLimits, ResolvedLogs, ResolvedManifest, ResolvedNeed, ResolvedPort,
    VERSION,
};
use serde_json::{Value, json};

use super::{Grant, GrantKind, Identity, Maker, Plan, PlannedAddress, PlannedLogs};
use crate::sandbox::step::Step;

/// One line of a plan: what, its value, and the manifest key behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is, `read` say.
    pub label: String,
    /// Its value.
    pub value: String,
    /// Key in the manifest, for its origin.
    pub key: String,
}

/// The plan line by line.
pub fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |label: &str, value: String, key: &str| {
        rows.push(Row { label: label.into(), value, key: format!("{}{key}", plan.key_prefix) });
    };
    add("run", shell_words(&plan.run), "run");
    add("dir", plan.dir.display().to_string(), "dir");
    add("user", identity(plan.identity), "access.user");
    add("base", base(plan.base).into(), "access.base");
    add("network", network(plan.network).into(), "access.network");
    if let Some(interfaces) = &plan.interfaces {
        add("interfaces", list(interfaces), "access.interfaces");
    }
    match plan.address {
        PlannedAddress::Host => {}
        PlannedAddress::Own(None) => {
            add("address", "one of its own, chosen at the start".into(), "access.address");
        }
        PlannedAddress::Own(Some(own)) => {
            add("address", format!("{} {}", own.v4, own.v6), "access.address");
        }
    }
    if !plan.connect.is_empty() {
        add("connect", list(&destinations(plan)), "access.connect");
    }
    if !plan.capabilities.is_empty() {
        add("capabilities", list(&plan.capabilities), "access.capabilities");
    }
    if !plan.syscalls.is_empty() {
        add("syscalls", list(&plan.syscalls), "access.syscalls");
    }
    let limits = plan.limits;
    if let Some(memory) = limits.memory {
        add("memory", Bytes(memory).to_string(), "limits.memory");
    }
    if let Some(cpu) = limits.cpu {
        add("cpu", format!("{cpu}%"), "limits.cpu");
    }
    if let Some(processes) = limits.processes {
        add("processes", processes.to_string(), "limits.processes");
    }
    if let Some(weight) = limits.io {
        add("io", format!("weight {weight}"), "limits.io");
    }
    add("files", limits.files.to_string(), "limits.files");
    if limits.core > 0 {
        add("core", Bytes(limits.core).to_string(), "limits.core");
    }
    add("ready", plan.ready.to_string(), "ready");
    if let Some(health) = &plan.health {
        add("health", health.to_string(), "health");
    }
    let (signal, grace) = (host_sys::signal::name(plan.stop_signal), Span(plan.grace));
    add("stop", format!("{signal}, by force after {grace}"), "stop");
    let row = |label: &str, value: String, key: &str| Row {
        label: label.into(),
        value,
        key: key.to_owned(),
    };
    rows.extend(plan.ports.iter().map(|port| {
        let label = port.name.as_ref().map_or("port".into(), |name| format!("port {name}"));
        let on = port.interface.as_ref().map(|i| format!(" on {i}")).unwrap_or_default();
        row(
            &label,
            {
                let moved = match port.inside == port.port {
                    true => String::new(),
                    false => format!(", bound as {}", port.inside),
                };
                let passed = match &port.maker {
                    Maker::Program => "",
                    Maker::Hostctl => ", handed over as a socket",
                    Maker::Caller(_) => ", handed over as the caller's socket",
                };
                format!("{}/{}{on}{moved}{passed}", port.port, protocol(port.protocol))
            },
            &port.key,
        )
    }));
    rows.extend(plan.needs.iter().map(|need| {
        let port = need.port.map(|port| format!(":{port}")).unwrap_or_default();
        let key = format!("{}needs", plan.key_prefix);
        row("needs", format!("{} at {}{port}", need.name, need.host), &key)
    }));
    rows.extend(plan.grants.iter().map(|grant| row(kind(grant), place(grant), &grant.key)));
    rows.extend(logs(&plan.logs));
    rows.extend(plan.env.iter().map(|(name, value)| {
        row("env", format!("{name}={value}"), &format!("{}env.{name}", plan.key_prefix))
    }));
    rows
}

/// The plan, its steps and what is not enforced, for programs. Version 1 of the format.
pub fn json(plan: &Plan, steps: &[Step], origin: &dyn Fn(&str) -> String) -> Value {
    let rows: Vec<Value> = rows(plan)
        .into_iter()
        .map(|row| {
            let origin = origin(&row.key);
            json!({"what": row.label, "value": row.value, "key": row.key, "origin": origin})
        })
        .collect();
    json!({
        "v": VERSION,
        "plan": resolved(plan),
        "identity": plan.identity,
        "grants": plan.grants,
        "env": plan.env.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "values": rows,
        "steps": steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unenforced": plan.unenforced,
    })
}

/// The JSON the app finds at `$HOSTCTL_MANIFEST`.
pub fn resolved_manifest(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(&resolved(plan)).unwrap_or_default();
    text.push('\n');
    text
}

fn resolved(plan: &Plan) -> ResolvedManifest {
    let of_kind = |kind: GrantKind| -> Vec<String> {
        let grants = plan.grants.iter().filter(|grant| grant.kind == kind);
        grants.map(|grant| grant.path.display().to_string()).collect()
    };
    ResolvedManifest {
        v: VERSION,
        name: plan.app.clone(),
        service: plan.service.clone(),
        instance: plan.instance,
        dir: plan.dir.display().to_string(),
        host: plan.listens_on().map(|host| host.to_string()),
        run: plan.run.clone(),
        ports: plan
            .ports
            .iter()
            .map(|port| ResolvedPort {
                name: port.name.clone(),
                port: port.inside,
                host_port: (port.port != port.inside).then_some(port.port),
                activate: port.maker != Maker::Program,
                protocol: protocol(port.protocol).into(),
                interface: port.interface.clone(),
            })
            .collect(),
        access: ResolvedAccess {
            base: base(plan.base).into(),
            read: of_kind(GrantKind::Read),
            write: of_kind(GrantKind::Write),
            data: of_kind(GrantKind::Managed),
            network: network(plan.network).into(),
            interfaces: plan.interfaces.clone(),
            connect: destinations(plan),
            capabilities: plan.capabilities.clone(),
        },
        limits: ResolvedLimits {
            memory: plan.limits.memory,
            cpu: plan.limits.cpu,
            processes: plan.limits.processes,
            files: Some(plan.limits.files),
            io: plan.limits.io,
        },
        needs: plan
            .needs
            .iter()
            .map(|need| ResolvedNeed {
                name: need.name.clone(),
                host: need.host.clone(),
                port: need.port,
            })
            .collect(),
        logs: ResolvedLogs {
            keep_bytes: Some(plan.logs.keep_bytes),
            keep_seconds: plan.logs.keep_for.map(|time| time.as_secs()),
            full: Some(plan.logs.full.as_str().to_owned()),
            redact: plan.logs.redacted.clone(),
            sinks: plan.logs.sinks.iter().map(|sink| sink.to.to_string()).collect(),
        },
    }
}

fn logs(logs: &PlannedLogs) -> Vec<Row> {
    let row = |label: &str, value: String, key: String| Row { label: label.into(), value, key };
    let mut rows = vec![row("logs", logs.to_string(), "logs.keep".to_owned())];
    if !logs.redacted.is_empty() {
        rows.push(row("redacted", list(&logs.redacted), "logs.redact".to_owned()));
    }
    let sinks = logs.sinks.iter().enumerate();
    rows.extend(sinks.map(|(n, sink)| row("log", sink.to_string(), format!("logs.sinks[{n}]"))));
    rows
}

fn destinations(plan: &Plan) -> Vec<String> {
    plan.connect.iter().map(ToString::to_string).collect()
}

fn identity(identity: Identity) -> String {
    match identity {
        Identity::Own { uid: Some(uid) } => format!("uid {uid}, this app's own"),
        Identity::Own { uid: None } => "a uid of its own, chosen at the first run".to_owned(),
        Identity::Caller { uid, .. } => format!("uid {uid}, yours"),
        Identity::Root => "root (uid 0)".to_owned(),
    }
}

fn kind(grant: &Grant) -> &'static str {
    match grant.kind {
        GrantKind::Read => "read",
        GrantKind::Write => "write",
        GrantKind::Managed => "data",
    }
}

fn place(grant: &Grant) -> String {
    let path = grant.path.display();
    match (grant.kind, grant.exec) {
        (GrantKind::Managed, false) => format!("{path}, kept in {}", grant.source.display()),
        (GrantKind::Managed, true) => {
            format!("{path}, kept in {}, executable", grant.source.display())
        }
        (GrantKind::Write, true) => format!("{path}, executable"),
        _ => path.to_string(),
    }
}

fn base(base: Base) -> &'static str {
    match base {
        Base::System => "system",
        Base::None => "none",
    }
}

fn network(network: Network) -> &'static str {
    match network {
        Network::Host => "host",
        Network::None => "none",
        Network::Private => "private",
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn list(items: &[String]) -> String {
    items.join(" ")
}

/// Words as a shell would take them, for reading.
pub(super) fn shell_words(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
