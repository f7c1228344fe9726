//! Promise: the crates depend on each other as ARCHITECTURE.md says, on licensed crates only, and
//! unsafe code stays in its one room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every edge inside the workspace.
const EDGES: [(&str, &[&str]); 6] = [
    ("agent", &["host-sys", "loadbalancer", "manifest-spec"]),
    ("e2e", &[]),
    ("host-sys", &[]),
    ("loadbalancer", &["manifest-spec"]),
    ("manifest-spec", &[]),
    ("vm-tests", &[]),
];

/// Licences a dependency may have: permissive ones.
const LICENCES: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn edges_between_crates() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = |package: &&Value| package["source"].is_null();
    let names: Vec<_> = packages.iter().filter(ours).map(|package| text(package, "name")).collect();
    let mut found = BTreeMap::new();
    for package in packages.iter().filter(ours) {
        let mut edges: Vec<_> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| text(dependency, "name"))
            .filter(|name| names.contains(name))
            .collect();
        edges.sort_unstable();
        found.insert(text(package, "name"), edges);
    }
    let expected: BTreeMap<_, _> = EDGES.map(|(name, edges)| (name, edges.to_vec())).into();
    assert_eq!(found, expected);
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let licence = text(package, "license").replace('/', " OR ");
        let permissive = |one: &str| LICENCES.contains(&one.trim().trim_matches(['(', ')']));
        // (A OR B) AND C: one of each alternative is enough, every conjunct is needed.
        let accepted = licence.split(" AND ").all(|all| all.split(" OR ").any(permissive));
        assert!(accepted, "{} has licence {licence:?}", text(package, "name"));
    }
}

#[test]
fn unsafe_code_stays_in_host_sys() {
    for root_file in [
        "manifest-spec/src/lib.rs",
        "loadbalancer/src/lib.rs",
        "agent/src/lib.rs",
        "agent/src/bin/hostctl/main.rs",
        "tests/main.rs",
        "vm-tests/src/lib.rs",
    ] {
        let source = std::fs::read_to_string(root().join(root_file)).unwrap();
        assert!(source.contains("#![forbid(unsafe_code)]"), "{root_file}");
    }
}

#[test]
fn no_file_is_longer_than_a_room() {
    let files = sources(&root());
    assert!(files.len() > 50, "only {} source files found", files.len());
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines: two rooms", file.display());
    }
}

/// Every Rust file below a directory, build output left out.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}
