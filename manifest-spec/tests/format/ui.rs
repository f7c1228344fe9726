//! Promise: every mistake in a manifest or a host policy is named, placed, and followed by what to
//! write instead. One rule a file.

use crate::golden::Pairs;
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostics, Document};

const MANIFESTS: Pairs = Pairs { folder: "ui", prefix: "bad-", extension: "stderr" };
const POLICIES: Pairs = Pairs { folder: "policy", prefix: "bad-", extension: "stderr" };

fn printed<T>(name: &str, result: Result<T, Diagnostics>) -> String {
    match result {
        Ok(_) => panic!("{name}.toml is accepted"),
        Err(wrong) => format!("{wrong}\n"),
    }
}

#[test]
fn bad_manifests_say_what_is_wrong() {
    MANIFESTS.check(|name, text| {
        let result = Document::parse("app.toml", text).and_then(|document| document.manifest());
        printed(name, result)
    });
    assert!(MANIFESTS.names().len() >= 75, "only {} bad manifests", MANIFESTS.names().len());
}

#[test]
fn bad_policies_say_what_is_wrong() {
    POLICIES.check(|name, text| printed(name, HostPolicy::parse("policy.toml", text)));
}

#[test]
fn every_error_has_a_place() {
    for name in MANIFESTS.names() {
        let result = Document::parse("app.toml", &MANIFESTS.input(&name))
            .and_then(|document| document.manifest());
        for one in result.expect_err("bad manifests are refused") {
            assert!(one.origin.is_some(), "{name}: {one}");
            assert!(!one.message.ends_with('.'), "{name}: {one}");
        }
    }
}
