//! Promise: what no rule of the host policy gives, nobody may do.

use manifest_spec::names::AppName;
use manifest_spec::policy::{Caller, HostPolicy, Verb};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy;

fn app(name: &str) -> AppName {
    AppName::new(name).expect("a name")
}

fn policy(text: &str) -> HostPolicy {
    HostPolicy::parse("policy.toml", text).expect("it is one")
}

const NOBODY: Caller<'_> = Caller { uid: 7, user: None, groups: &[] };

#[test]
fn without_rules_anyone_runs_anything_and_nobody_does_more() {
    let policy = HostPolicy::default();
    for verb in Verb::ALL {
        assert_eq!(policy.allows(&NOBODY, &app("shop"), verb), verb == Verb::Run, "{verb:?}");
    }
}

#[test]
fn an_entry_without_verbs_is_about_running_alone() {
    let policy = policy("[[users]]\nuid = 7\napps = [\"shop\"]\n");
    for verb in Verb::ALL {
        assert_eq!(policy.allows(&NOBODY, &app("shop"), verb), verb == Verb::Run, "{verb:?}");
    }
    assert!(!policy.allows(&NOBODY, &app("forum"), Verb::Run));
    assert!(policy.allows(&NOBODY, &app("shop").with_offset(3), Verb::Run), "a copy is its app");
}

#[test]
fn an_empty_list_of_rules_allows_nothing() {
    let policy = policy("users = []\n");
    assert!(Verb::ALL.into_iter().all(|verb| !policy.allows(&NOBODY, &app("shop"), verb)));
}

#[test]
fn whoever_may_do_something_to_an_app_may_look_at_it() {
    for (may, looks) in
        [("run", false), ("look", true), ("control", true), ("deploy", true), ("exec", true)]
    {
        let text = format!("[[users]]\nuid = 7\napps = [\"*\"]\nmay = [\"{may}\"]\n");
        let policy = policy(&text);
        assert_eq!(policy.allows(&NOBODY, &app("shop"), Verb::Look), looks, "{may}");
        let given = Verb::ALL
            .into_iter()
            .filter(|verb| *verb != Verb::Look && policy.allows(&NOBODY, &app("shop"), *verb));
        assert_eq!(given.count(), usize::from(may != "look"), "{may}");
    }
}

#[test]
fn users_and_groups_are_known_by_number_or_name_and_never_by_the_other() {
    let groups = [(100, Some("users".to_owned())), (50, None)];
    let alice = Caller { uid: 1000, user: Some("alice"), groups: &groups };
    let allowed = |who: &str| {
        policy(&format!("[[users]]\n{who}\napps = [\"*\"]\n")).allows(
            &alice,
            &app("shop"),
            Verb::Run,
        )
    };
    for who in ["uid = 1000", "user = \"alice\"", "gid = 100", "gid = 50", "group = \"users\""] {
        assert!(allowed(who), "{who}");
    }
    for who in
        ["uid = 100", "gid = 1000", "user = \"users\"", "group = \"alice\"", "user = \"alic\""]
    {
        assert!(!allowed(who), "{who}");
    }
    assert!(!policy("[[users]]\nuser = \"x\"\napps = [\"*\"]\n").allows(
        &NOBODY,
        &app("shop"),
        Verb::Run
    ));
}

/// An entry as text, and what it gives: uid, app, verb.
fn entry() -> impl Strategy<Value = (u32, &'static str, Verb)> {
    let apps = prop::sample::select(vec!["*", "shop", "forum"]);
    (0_u32..3, apps, prop::sample::select(Verb::ALL.to_vec()))
}

proptest! {
    #[test]
    fn rules_only_add_up(entries in prop::collection::btree_set(
        entry().prop_map(|(uid, app, verb)| (uid, verb, app)), 0..6),
        one in any::<prop::sample::Index>(),
    ) {
        // One entry for each user and verb, as the format wants it.
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.dedup_by_key(|(uid, verb, _)| (*uid, *verb));
        let text = |entries: &[(u32, Verb, &str)]| -> String {
            let entry = |(uid, verb, app): &(u32, Verb, &str)| {
                let may = verb.as_str();
                format!("[[users]]\nuid = {uid}\napps = [\"{app}\"]\nmay = [\"{may}\"]\n")
            };
            entries.iter().map(entry).collect()
        };
        let all = policy(&text(&entries));
        let mut fewer = entries.clone();
        if !fewer.is_empty() {
            fewer.remove(one.index(fewer.len()));
        }
        let less = if fewer.is_empty() { policy("users = []") } else { policy(&text(&fewer)) };
        for uid in 0..3 {
            let caller = Caller { uid, user: None, groups: &[] };
            for name in ["shop", "forum"] {
                for verb in Verb::ALL {
                    let given = entries.iter().any(|(user, may, of)| {
                        let looks = verb == Verb::Look && *may != Verb::Run;
                        *user == uid && (*of == "*" || *of == name) && (*may == verb || looks)
                    });
                    let found = all.allows(&caller, &app(name), verb);
                    let none = entries.is_empty();
                    prop_assert_eq!(found, if none { verb == Verb::Run } else { given });
                    prop_assert!(none || found || !less.allows(&caller, &app(name), verb));
                }
            }
        }
    }
}
