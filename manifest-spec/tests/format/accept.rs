//! Promise: what the documentation shows is accepted and means what it says.

use crate::golden::Pairs;
use manifest_spec::policy::HostPolicy;
use manifest_spec::{Diagnostics, Document};
use serde::Serialize;

const MANIFESTS: Pairs = Pairs { folder: "accept", prefix: "good-", extension: "json" };
const POLICIES: Pairs = Pairs { folder: "policy", prefix: "good-", extension: "json" };

fn json<T: Serialize>(name: &str, result: Result<T, Diagnostics>) -> String {
    let value = result.unwrap_or_else(|wrong| panic!("{name}.toml is refused:\n{wrong}"));
    let text = serde_json::to_string_pretty(&value).expect("a manifest is JSON");
    format!("{text}\n")
}

#[test]
fn good_manifests_decode() {
    MANIFESTS.check(|name, text| {
        json(name, Document::parse("app.toml", text).and_then(|document| document.manifest()))
    });
}

#[test]
fn good_policies_decode() {
    POLICIES.check(|name, text| json(name, HostPolicy::parse("policy.toml", text)));
}
