//! What a person should look at before running: granted paths that will fail, or that the program
//! will not be able to use.
//!
//! Invariant: advice only. It looks paths up by name, which is good enough to warn and never good
//! enough to grant: the sandbox finds each path again, by descriptor. Never changes anything.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde::Serialize;

use super::{Grant, GrantKind, Identity, Plan};

/// Something about a plan that is probably not what its author wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Key in the manifest.
    pub key: String,
    /// What will go wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Advice on every granted path, in the order of the grants.
pub fn advise(plan: &Plan) -> Vec<Advice> {
    plan.grants.iter().filter_map(|grant| on_grant(grant, plan)).collect()
}

fn on_grant(grant: &Grant, plan: &Plan) -> Option<Advice> {
    let advice =
        |message: String, hint: String| Some(Advice { key: grant.key.clone(), message, hint });
    let shown = grant.source.display();
    let found = match look(&grant.source) {
        Ok(found) => found,
        // The first run makes it.
        Err(Failure::Missing) if grant.kind == GrantKind::Managed => return None,
        Err(Failure::Missing) if grant.kind == GrantKind::Write => {
            let hint = format!(
                "create it, or write \"data:{shown}\" for a directory that hostctl makes and keeps"
            );
            return advice(format!("{shown} does not exist"), hint);
        }
        Err(Failure::Missing) => {
            return advice(
                format!("{shown} does not exist"),
                "create it, or correct the path".into(),
            );
        }
        Err(Failure::Dangling) => {
            let hint = "correct the link, or grant what it should point at".to_owned();
            return advice(format!("{shown} is a symbolic link to nothing"), hint);
        }
        Err(Failure::Hidden) => {
            let hint = "run as root, or grant a path that is open to you".to_owned();
            return advice(format!("{shown} can't be looked up by you"), hint);
        }
    };
    if let Some(kind) = unusable(&found, &grant.source) {
        let hint = "grant a file or a directory, such as the directory it is in".to_owned();
        return advice(format!("{shown} is {kind}, which can't be granted"), hint);
    }
    if grant.kind == GrantKind::Managed && !found.is_dir() {
        let hint = "move it away; the next run makes a directory there".to_owned();
        return advice(format!("{shown}, the managed directory, is a file"), hint);
    }
    let (verb, wanted) = match (grant.kind, found.is_dir()) {
        (GrantKind::Read, true) => ("read", 0o5),
        (GrantKind::Read, false) => ("read", 0o4),
        (_, true) => ("write in", 0o7),
        (_, false) => ("write", 0o6),
    };
    if is_allowed(&found, plan, wanted) {
        return None;
    }
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    let message =
        format!("the program can't {verb} {shown}: it belongs to uid {owner} with mode {mode:04o}");
    advice(message, remedy(grant, plan, &found))
}

/// Why a path can't be looked at.
enum Failure {
    Missing,
    Dangling,
    Hidden,
}

fn look(path: &Path) -> Result<Metadata, Failure> {
    let reason = |error: std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => Failure::Hidden,
        _ => Failure::Missing,
    };
    let found = std::fs::symlink_metadata(path).map_err(reason)?;
    if !found.is_symlink() {
        return Ok(found);
    }
    std::fs::metadata(path).map_err(|error| match reason(error) {
        Failure::Hidden => Failure::Hidden,
        _ => Failure::Dangling,
    })
}

/// The kinds of file that the sandbox refuses, by name.
fn unusable(found: &Metadata, path: &Path) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if (kind.is_char_device() || kind.is_block_device()) && !path.starts_with("/dev") {
        Some("a device outside /dev")
    } else {
        None
    }
}

/// Whether owner and mode give the program these rights (path_resolution(7)). Access control lists
/// are left out: they are rare, and a warning too many is cheaper than looking into them.
fn is_allowed(found: &Metadata, plan: &Plan, wanted: u32) -> bool {
    // What overrides owner and mode: see capabilities(7).
    if plan.capabilities.iter().any(|name| name == "CAP_DAC_OVERRIDE") {
        return true;
    }
    let user = match plan.identity {
        Identity::Own { uid } => uid.map(|uid| (uid, uid)),
        Identity::Caller { uid, gid } => Some((uid, gid)),
        // uid 0 without its capabilities: an owner like any other.
        Identity::Root => Some((0, 0)),
    };
    let granted = match user {
        Some((uid, _)) if uid == found.uid() => found.mode() >> 6,
        Some((_, gid)) if gid == found.gid() => found.mode() >> 3,
        _ => found.mode(),
    };
    granted & wanted == wanted
}

fn remedy(grant: &Grant, plan: &Plan, found: &Metadata) -> String {
    let path = grant.source.display();
    let recursive = if found.is_dir() { "-R " } else { "" };
    match (grant.kind, plan.identity) {
        (GrantKind::Managed, _) => {
            format!("it was another app's or uid's; `chown {recursive}` it, or choose another path")
        }
        (GrantKind::Read, Identity::Caller { uid, .. }) if uid == found.uid() => {
            format!("`chmod {recursive}u+rX {path}`")
        }
        // To its group, not to everybody: what is closed may be closed for a reason.
        (GrantKind::Read, Identity::Own { uid: None }) => {
            "run it once, so that the app has a uid, and give that group the right to read it"
                .into()
        }
        (GrantKind::Read, identity) => {
            let (_, gid) = identity.ids();
            format!("`chgrp {recursive}{gid} {path} && chmod {recursive}g+rX {path}`")
        }
        (_, Identity::Caller { uid, .. }) if uid == found.uid() => {
            format!("`chmod {recursive}u+rwX {path}`")
        }
        (_, identity) if found.is_dir() => {
            let chown = chown(identity, recursive, &path.to_string());
            format!("write \"data:{path}\" for a directory that hostctl makes and keeps{chown}")
        }
        (_, identity) => {
            let chown = chown(identity, recursive, &path.to_string());
            format!("grant its directory as \"data:\"{chown}")
        }
    }
}

/// The command that gives the path away, where the new owner is known.
fn chown(identity: Identity, recursive: &str, path: &str) -> String {
    let uid = match identity {
        Identity::Own { uid: Some(uid) } | Identity::Caller { uid, .. } => uid,
        Identity::Root => 0,
        Identity::Own { uid: None } => {
            return "; or run it once, so that the app has a uid, and chown".to_owned();
        }
    };
    format!(", or `chown {recursive}{uid}:{uid} {path}`")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use manifest_spec::manifest::{Base, Network};

    use super::*;

    /// A plan for the caller with these grants.
    fn plan(grants: &[(&Path, GrantKind)]) -> Plan {
        let (uid, gid) = host_sys::creds::effective();
        let grant = |(index, (path, kind)): (usize, &(&Path, GrantKind))| Grant {
            path: path.to_path_buf(),
            source: path.to_path_buf(),
            kind: *kind,
            exec: false,
            key: format!("access.x[{index}]"),
        };
        Plan {
            app: "a".into(),
            service: "main".into(),
            instance: 1,
            beside: None,
            key_prefix: String::new(),
            identity: Identity::Caller { uid, gid },
            dir: "/".into(),
            run: vec!["x".into()],
            env: Vec::new(),
            ports: Vec::new(),
            base: Base::None,
            grants: grants.iter().enumerate().map(grant).collect(),
            denied: Vec::new(),
            network: Network::None,
            resolver: false,
            interfaces: None,
            connect: Vec::new(),
            address: crate::plan::PlannedAddress::Host,
            balanced: None,
            addresses: Default::default(),
            wall: crate::plan::Wall::Empty,
            cgroup: None,
            needs: Vec::new(),
            capabilities: Vec::new(),
            syscalls: Vec::new(),
            limits: Default::default(),
            logs: crate::plan::PlannedLogs::default(),
            ready: crate::plan::Readiness {
                by: crate::plan::ReadyBy::Notify,
                within: std::time::Duration::ZERO,
            },
            health: None,
            stop_signal: 0,
            grace: std::time::Duration::ZERO,
            shares_sockets: false,
            notify: None,
            log_socket: None,
            deployer: None,
            unenforced: Vec::new(),
        }
    }

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("advice-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn messages(plan: &Plan) -> Vec<String> {
        advise(plan).into_iter().map(|one| format!("{} / {}", one.message, one.hint)).collect()
    }

    #[test]
    fn what_is_not_there_is_named_and_what_the_run_makes_is_not() {
        let here = directory("missing");
        let (gone, link) = (here.join("gone"), here.join("link"));
        symlink("nowhere", &link).unwrap();
        let read = GrantKind::Read;
        let told = messages(&plan(&[
            (&gone, read),
            (&gone, GrantKind::Write),
            (&gone, GrantKind::Managed),
            (&link, read),
            (&here, read),
        ]));
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(told[0].contains("gone does not exist"), "{told:#?}");
        assert!(told[1].contains("\"data:"), "{told:#?}");
        assert!(told[2].contains("link to nothing"), "{told:#?}");
        std::fs::remove_dir_all(here).unwrap();
    }

    #[test]
    fn a_kind_that_the_sandbox_refuses_is_named() {
        let here = directory("kind");
        let socket = here.join("socket");
        let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let told = messages(&plan(&[
            (&socket, GrantKind::Read),
            (Path::new("/dev/null"), GrantKind::Write),
        ]));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("is a socket"), "{told:#?}");
        std::fs::remove_dir_all(here).unwrap();
    }

    #[test]
    fn owner_and_mode_decide_and_the_command_that_helps_is_named() {
        let here = directory("mode");
        let set = |mode| std::fs::set_permissions(&here, PermissionsExt::from_mode(mode)).unwrap();
        let mut plan = plan(&[(&here, GrantKind::Write)]);
        set(0o500);
        assert!(messages(&plan)[0].contains("`chmod -R u+rwX"), "{:?}", messages(&plan));
        set(0o705);
        assert_eq!(messages(&plan), Vec::<String>::new());
        plan.identity = Identity::Own { uid: Some(1_900_000_001) };
        assert!(messages(&plan)[0].contains("`chown -R 1900000001:1900000001"));
        plan.identity = Identity::Own { uid: None };
        assert!(messages(&plan)[0].contains("run it once"), "{:?}", messages(&plan));
        plan.grants[0].kind = GrantKind::Read;
        assert_eq!(messages(&plan), Vec::<String>::new());
        set(0o700);
        assert!(messages(&plan)[0].contains("run it once"), "{:?}", messages(&plan));
        plan.identity = Identity::Own { uid: Some(1_900_000_001) };
        assert!(messages(&plan)[0].contains("`chgrp -R 1900000001"), "{:?}", messages(&plan));
        plan.capabilities = vec!["CAP_DAC_OVERRIDE".into()];
        assert_eq!(messages(&plan), Vec::<String>::new());
        std::fs::remove_dir_all(here).unwrap();
    }
}
