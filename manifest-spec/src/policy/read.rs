//! From the host policy's text to its values, and the rules between them.
//!
//! Uses the manifest's machinery, so the errors look the same. Invariant: a policy with any error
//! is no policy; the caller then runs nothing.

use super::raw::{
    LAST_UID, RawAddresses, RawAllow, RawCeilings, RawDeny, RawHostPolicy, RawUids, RawUser,
};
use super::{AddressRange, Allow, Ceilings, Deny, HostPolicy, UidRange, UserRule, Verb, Who};
use crate::decode::{At, Decode, Decoder, Field, Findings};
use crate::document::syntax;
use crate::error::Diagnostics;
use crate::names::AppName;
use crate::tree::{SourceKind, Sources};

/// uids that belong to others: first, last, whose (systemd's "Users, Groups, UIDs and GIDs").
const TAKEN: [(u32, u32, &str); 6] = [
    (60_001, 60_705, "systemd's home directories and units"),
    (61_184, 65_519, "systemd's dynamic users"),
    (65_534, 65_534, "nobody"),
    (65_535, 65_535, "\"no uid\" in 16 bits"),
    (524_288, 1_879_048_191, "systemd's containers and subordinate uids"),
    (2_147_352_576, 2_147_418_111, "systemd's foreign images"),
];

pub(super) fn parse(file: &str, text: &str) -> Result<HostPolicy, Diagnostics> {
    let mut sources = Sources::default();
    let root = syntax::parse(SourceKind::File(file.into()), text, &mut sources)?;
    let mut cx = Decoder::new(&sources, RawHostPolicy::shape);
    let raw = RawHostPolicy::decode(&root, &mut cx).unwrap_or_default();
    let mut findings = cx.findings;
    let policy = HostPolicy {
        uids: raw.uids.get().map(|at| uids(at, &mut findings)).unwrap_or_default(),
        allow: raw.allow.value().map(allow).unwrap_or_default(),
        deny: Deny { paths: raw.deny.value().map(denied).unwrap_or_default() },
        ceilings: raw.ceilings.value().map(ceilings).unwrap_or_default(),
        ports: raw
            .ports
            .value()
            .and_then(|ports| ports.range.value())
            .map(|range| range.0)
            .unwrap_or_default(),
        addresses: raw.addresses.value().map(addresses).unwrap_or_default(),
        users: raw.users.value().map(|all| users(all, &mut findings)),
    };
    findings.finish().map_or(Ok(policy), Err)
}

fn uids(at: &At<RawUids>, findings: &mut Findings<'_>) -> UidRange {
    let default = UidRange::default();
    let range = UidRange {
        first: at.value.first.value().map_or(default.first, |first| first.0),
        count: at.value.count.value().map_or(default.count, |count| count.0),
    };
    let last = u64::from(range.first) + u64::from(range.count) - 1;
    let hint = format!("write first = {}, count = {}", default.first, default.count);
    let key = at.key.clone();
    if last > u64::from(LAST_UID) {
        let message = format!("the uids {}-{last} go past {LAST_UID}", range.first);
        findings.add(&at.place, key, message).hint(hint);
        return range;
    }
    let clash =
        TAKEN.iter().find(|(first, end, _)| u64::from(*first) <= last && range.first <= *end);
    if let Some((first, end, whose)) = clash {
        let message = format!("the uids {}-{last} overlap {first}-{end}: {whose}", range.first);
        findings.add(&at.place, key, message).hint(hint);
    }
    range
}

fn addresses(raw: &RawAddresses) -> AddressRange {
    let default = AddressRange::default();
    let v4 = raw.v4.value();
    AddressRange {
        v4: v4.map_or(default.v4, |network| network.0),
        prefix: v4.map_or(default.prefix, |network| network.1),
        v6: raw.v6.value().map_or(default.v6, |network| network.0),
    }
}

fn allow(raw: &RawAllow) -> Allow {
    let names = |all: &Vec<At<AppName>>| all.iter().map(|at| at.value.to_string()).collect();
    Allow {
        root: raw.root.value().map(names).unwrap_or_default(),
        syscalls: raw.syscalls.value().map(|all| all.iter().map(|at| at.value.0.clone()).collect()),
        capabilities: raw
            .capabilities
            .value()
            .map(|all| all.iter().map(|at| at.value.0.clone()).collect()),
    }
}

fn denied(raw: &RawDeny) -> Vec<String> {
    raw.paths.value().into_iter().flatten().map(|at| at.value.0.clone()).collect()
}

fn ceilings(raw: &RawCeilings) -> Ceilings {
    Ceilings {
        memory: raw.memory.value().copied(),
        cpu: raw.cpu.value().copied(),
        processes: raw.processes.value().map(|most| most.0),
        files: raw.files.value().map(|most| most.0),
        count: raw.count.value().map(|most| most.0),
    }
}

fn users(all: &[At<RawUser>], findings: &mut Findings<'_>) -> Vec<UserRule> {
    let mut rules: Vec<UserRule> = Vec::new();
    for at in all {
        let who = who(at, findings);
        if at.value.apps.is_absent() {
            findings
                .add(&at.place, at.key.clone(), "the entry has no apps")
                .hint("write apps = [\"shop\"], or apps = [\"*\"] for all");
        }
        let may = may(&at.value.may, findings);
        let (Some(who), Some(apps), Some(may)) = (who, at.value.apps.value(), may) else {
            continue;
        };
        if rules.iter().any(|rule| rule.who == who && rule.may == may) {
            let message = "there is an entry for the same user or group and the same verbs";
            findings.add(&at.place, at.key.clone(), message).hint("add these apps to that entry");
        }
        rules.push(UserRule {
            who,
            apps: apps.iter().map(|app| app.value.0.clone()).collect(),
            may,
        });
    }
    rules
}

fn who(at: &At<RawUser>, findings: &mut Findings<'_>) -> Option<Who> {
    let raw = &at.value;
    let said = [
        raw.uid.value().map(|uid| Who::Uid(uid.0)),
        raw.user.value().map(|name| Who::User(name.0.clone())),
        raw.gid.value().map(|gid| Who::Gid(gid.0)),
        raw.group.value().map(|name| Who::Group(name.0.clone())),
    ];
    let is_invalid = matches!(raw.uid, Field::Invalid)
        || matches!(raw.user, Field::Invalid)
        || matches!(raw.gid, Field::Invalid)
        || matches!(raw.group, Field::Invalid);
    let said: Vec<Who> = said.into_iter().flatten().collect();
    let message = match said.len() {
        1 => return said.into_iter().next(),
        0 if is_invalid => return None,
        0 => "the entry is about nobody",
        _ => "an entry is about one user or one group",
    };
    findings
        .add(&at.place, at.key.clone(), message)
        .hint("write one of uid = 1000, user = \"alice\", gid = 100 and group = \"deploy\"");
    None
}

/// The verbs in one order and once each, so that entries can be compared.
fn may(field: &Field<Vec<At<Verb>>>, findings: &mut Findings<'_>) -> Option<Vec<Verb>> {
    match field {
        Field::Absent => Some(vec![Verb::Run]),
        Field::Invalid => None,
        Field::Given(list) => {
            // A list whose items are all wrong is empty here, too.
            if list.value.is_empty() && findings.is_empty() {
                findings
                    .add(&list.place, list.key.clone(), "the entry allows nothing")
                    .hint("write may = [\"look\"], or drop the entry");
            }
            let given = |verb: &Verb| list.value.iter().any(|at| at.value == *verb);
            Some(Verb::ALL.into_iter().filter(given).collect())
        }
    }
}
