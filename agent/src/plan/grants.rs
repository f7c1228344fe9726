//! Granted paths: from what the manifest says to what the sandbox will hold.
//!
//! Invariant: every grant is absolute, without `.` and `..`, and listed after each grant that
//! contains it. Pure: whether a path exists is found out when it is opened, once.

use std::path::{Component, Path, PathBuf};

use manifest_spec::Diagnostic;
use manifest_spec::manifest::Access;

use super::{Directories, Grant, GrantKind};

/// What resolving grants depends on beside the manifest.
pub(super) struct Context<'a> {
    /// Folder of the manifest, absolute.
    pub folder: &'a Path,
    /// App name, offset included.
    pub app: &'a str,
    /// hostctl's own directories, which no app may see.
    pub directories: &'a Directories,
    /// Home directory of the caller.
    pub home: Option<&'a Path>,
    /// Paths the operator never grants.
    pub denied: &'a [String],
    /// Prefix of the service's keys.
    pub prefix: &'a str,
}

impl Context<'_> {
    /// Every grant of a service, parents first.
    pub(super) fn resolve(&self, access: &Access) -> Result<Vec<Grant>, Vec<Diagnostic>> {
        let mut grants = self.read(access);
        for (index, grant) in access.write.iter().flatten().enumerate() {
            let key = format!("{}access.write[{index}]", self.prefix);
            let path = self.absolute(&grant.path);
            grants.push(if grant.managed {
                let source = self.directories.data(self.app).join(storage_name(&path));
                Grant { path, source, kind: GrantKind::Managed, exec: grant.exec, key }
            } else {
                Grant { source: path.clone(), path, kind: GrantKind::Write, exec: grant.exec, key }
            });
        }
        grants.sort_by(|a, b| a.path.cmp(&b.path));
        let mut errors: Vec<_> = grants.iter().filter_map(|grant| self.refuse(grant)).collect();
        errors.extend(grants.windows(2).filter_map(|pair| duplicate(&pair[0], &pair[1])));
        if errors.is_empty() { Ok(grants) } else { Err(errors) }
    }

    /// Read grants; the manifest's own folder when the manifest names none.
    fn read(&self, access: &Access) -> Vec<Grant> {
        let grant = |path: &str, key: String| {
            let path = self.absolute(path);
            Grant { source: path.clone(), path, kind: GrantKind::Read, exec: true, key }
        };
        let key = format!("{}access.read", self.prefix);
        match &access.read {
            None => vec![grant(".", key)],
            Some(listed) => listed
                .iter()
                .enumerate()
                .map(|(index, read)| grant(&read.path, format!("{key}[{index}]")))
                .collect(),
        }
    }

    /// Directories that no app may see. Here they are compared as they are written, for an error
    /// with its place; [`crate::sandbox::pin`] compares what the paths lead to.
    pub(super) fn off_limits(&self) -> Vec<PathBuf> {
        let own = [&self.directories.state, &self.directories.run, &self.directories.config];
        own.into_iter().cloned().chain(self.denied.iter().map(PathBuf::from)).collect()
    }

    fn absolute(&self, path: &str) -> PathBuf {
        let joined = self.folder.join(path);
        joined.components().filter(|component| *component != Component::CurDir).collect()
    }

    /// Why a grant is out of the question, whatever the path holds.
    fn refuse(&self, grant: &Grant) -> Option<Diagnostic> {
        let path = &grant.path;
        let error = |message: String, hint: &str| {
            Some(Diagnostic::new(&*grant.key, message).with_hint(hint))
        };
        if path.components().count() == 1 {
            let message = "the whole file system can't be granted".to_owned();
            return error(message, "grant the folders the program needs");
        }
        if self.home == Some(path) {
            let message = format!(
                "{} is your home directory; granting it shows the program every key and password in it",
                path.display()
            );
            return error(
                message,
                "move the manifest into a folder of its own, or list what the program needs in [access] read",
            );
        }
        let clash = self
            .off_limits()
            .into_iter()
            .find(|other| path.starts_with(other) || other.starts_with(path));
        if let Some(other) = clash {
            let message = match other.starts_with(path) && other != *path {
                true => {
                    format!("{} contains {}, which no app may see", path.display(), other.display())
                }
                false => format!("{} is never granted", path.display()),
            };
            return error(message, "grant a narrower path");
        }
        None
    }
}

/// Two grants of one path; sorting has put them side by side.
fn duplicate(first: &Grant, second: &Grant) -> Option<Diagnostic> {
    (first.path == second.path).then(|| {
        let message =
            format!("{} is granted twice, here and by {}", second.path.display(), first.key);
        Diagnostic::new(&*second.key, message).with_hint("keep one of the two")
    })
}

/// The name under which a managed directory is kept: its path with `/` as `-`, so that no two
/// paths share a name and none nests in another.
fn storage_name(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.trim_start_matches('/').replace('%', "%25").replace('-', "%2D").replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_names_are_one_to_one() {
        let paths = ["/srv/db", "/srv-db", "/srv%2Ddb", "/srv/d-b", "/srv%db", "/srv/db/x"];
        let names: std::collections::BTreeSet<_> =
            paths.iter().map(|path| storage_name(Path::new(path))).collect();
        assert_eq!(names.len(), paths.len());
        assert!(names.iter().all(|name| !name.contains('/')));
    }
}
