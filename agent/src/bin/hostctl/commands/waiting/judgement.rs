//! Whether what is waited for has come to be, by how things stand.
//!
//! Invariant: pure; the same answers of hostd give the same judgement.

use manifest_spec::api::{AppStatus, History, InstanceState, InstanceStatus, VersionState, Wanted};

use crate::commands::status::{does, serves};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// This version serves.
    Version(u32),
    /// All that should run does its work, and nothing else is left.
    Serving,
    /// Nothing runs.
    Stopped,
    /// hostd knows it no more.
    Gone,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is so.
    Reached,
    /// It may still come to be.
    Pending,
    /// It won't come to be.
    Failed(String),
    /// Another version has taken its place: its history tells.
    Superseded,
}

/// How far an app is.
pub fn judge(goal: Goal, status: &AppStatus) -> Progress {
    let so = |holds: bool| if holds { Progress::Reached } else { Progress::Pending };
    match goal {
        Goal::Gone => Progress::Pending,
        Goal::Stopped => so(instances(status).all(|one| is_down(one.state))),
        Goal::Serving => stays_down(status).unwrap_or_else(|| so(serves(status))),
        Goal::Version(version) => rollout(version, status),
    }
}

fn rollout(version: u32, status: &AppStatus) -> Progress {
    if status.version == Some(version) && status.rollout.is_none() {
        return Progress::Reached;
    }
    let failure = status.last_failure.as_ref().filter(|failure| failure.version == version);
    if let Some(failure) = failure {
        let why = format!("version {version} was rolled back: {}", failure.reason);
        return Progress::Failed(why);
    }
    if status.wanted != Wanted::Running {
        return Progress::Failed("it was stopped meanwhile".into());
    }
    match &status.rollout {
        // The first version has none to go back to: it has failed when an instance stays down.
        Some(rollout) if rollout.to == version && rollout.from.is_none() => {
            stays_down(status).unwrap_or(Progress::Pending)
        }
        Some(rollout) if rollout.to == version => Progress::Pending,
        _ => Progress::Superseded,
    }
}

/// What became of a version that another one took the place of.
pub fn became(version: u32, history: &History) -> Progress {
    let entry = history.versions.iter().find(|entry| entry.version == version);
    let Some(entry) = entry else { return Progress::Pending };
    let became = match entry.state {
        VersionState::Current => return Progress::Reached,
        VersionState::Rolling => return Progress::Pending,
        VersionState::Superseded => "made way for a later one",
        VersionState::Failed => "failed",
        VersionState::RolledBack => "was rolled back",
    };
    let reason = entry.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    Progress::Failed(format!("version {version} {became}{reason}"))
}

/// What those who did not come to serve said last; of a version, what its instances did.
pub fn last_lines(goal: Goal, status: &AppStatus) -> Vec<String> {
    let meant = |one: &&InstanceStatus| match goal {
        Goal::Version(version) => one.version == version,
        Goal::Serving | Goal::Stopped | Goal::Gone => true,
    };
    let failure = status.last_failure.as_ref().filter(|one| goal == Goal::Version(one.version));
    let kept = failure.map(|failure| &failure.last_lines);
    let said = instances(status).filter(meant).filter(|one| !does(one)).map(|one| &one.last_lines);
    kept.into_iter().chain(said).find(|lines| !lines.is_empty()).cloned().unwrap_or_default()
}

fn instances(status: &AppStatus) -> impl Iterator<Item = &InstanceStatus> {
    status.services.iter().flat_map(|service| &service.instances)
}

fn is_down(state: InstanceState) -> bool {
    matches!(state, InstanceState::Stopped | InstanceState::Failed)
}

/// The failure of an instance that stays down, if one does.
fn stays_down(status: &AppStatus) -> Option<Progress> {
    let one = instances(status).find(|one| one.state == InstanceState::Failed)?;
    let reason = one.denied.as_ref().or(one.reason.as_ref());
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    Some(Progress::Failed(format!("{} failed{reason}", one.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 4 is on its way, version 2 was rolled back; shop.web.2 of version 4 backs off.
    fn example() -> AppStatus {
        serde_json::from_str(include_str!("../ps/example.json")).unwrap()
    }

    #[test]
    fn a_version_is_pending_until_it_is_current() {
        let mut status = example();
        assert_eq!(judge(Goal::Version(4), &status), Progress::Pending);
        assert_eq!(last_lines(Goal::Version(4), &status)[0], "starting");
        status.rollout = None;
        assert_eq!(judge(Goal::Version(4), &status), Progress::Superseded);
        status.version = Some(4);
        assert_eq!(judge(Goal::Version(4), &status), Progress::Reached);
    }

    #[test]
    fn a_version_that_was_rolled_back_has_failed_with_what_it_said() {
        let why = "version 2 was rolled back: shop.web.1 exited with 1";
        assert_eq!(judge(Goal::Version(2), &example()), Progress::Failed(why.into()));
        assert_eq!(last_lines(Goal::Version(2), &example()), ["no such table"]);
    }

    #[test]
    fn a_first_version_fails_when_an_instance_stays_down() {
        let mut status = example();
        status.services[1].instances[1].state = InstanceState::Failed;
        assert_eq!(judge(Goal::Version(4), &status), Progress::Pending);
        status.rollout.as_mut().unwrap().from = None;
        let failed = judge(Goal::Version(4), &status);
        assert!(matches!(failed, Progress::Failed(why) if why.starts_with("shop.web.2 failed: ")));
        status.wanted = Wanted::Stopped;
        let stopped = judge(Goal::Version(4), &status);
        assert_eq!(stopped, Progress::Failed("it was stopped meanwhile".into()));
    }

    #[test]
    fn an_app_is_stopped_when_nothing_of_it_runs() {
        let mut status = example();
        assert_eq!(judge(Goal::Stopped, &status), Progress::Pending);
        for service in &mut status.services {
            service.instances.retain(|one| one.state == InstanceState::Stopped);
        }
        assert_eq!(judge(Goal::Stopped, &status), Progress::Reached);
        assert_eq!(judge(Goal::Gone, &status), Progress::Pending);
    }
}
