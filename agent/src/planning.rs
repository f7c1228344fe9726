//! From a manifest and everything said about it to a plan: what `hostctl run`, `hostctl plan` and
//! hostd share.
//!
//! Owns the order in which files and the host are asked: host facts, manifest with its drop-in,
//! host policy, the app's uid. Invariant: writes nothing; the same answers give the same plan.

use std::path::PathBuf;

use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostic, Diagnostics, Document};
use serde::{Deserialize, Serialize};

use crate::plan::directories::DirectoryError;
use crate::plan::{HostFacts, Plan, Settings, Unenforced, resolve};
use crate::source::{self, Loaded, Overrides, SourceError};
use crate::uids::{self, UidError};

/// A manifest's text, where it lies, and what is put on top of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// As messages name it.
    pub name: String,
    /// TOML.
    pub text: String,
    /// Where its relative paths start, absolute.
    pub folder: PathBuf,
    /// What the command line says about it.
    pub overrides: Overrides,
}

/// A plan and what led to it.
#[derive(Debug)]
pub struct Planned {
    /// The manifest with everything on top of it.
    pub loaded: Loaded,
    /// What one instance will be given.
    pub plan: Plan,
    /// The host it was made for.
    pub facts: HostFacts,
    /// The operator's word.
    pub policy: HostPolicy,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanningError {
    /// Where hostctl keeps its files.
    Directories(DirectoryError),
    /// Reading the manifest, a drop-in or the host policy.
    Source(SourceError),
    /// The table of uids.
    Uid(UidError),
    /// The manifest does not fit this host.
    Plan(Diagnostics),
    /// It demands limits that this host can't keep.
    Unlimited(Vec<Unenforced>),
}

impl From<DirectoryError> for PlanningError {
    fn from(error: DirectoryError) -> Self {
        PlanningError::Directories(error)
    }
}

impl From<SourceError> for PlanningError {
    fn from(error: SourceError) -> Self {
        PlanningError::Source(error)
    }
}

/// The plan for a source on this host. `settings` say what the source does not; their folder and
/// uid are found here.
///
/// # Errors
/// The first stage that fails, with everything that is wrong in it.
pub fn plan(source: &Source, settings: Settings) -> Result<Planned, PlanningError> {
    let facts = HostFacts::probe()?;
    let loaded = load(source, &facts)?;
    let policy = source::policy(&facts.directories.policy())?;
    let plan = resolve_for(source, &loaded, &facts, &policy, settings)?;
    Ok(Planned { loaded, plan, facts, policy })
}

/// The plan for the program of one of an app's policies.
///
/// # Errors
/// As [`plan`]; also when the app has no such policy.
pub fn plan_policy(
    source: &Source,
    name: &str,
    settings: Settings,
) -> Result<Planned, PlanningError> {
    let facts = HostFacts::probe()?;
    let mut loaded = load(source, &facts)?;
    let found = loaded.manifest.policies.iter().find(|policy| policy.name.as_str() == name);
    let found = found.ok_or_else(|| {
        let message = format!("there is no policy {name:?}");
        PlanningError::Plan(Diagnostic::new("policies", message).into())
    })?;
    loaded.manifest = loaded.manifest.of_policy(found);
    let policy = source::policy(&facts.directories.policy())?;
    let plan = resolve_for(source, &loaded, &facts, &policy, settings)?;
    Ok(Planned { loaded, plan, facts, policy })
}

/// The manifest with everything on top of it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(source: &Source, facts: &HostFacts) -> Result<Loaded, PlanningError> {
    let drop_in = |app: &str| facts.directories.drop_in(app);
    Ok(source::load(&source.name, &source.text, drop_in, &source.overrides)?)
}

/// The plan of what was loaded already.
///
/// # Errors
/// [`PlanningError::Uid`], [`PlanningError::Plan`].
pub fn resolve_for(
    source: &Source,
    loaded: &Loaded,
    facts: &HostFacts,
    policy: &HostPolicy,
    settings: Settings,
) -> Result<Plan, PlanningError> {
    let app = loaded.manifest.name.as_str();
    let uid = match facts.is_root() {
        true => {
            uids::find(&facts.directories.state, policy.uids, app).map_err(PlanningError::Uid)?
        }
        false => None,
    };
    let settings = Settings { folder: source.folder.clone(), uid, ..settings };
    resolve(&loaded.manifest, facts, policy, &settings)
        .map_err(|errors| PlanningError::Plan(placed(errors, &loaded.document)))
}

/// Refuse a plan that demands limits which this host can't keep.
///
/// # Errors
/// [`PlanningError::Unlimited`].
pub fn refuse_unlimited(plan: &Plan) -> Result<(), PlanningError> {
    let demands: Vec<Unenforced> = plan.demands().cloned().collect();
    if demands.is_empty() { Ok(()) } else { Err(PlanningError::Unlimited(demands)) }
}

/// Diagnostics of the resolver with the places of their keys.
fn placed(errors: Diagnostics, document: &Document) -> Diagnostics {
    let all = errors.into_iter().map(|error| document.place(error)).collect();
    Diagnostics::new(all).unwrap_or_else(|| unreachable!("diagnostics are never empty"))
}
