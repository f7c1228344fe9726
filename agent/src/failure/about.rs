//! Failures of a run that a key of the manifest is behind.

use manifest_spec::Diagnostic;

use super::cause;
use crate::cgroup::CgroupError;
use crate::network::boundary::BoundaryError;
use crate::plan::Plan;
use crate::run::RunError;

/// A failure as a mistake in the manifest, if a key of it is behind it.
pub fn about(error: &RunError, plan: &Plan) -> Option<Diagnostic> {
    match error {
        RunError::Step { key, failure, .. } if key == "run" => {
            Some(Diagnostic::new(format!("{}run", plan.key_prefix), cause(failure)))
        }
        RunError::Step { key, failure, .. } if !key.is_empty() => {
            Some(Diagnostic::new(key.clone(), cause(failure)))
        }
        RunError::Boundary(error) => match error {
            BoundaryError::Name(key, error) => {
                let hint = "check its spelling and the host's DNS, or write its address";
                Some(Diagnostic::new(key.clone(), error.to_string()).with_hint(hint))
            }
            BoundaryError::Interface(key, _, all) => {
                let hint = format!("its interfaces are {}", all.join(", "));
                Some(Diagnostic::new(key.clone(), error.to_string()).with_hint(hint))
            }
            BoundaryError::Cgroup(error) => {
                let key = format!("{}{}", plan.key_prefix, limit(error)?);
                let hint = format!("leave it out with --unset {key}");
                Some(Diagnostic::new(key, error.to_string()).with_hint(hint))
            }
            _ => None,
        },
        RunError::Data(data) => Some(Diagnostic::new(data.key.clone(), data.error.to_string())),
        _ => None,
    }
}

/// The limit that the kernel did not take in.
fn limit(error: &CgroupError) -> Option<&'static str> {
    match error {
        CgroupError::Limit(key, ..) | CgroupError::NoFile(key, _) => Some(key),
        CgroupError::Enable(_, controllers, _) => controllers.first().map(|one| one.key()),
        _ => None,
    }
}
