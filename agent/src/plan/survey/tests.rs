//! Surveys of made-up hosts.

use manifest_spec::policy::UidRange;

use super::*;
use crate::cgroup::place::Lack;
use crate::cgroup::{self, Cgroups, Controller};

/// A host on which everything works, seen by root or by an ordinary user.
fn host(uid: u32) -> Answers {
    // Every fact that a finding depends on is replaced by a made-up one.
    let mut facts = HostFacts::probe().unwrap();
    facts.kernel = (6, 1);
    (facts.uid, facts.gid) = (uid, uid);
    (facts.landlock, facts.notify, facts.mount_api) = (2, true, true);
    facts.cgroups = Cgroups {
        plain: Some(cgroup::Place::Scope),
        limited: Some(cgroup::Place::Scope),
        controllers: Controller::ALL.into(),
        ..Cgroups::default()
    };
    facts.subordinate = Vec::new();
    facts.directories.config = "/etc/hostctl".into();
    let place = |path: &str| Place { path: path.into(), found: Found::Directory(uid, 0o700) };
    Answers {
        trial: Trial::Works,
        mapped_uids: vec![(0, 1 << 32)],
        user_namespaces: NamespaceSettings { max: Some(10_000), apparmor: None, clone: None },
        places: ["/var/lib/hostctl", "/run/hostctl", "/etc/hostctl"].map(place),
        policy: Ok((UidRange::default(), false)),
        names: NamesFound::Known,
        facts,
    }
}

fn of<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.name == name).unwrap()
}

/// Change one answer: the finding about it, and whether anything can still run.
fn changed(uid: u32, name: &str, change: impl FnOnce(&mut Answers)) -> (Finding, bool) {
    let mut answers = host(uid);
    change(&mut answers);
    let findings = survey(&answers);
    let works = !findings.iter().any(Finding::is_fatal);
    (of(&findings, name).clone(), works)
}

#[test]
fn a_good_host_has_nothing_missing() {
    let findings = survey(&host(0));
    assert!(findings.iter().all(|finding| finding.status == Status::Ok), "{findings:#?}");
    assert_eq!(verdict(&findings), "hostctl run works on this host");
    let findings = survey(&host(1000));
    let notes: Vec<_> = findings.iter().filter(|f| f.status != Status::Ok).collect();
    assert_eq!(notes.iter().map(|f| f.name).collect::<Vec<_>>(), ["user"]);
}

#[test]
fn every_finding_that_is_not_ok_says_what_it_costs() {
    let mut answers = host(1000);
    answers.trial = Trial::NoNamespaces("operation not permitted".into());
    answers.user_namespaces.max = Some(0);
    answers.facts.cgroups.lacks = vec![(Controller::Memory, Lack::NotMounted)];
    answers.policy = Err("policy.toml:1:1: ceilings: wrong".into());
    answers.names = NamesFound::Unasked { resolved: false };
    answers.facts.kernel = (5, 10);
    (answers.facts.landlock, answers.facts.notify, answers.facts.mount_api) = (0, false, false);
    for place in &mut answers.places {
        place.found = Found::Directory(7, 0o777);
    }
    let findings = survey(&answers);
    for finding in findings.iter().filter(|finding| finding.status != Status::Ok) {
        assert!(finding.cost.is_some(), "{finding:#?}");
        assert!(finding.remedy.is_some() || finding.name == "/proc", "{finding:#?}");
        let texts = [Some(&finding.what), finding.cost.as_ref(), finding.remedy.as_ref()];
        assert!(texts.into_iter().flatten().all(|text| !text.ends_with('.')), "{finding:#?}");
    }
    assert_eq!(
        verdict(&findings),
        "hostctl run can't work on this host: see mount API, namespaces, host policy"
    );
}

#[test]
fn without_namespaces_an_ordinary_user_is_told_the_setting() {
    for (settings, command) in [
        (NamespaceSettings { max: Some(0), ..Default::default() }, "user.max_user_namespaces="),
        (NamespaceSettings { clone: Some(0), ..Default::default() }, "unprivileged_userns_clone=1"),
        (NamespaceSettings { apparmor: Some(1), ..Default::default() }, "restrict_unprivileged"),
    ] {
        let (finding, works) = changed(1000, "namespaces", |answers| {
            answers.trial = Trial::NoMap;
            answers.user_namespaces = settings;
        });
        assert!(!works);
        assert!(finding.remedy.unwrap().contains(command));
        let (finding, works) = changed(0, "rootless", |answers| answers.user_namespaces = settings);
        assert!(works);
        assert_eq!(finding.status, Status::Note);
        assert!(finding.remedy.unwrap().contains(command));
    }
}

#[test]
fn a_container_that_hides_parts_of_proc_is_told_so() {
    let (finding, works) = changed(1000, "/proc", |answers| answers.trial = Trial::NoProcesses);
    assert!(!works);
    assert!(finding.what.contains("hidden"), "{finding:#?}");
}

#[test]
fn second_walls_are_missed_and_not_needed() {
    let (finding, works) = changed(0, "Landlock", |answers| answers.facts.landlock = 0);
    assert!(works);
    assert_eq!(finding.cost.as_deref(), Some("files are guarded by the mount namespace alone"));
    let (_, works) = changed(0, "seccomp notify", |answers| answers.facts.notify = false);
    assert!(works);
    let (finding, works) = changed(0, "cgroup v2", |answers| {
        answers.facts.cgroups.lacks =
            vec![(Controller::Cpu, Lack::OfV1), (Controller::Io, Lack::NotOffered)];
    });
    assert!(works);
    assert!(finding.what.contains("cpu controller is one of cgroup v1"), "{finding:#?}");
    assert!(finding.cost.unwrap().starts_with("limits.cpu, limits.io can't be enforced"));
    assert!(finding.remedy.unwrap().contains("cgroup_no_v1=all"));
    let (finding, works) = changed(0, "kernel", |answers| answers.facts.kernel = (5, 14));
    assert!(works);
    assert_eq!(finding.status, Status::Missing);
}

#[test]
fn a_uid_range_that_is_somebody_elses_stops_root_only() {
    let clash = |answers: &mut Answers| {
        answers.facts.subordinate = vec![("bob".into(), 1_900_065_535, 10)];
    };
    let (finding, works) = changed(0, "uid range", clash);
    assert!(!works);
    assert!(finding.what.contains("bob"), "{finding:#?}");
    let (_, works) = changed(0, "uid range", |answers| {
        answers.facts.subordinate = vec![("bob".into(), 1_900_065_536, u64::MAX)];
    });
    assert!(works);
    assert!(survey(&host(1000)).iter().all(|finding| finding.name != "uid range"));
}

#[test]
fn a_uid_range_that_a_container_lacks_stops_root_only() {
    let small = |answers: &mut Answers| answers.mapped_uids = vec![(0, 65_536)];
    let (finding, works) = changed(0, "uid range", small);
    assert!(!works);
    assert!(finding.what.contains("container"), "{finding:#?}");
    let mut answers = host(1000);
    small(&mut answers);
    assert!(!survey(&answers).iter().any(Finding::is_fatal));
}

#[test]
fn a_state_directory_of_others_stops_root() {
    for found in [
        Found::Directory(1000, 0o700),
        Found::Directory(0, 0o770),
        Found::Nothing(false),
        Found::Other("not a directory".into()),
    ] {
        let (finding, works) =
            changed(0, "state directory", |answers| answers.places[0].found = found.clone());
        assert!(!works, "{finding:#?}");
        let (finding, works) =
            changed(0, "run directory", |answers| answers.places[1].found = found);
        assert!(works, "{finding:#?}");
        assert_eq!(finding.status, Status::Note);
    }
    let (finding, works) =
        changed(0, "state directory", |answers| answers.places[0].found = Found::Nothing(true));
    assert!(works, "{finding:#?}");
}

#[test]
fn names_that_lead_nowhere_are_worth_a_note() {
    let (finding, works) = changed(0, "names", |answers| answers.names = NamesFound::Nobody);
    assert!(works && finding.status == Status::Ok, "nobody is missed: {finding:#?}");
    for (resolved, word) in [(true, "systemd-resolved"), (false, "127.0.99.53:10053")] {
        let (finding, works) =
            changed(0, "names", |answers| answers.names = NamesFound::Unasked { resolved });
        assert!(works);
        assert_eq!(finding.status, Status::Note);
        assert!(finding.remedy.unwrap().contains(word));
    }
}
