//! From arguments to a plan: what `run`, `plan` and `check` share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::network::rules::OwnAddress;
use agent::plan::{Keeper, Settings, facts};
use agent::planning::{self, Planned, Source};
use agent::source::{self, Loaded, Overrides};
use manifest_spec::api::{self, ManifestSource, OverridesWire};
use manifest_spec::manifest::Protocol;
use manifest_spec::quantity::Span;

use crate::cli::{FlagArguments, HostArguments, ManifestArguments, PortOffset};
use agent::failure::Error;

/// Prefix of variables that override values.
const VARIABLES: &str = "HOSTCTL_SET_";

/// A manifest's text and where it lies.
#[derive(Debug)]
pub struct Text {
    /// As messages name it.
    pub name: String,
    /// TOML.
    pub text: String,
    /// Where its relative paths start, absolute.
    pub folder: PathBuf,
}

/// What an instance has before it is planned.
#[derive(Debug, Clone, Default)]
pub struct InHand {
    /// The address that it holds for itself.
    pub address: Option<OwnAddress>,
    /// Sockets that hostctl's caller gave for it.
    pub sockets: Vec<(Protocol, u16)>,
    /// Who keeps it running.
    pub keeper: Keeper,
}

/// The manifest file the arguments name.
pub fn file(manifest: &ManifestArguments) -> Result<Text, Error> {
    let Some(path) = &manifest.file else {
        let hint =
            "name one, as in `hostctl run app.toml`, or type one as flags: --name … -- COMMAND";
        return Err(Error::Usage("there is no manifest".into(), hint.into()));
    };
    let path = if path.is_dir() { path.join("app.toml") } else { path.clone() };
    let text = source::read(&path)?;
    let folder = absolute(path.parent().unwrap_or(Path::new("")))?;
    Ok(Text { name: path.display().to_string(), text, folder })
}

/// The manifest that the flags spell, or the file.
pub fn text(manifest: &ManifestArguments, flags: &FlagArguments) -> Result<Text, Error> {
    let typed = super::run::flags::used(flags);
    match (&manifest.file, typed) {
        (Some(file), Some(flag)) => Err(contradiction(flag, file)),
        (None, Some(_)) => {
            let text = super::run::flags::manifest(flags)?;
            Ok(Text { name: "command line".into(), text, folder: absolute(Path::new(""))? })
        }
        (_, None) => file(manifest),
    }
}

/// A file, and a flag that stands in for one.
pub fn contradiction(flag: &str, file: &Path) -> Error {
    let message = format!("{flag} describes an app without a file, but {} is one", file.display());
    Error::Usage(message, "use --set KEY=VALUE to change a value of the file".into())
}

/// The manifest with everything on top of it.
pub fn load(
    text: &Text,
    manifest: &ManifestArguments,
    drop_in: impl FnOnce(&str) -> PathBuf,
) -> Result<Loaded, Error> {
    let overrides = overrides(manifest)?;
    Ok(agent::source::load(&text.name, &text.text, drop_in, &overrides)?)
}

/// Where the operator's drop-in for an app would be; nowhere if there is no place for one.
pub fn drop_in(app: &str) -> PathBuf {
    facts::directories().map(|all| all.drop_in(app)).unwrap_or_default()
}

/// What the arguments and the environment put on top of a manifest.
pub fn overrides(manifest: &ManifestArguments) -> Result<Overrides, Error> {
    let port_offset = match manifest.port_offset {
        None => 0,
        Some(PortOffset::By(offset)) => offset,
        Some(PortOffset::Auto) => {
            let hint = "name a number, as in --port-offset 3".to_owned();
            let message = "--port-offset auto is found out when the app runs".to_owned();
            return Err(Error::Usage(message, hint));
        }
    };
    Ok(Overrides {
        profile: manifest.profile.clone(),
        variables: facts::variables(VARIABLES),
        unset: manifest.unset.clone(),
        set: manifest.set.clone(),
        port_offset,
    })
}

/// What hostd is sent of a manifest: the file and what is put on top of it.
pub fn sent(manifest: &ManifestArguments) -> Result<(ManifestSource, OverridesWire), Error> {
    let Text { name, text, folder } = file(manifest)?;
    let source = ManifestSource { name, text, folder: folder.display().to_string() };
    let overrides = OverridesWire {
        profile: manifest.profile.clone(),
        variables: facts::variables(VARIABLES),
        unset: manifest.unset.clone(),
        set: manifest.set.clone(),
        port_offset: match manifest.port_offset {
            None => api::PortOffset::By(0),
            Some(PortOffset::By(offset)) => api::PortOffset::By(offset),
            Some(PortOffset::Auto) => api::PortOffset::Auto,
        },
    };
    Ok((source, overrides))
}

/// The plan for the arguments on this host. Writes nothing.
pub fn plan(
    text: &Text,
    manifest: &ManifestArguments,
    host: &HostArguments,
    held: &InHand,
) -> Result<Planned, Error> {
    let source = Source {
        name: text.name.clone(),
        text: text.text.clone(),
        folder: text.folder.clone(),
        overrides: overrides(manifest)?,
    };
    let settings = Settings {
        service: host.service.clone(),
        address: held.address,
        sockets: held.sockets.clone(),
        keeper: held.keeper,
        term: facts::variable("TERM").filter(|_| is_terminal()),
        grace: host.grace.as_deref().map(grace).transpose()?,
        ..Settings::default()
    };
    Ok(planning::plan(&source, settings)?)
}

fn grace(text: &str) -> Result<Duration, Error> {
    Span::parse(text).map(|span| span.0).map_err(|error| {
        Error::Usage(
            format!("--grace {text}: {error}"),
            "write a duration such as 10s or 1m".into(),
        )
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let here = std::env::current_dir().map_err(|error| Error::Write(".".into(), error))?;
    let joined = here.join(path);
    // The kernel's view, so that a folder reached through a link is granted under its own name.
    std::fs::canonicalize(&joined).map_err(|error| Error::Write(joined, error))
}

fn is_terminal() -> bool {
    host_sys::file::standard().into_iter().any(host_sys::terminal::is_terminal)
}
