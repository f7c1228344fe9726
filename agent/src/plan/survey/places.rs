//! The part of the survey about hostctl's own things: its directories, the host policy and the
//! range of uids.

use super::{Answers, Finding, Found, Place, Status, UidRange};

pub(super) fn findings(answers: &Answers) -> Vec<Finding> {
    let [state, run, config] = &answers.places;
    let caller = answers.facts.uid;
    let mut state = kept(
        "state directory",
        state,
        caller,
        "apps get neither uids nor managed directories",
        "HOSTCTL_STATE_DIR",
    );
    // Without root it holds managed directories only, and most apps have none.
    state.needed = answers.facts.is_root();
    let unused = "nothing: this version keeps nothing in it";
    let mut run = kept("run directory", run, caller, unused, "HOSTCTL_RUN_DIR");
    if run.status == Status::Missing {
        run.status = Status::Note;
    }
    let mut findings = vec![state, run, operator(config, caller), policy(answers)];
    findings.extend(uids(answers));
    findings
}

/// A directory that hostctl makes and trusts.
fn kept(name: &'static str, place: &Place, caller: u32, cost: &str, variable: &str) -> Finding {
    let path = place.path.display();
    let elsewhere = format!("or choose another with {variable}");
    match &place.found {
        Found::Nothing(true) => Finding::ok(name, format!("{path}, made when needed")),
        Found::Nothing(false) => {
            let what = format!("{path} does not exist, and you may not make it");
            Finding::missing(name, what, cost)
                .remedy(format!("`mkdir -p -m 700 {path}` as its owner, {elsewhere}"))
        }
        Found::Other(what) => Finding::missing(name, format!("{path}: {what}"), cost)
            .remedy(format!("move it away, {elsewhere}")),
        Found::Directory(owner, _) if *owner != caller => {
            Finding::missing(name, format!("{path} belongs to uid {owner}, not to you"), cost)
                .remedy(format!("`chown -R {caller} {path}`, {elsewhere}"))
        }
        Found::Directory(_, mode) if mode & 0o022 != 0 => {
            let what = format!("{path} is open to other writers, mode {mode:04o}");
            Finding::missing(name, what, cost).remedy(format!("`chmod go-w {path}`, {elsewhere}"))
        }
        Found::Directory(..) => Finding::ok(name, path.to_string()),
    }
}

/// The operator's directory, which hostctl only reads.
fn operator(place: &Place, caller: u32) -> Finding {
    const NAME: &str = "config directory";
    const COST: &str = "whoever may write there decides what apps may do";
    let path = place.path.display();
    match &place.found {
        Found::Nothing(_) => Finding::ok(NAME, format!("no {path}: no drop-ins, no host policy")),
        Found::Other(what) => Finding::missing(NAME, format!("{path}: {what}"), "nothing runs")
            .remedy("make it a directory, or move it away")
            .needed(),
        Found::Directory(owner, _) if *owner != caller && *owner != 0 => {
            Finding::note(NAME, format!("{path} belongs to uid {owner}"), COST)
                .remedy(format!("`chown -R {caller} {path}`"))
        }
        Found::Directory(_, mode) if mode & 0o022 != 0 => {
            Finding::note(NAME, format!("{path} is open to other writers, mode {mode:04o}"), COST)
                .remedy(format!("`chmod go-w {path}`"))
        }
        Found::Directory(..) => Finding::ok(NAME, path.to_string()),
    }
}

fn policy(answers: &Answers) -> Finding {
    const NAME: &str = "host policy";
    let path = answers.facts.directories.policy();
    match &answers.policy {
        Ok((_, true)) => Finding::ok(NAME, format!("{} is valid", path.display())),
        Ok((_, false)) => Finding::ok(NAME, "none: no ceilings, and no app runs as uid 0"),
        Err(error) => Finding::missing(NAME, error, "nothing runs until it is valid")
            .remedy(format!("correct {}", path.display()))
            .needed(),
    }
}

/// Whether the uids of apps are nobody else's; only root gives any.
fn uids(answers: &Answers) -> Option<Finding> {
    const NAME: &str = "uid range";
    let (UidRange { first, count }, _) = *answers.policy.as_ref().ok()?;
    if !answers.facts.is_root() {
        return None;
    }
    let (first, end) = (u64::from(first), u64::from(first) + u64::from(count));
    let is_mapped = |(from, many): &(u64, u64)| *from <= first && end <= from.saturating_add(*many);
    if !answers.mapped_uids.iter().any(is_mapped) {
        let what = format!("{first}-{} does not exist in this container", end - 1);
        return Some(
            Finding::missing(NAME, what, "no app can be given its uid")
                .remedy("choose a range of the container's in [uids] of policy.toml, or run hostctl outside")
                .needed(),
        );
    }
    let range = answers.policy.as_ref().ok()?.0;
    let Some((owner, from, last)) = answers.facts.clash(range) else {
        return Some(Finding::ok(NAME, format!("{first}-{}, nobody else's", end - 1)).needed());
    };
    let what = format!("{first}-{} overlaps {from}-{last}, subordinate ids of {owner}", end - 1);
    Some(
        Finding::missing(NAME, what, "apps would share uids with that user's containers")
            .remedy("choose another range in [uids] of policy.toml, or edit /etc/subuid and /etc/subgid")
            .needed(),
    )
}
