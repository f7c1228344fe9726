//! What a new version changes, value by value.
//!
//! Invariant: pure; nothing that a running instance would notice is left out.

use std::collections::BTreeMap;

use manifest_spec::api::{Change, ChangeKind, Effect};

use super::services::Service;
use crate::fleet::Takeover;

/// Everything that differs, service by service. `serves` tells whether the old services run.
pub(super) fn changes(old: &[Service], new: &[Service], serves: bool) -> Vec<Change> {
    let find = |all: &'_ [Service], name: &str| all.iter().find(|one| one.name == name).cloned();
    let mut changes = Vec::new();
    for service in new {
        match find(old, &service.name).filter(|_| serves) {
            None => changes.push(whole(service, ChangeKind::New)),
            Some(before) => changes.extend(between(&before, service)),
        }
    }
    if serves {
        let gone = old.iter().filter(|service| find(new, &service.name).is_none());
        changes.extend(gone.map(|service| whole(service, ChangeKind::Removed)));
    }
    changes
}

fn whole(service: &Service, kind: ChangeKind) -> Change {
    let run = service.values.get("run").cloned();
    let (old, new, why, effect) = match kind {
        ChangeKind::Removed => (run, None, "the manifest has it no more", Effect::Stop),
        _ => (None, run, "it does not run yet", Effect::Start),
    };
    Change {
        kind,
        service: Some(service.name.clone()),
        key: "service".to_owned(),
        old,
        new,
        why: why.to_owned(),
        effect,
    }
}

fn between(old: &Service, new: &Service) -> Vec<Change> {
    let mut changes = values(old, new);
    if old.count != new.count {
        let effect = if new.count > old.count { Effect::Start } else { Effect::Stop };
        changes.push(Change {
            kind: ChangeKind::Changed,
            service: Some(new.name.clone()),
            key: "count".to_owned(),
            old: Some(old.count.to_string()),
            new: Some(new.count.to_string()),
            why: "instances are started or stopped; the others go on".to_owned(),
            effect,
        });
    }
    if old.fingerprint != new.fingerprint && changes.iter().all(|change| change.key == "count") {
        changes.push(Change {
            kind: ChangeKind::Changed,
            service: Some(new.name.clone()),
            key: "version".to_owned(),
            old: None,
            new: None,
            why: format!("the folder or who deploys it changed; {}", replacement(new)),
            effect: effect(new),
        });
    }
    changes
}

fn values(old: &Service, new: &Service) -> Vec<Change> {
    let empty = BTreeMap::new();
    let (before, after) = match old.fingerprint == new.fingerprint {
        true => (&empty, &empty),
        false => (&old.values, &new.values),
    };
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let differs = |key: &&&String| before.get(**key) != after.get(**key);
    let change = |key: &String| Change {
        kind: match (before.get(key), after.get(key)) {
            (None, _) => ChangeKind::New,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        },
        service: Some(new.name.clone()),
        key: key.clone(),
        old: before.get(key).cloned(),
        new: after.get(key).cloned(),
        why: replacement(new),
        effect: effect(new),
    };
    keys.iter().filter(differs).map(|key| change(key)).collect()
}

fn effect(service: &Service) -> Effect {
    match service.takeover {
        Takeover::Beside => Effect::Beside,
        Takeover::Replace => Effect::Replace,
    }
}

fn replacement(service: &Service) -> String {
    match &service.takeover_reason {
        None => "a new instance starts beside the old one and takes over when it is ready".into(),
        Some(reason) => format!("the old instance is stopped first: {reason}"),
    }
}
