//! Plans and steps of manifests on made-up hosts, as file pairs: `plans/NAME.toml` with
//! `NAME.plan` and, where there is a plan, `NAME.steps`. `UPDATE_GOLDENS=1` rewrites them.
//!
//! Comments at the top of a manifest say what the case adds to it:
//! `# host:` root, user, clash or hybrid (controllers in cgroup v1) · `# service:` · `# offset:` ·
//! `# profile:` · `# variable:` · `# set:` · `# uid:` · `# keeper:` hostd · `# policy:` a line of
//! policy.toml.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // the environment says whether goldens are rewritten

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use agent::cgroup::place::Lack;
use agent::cgroup::{Cgroups, Controller, Place};
use agent::plan::facts::RootEntry;
use agent::plan::{Directories, HostFacts, Keeper, Plan, Settings, explain, resolve};
use agent::sandbox;
use agent::source::{self, Loaded, Overrides, SourceError};
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostic, Diagnostics};
use proptest::prelude::*;

/// What the comments at the top of a case say.
#[derive(Debug, Default)]
struct Case {
    host: String,
    service: Option<String>,
    uid: Option<u32>,
    overrides: Overrides,
    policy: String,
    deployed: bool,
}

impl Case {
    fn parse(text: &str) -> Self {
        let mut case = Case { host: "root".to_owned(), ..Case::default() };
        for line in text.lines().map_while(|line| line.strip_prefix("# ")) {
            let Some((key, value)) = line.split_once(": ") else { continue };
            let own = || value.to_owned();
            match key {
                "host" => case.host = own(),
                "service" => case.service = Some(own()),
                "uid" => case.uid = Some(value.parse().unwrap()),
                "offset" => case.overrides.port_offset = value.parse().unwrap(),
                "profile" => case.overrides.profile = Some(own()),
                "set" => case.overrides.set.push(own()),
                "variable" => {
                    let (name, value) = value.split_once('=').unwrap();
                    case.overrides.variables.push((name.to_owned(), value.to_owned()));
                }
                "keeper" => case.deployed = value == "hostd",
                "policy" => writeln!(case.policy, "{value}").unwrap(),
                _ => panic!("unknown line: {line}"),
            }
        }
        case
    }

    fn settings(&self) -> Settings {
        Settings {
            folder: "/srv/app".into(),
            service: self.service.clone(),
            uid: self.uid,
            keeper: if self.deployed { Keeper::Daemon } else { Keeper::Foreground },
            ..Settings::default()
        }
    }
}

/// A Debian host with kernel 6.1.
fn facts(host: &str) -> HostFacts {
    let root = host != "user";
    let merged =
        |name: &str| (name.to_owned(), RootEntry::Link(PathBuf::from(format!("usr/{name}"))));
    let (state, run, config) = if root {
        ("/var/lib/hostctl", "/run/hostctl", "/etc/hostctl")
    } else {
        ("/home/ann/.local/state/hostctl", "/run/user/1000/hostctl", "/home/ann/.config/hostctl")
    };
    HostFacts {
        kernel: (6, 1),
        uid: if root { 0 } else { 1000 },
        gid: if root { 0 } else { 1000 },
        user: Some(if root { "root" } else { "ann" }.to_owned()),
        groups: match root {
            true => vec![(0, Some("root".to_owned()))],
            false => vec![(1000, None), (50, Some("staff".to_owned()))],
        },
        home: Some(if root { "/root" } else { "/home/ann" }.into()),
        landlock: 2,
        notify: true,
        mount_api: true,
        cgroups: cgroups(host),
        cgroup_programs: root,
        systemd: true,
        zone: Some("/usr/share/zoneinfo/Europe/Prague".into()),
        root_entries: ["bin", "sbin", "lib", "lib64"].map(merged).into(),
        forwards_ipv6: false,
        resolvers: vec![[192, 0, 2, 53].into()],
        files_limit: 1_048_576,
        core_limit: u64::MAX,
        log_sync: true,
        subordinate: match host {
            "clash" => vec![("ann".to_owned(), 1_900_000_000, 65_536)],
            _ => vec![("ann".to_owned(), 100_000, 65_536)],
        },
        directories: Directories { state: state.into(), run: run.into(), config: config.into() },
    }
}

/// What systemd gives root; a user has nothing of it.
fn cgroups(host: &str) -> Cgroups {
    let lacking = |lack: Lack| Controller::ALL.map(|one| (one, lack.clone())).into();
    let scope = Some(Place::Scope);
    match host {
        "user" => Cgroups { lacks: lacking(Lack::NotDelegated), ..Cgroups::default() },
        "hybrid" => Cgroups { plain: scope, lacks: lacking(Lack::OfV1), ..Cgroups::default() },
        _ => Cgroups {
            plain: scope.clone(),
            limited: scope,
            controllers: Controller::ALL.into(),
            ..Cgroups::default()
        },
    }
}

/// The plan of a case, or everything that is wrong with it.
fn plan(name: &str, text: &str) -> Result<(Loaded, Plan, HostFacts), Diagnostics> {
    let case = Case::parse(text);
    let loaded =
        source::load(name, text, |_| "/nowhere".into(), &case.overrides).map_err(|error| {
            match error {
                SourceError::Invalid(diagnostics) => diagnostics,
                other => panic!("{other:?}"),
            }
        })?;
    let policy = HostPolicy::parse("policy.toml", &case.policy)?;
    let facts = facts(&case.host);
    let plan = resolve(&loaded.manifest, &facts, &policy, &case.settings())
        .map_err(|errors| placed(errors, &loaded))?;
    Ok((loaded, plan, facts))
}

fn placed(errors: Diagnostics, loaded: &Loaded) -> Diagnostics {
    let place = |error: Diagnostic| match loaded.document.nearest_origin(&error.key) {
        Some(origin) => error.at(origin.clone()),
        None => error,
    };
    Diagnostics::new(errors.into_iter().map(place).collect()).unwrap()
}

/// What a case is compared with: its plan or errors, and its steps.
fn golden(name: &str, text: &str) -> (String, Option<String>) {
    let (loaded, plan, facts) = match plan(name, text) {
        Ok(done) => done,
        Err(errors) => return (format!("{}\n", errors.to_string().trim_end()), None),
    };
    let mut shown = format!("{}\n\n", plan.instance_name());
    for row in explain::rows(&plan) {
        let origin = loaded.document.origin(&row.key);
        let origin = origin.map(|origin| format!("  <- {origin}")).unwrap_or_default();
        writeln!(shown, "{:<13}{}{origin}", row.label, row.value).unwrap();
    }
    for one in &plan.unenforced {
        let weight = match (one.demanded, one.strict) {
            (true, _) => " (demanded)",
            (false, true) => " (strict)",
            (false, false) => "",
        };
        write!(shown, "\nnot enforced{weight}: {}: {}", one.what, one.why).unwrap();
    }
    let steps = sandbox::build(&plan, &facts);
    let steps = (1..).zip(&steps).map(|(number, step)| format!("{number:2} {step}\n"));
    (format!("{}\n", shown.trim_end()), Some(steps.collect()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn plans_and_steps_are_the_goldens() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let (mut wrong, mut expected) = (Vec::new(), BTreeSet::new());
    for name in names().iter().filter_map(|name| name.strip_suffix(".toml")) {
        let file = format!("{name}.toml");
        let text = std::fs::read_to_string(folder().join(&file)).unwrap();
        let (plan, steps) = golden(&file, &text);
        expected.insert(file);
        for (ending, found) in [("plan", Some(plan)), ("steps", steps)] {
            let Some(found) = found else { continue };
            let path = folder().join(format!("{name}.{ending}"));
            expected.insert(format!("{name}.{ending}"));
            if update {
                std::fs::write(&path, &found).unwrap();
            }
            let golden = std::fs::read_to_string(&path).unwrap_or_default();
            if golden != found {
                wrong.push(format!("{name}.{ending}, which is now:\n{found}"));
            }
        }
    }
    let orphans: Vec<_> = names().into_iter().filter(|name| !expected.contains(name)).collect();
    assert_eq!(orphans, Vec::<String>::new(), "goldens without a case");
    assert!(wrong.is_empty(), "differs from the golden: {}", wrong.join("\n"));
}

#[test]
fn a_plan_depends_on_its_arguments_alone() {
    for name in names().iter().filter(|name| name.ends_with(".toml")) {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        assert_eq!(golden(name, &text), golden(name, &text), "{name}");
    }
}

/// Manifests that resolve in many ways.
fn manifest() -> impl Strategy<Value = String> {
    let paths = ["\".\"", "\"/srv/app/x\"", "\"/\"", "\"/var/lib/hostctl\"", "\"/srv\"", "\"a/b\""];
    let writes = ["\"data:/srv/db\"", "\"/srv/app\"", "\"/home/ann\"", "\"data:/srv/db/x\""];
    let lines = [
        "access.base = \"none\"",
        "access.network = \"none\"",
        "access.user = \"root\"",
        "access.capabilities = [\"CAP_NET_RAW\"]",
        "access.syscalls = [\"mount\", \"nonsense\"]",
        "access.connect = [\"*\"]",
        "limits.memory = \"1G\"",
        "limits.files = 4000000000",
        "limits.processes = 4294967295",
        "port = 8080",
        "ports.metrics = 9100",
        "count = 2",
        "dir = \"/nowhere\"",
        "env.A = \"$HOME\"",
        "logs.sinks = [\"file:log\"]",
    ];
    (
        prop::sample::subsequence(paths.to_vec(), 0..4),
        prop::sample::subsequence(writes.to_vec(), 0..3),
        prop::sample::subsequence(lines.to_vec(), 0..8),
    )
        .prop_map(|(read, write, lines)| {
            format!(
                "name = \"app\"\nrun = \"./x $HOME\"\naccess.read = [{}]\naccess.write = [{}]\n{}\n",
                read.join(", "),
                write.join(", "),
                lines.join("\n")
            )
        })
}

proptest! {
    #[test]
    fn resolving_never_panics(
        text in manifest(),
        host in prop::sample::select(vec!["root", "user", "clash", "hybrid"]),
        folder in "(/[a-z.]{1,8}){0,4}/?",
        service in prop::option::of("[a-z]{1,5}"),
        uid in any::<Option<u32>>(),
        limit in any::<u64>(),
        range in (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>()),
        offset in any::<u16>(),
    ) {
        let overrides = Overrides { port_offset: offset, ..Overrides::default() };
        let Ok(loaded) = source::load("app.toml", &text, |_| "/nowhere".into(), &overrides) else {
            return Ok(());
        };
        let mut facts = facts(host);
        facts.files_limit = limit;
        facts.subordinate.push(("x".to_owned(), range.2, range.3));
        let mut policy = HostPolicy::default();
        (policy.uids.first, policy.uids.count) = (range.0, range.1);
        let settings =
            Settings { folder: format!("/{folder}").into(), service, uid, ..Settings::default() };
        if let Ok(plan) = resolve(&loaded.manifest, &facts, &policy, &settings) {
            let steps = sandbox::build(&plan, &facts);
            prop_assert!(steps.len() > 10);
            prop_assert!(plan.grants.iter().all(|grant| grant.path.is_absolute()));
            explain::json(&plan, &steps, &|_| String::new());
        }
    }
}
