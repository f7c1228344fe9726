//! What a registry makes of the table: pairs of files, and the kernel's word for it.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use loadbalancer::nft::{Batch, Owner};
use loadbalancer::ruleset::{Ruleset, diff, table};
use support::kernel::{alone, commit, netfilter, nft, ruleset};
use support::{Case, registry};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rulesets");

fn golden(path: &Path, found: &str) {
    if std::env::vars().any(|(key, _)| key == "UPDATE_GOLDENS") {
        std::fs::write(path, found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "{} differs:\n{found}", path.display());
}

fn cases() -> Vec<(PathBuf, Case)> {
    let files = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    let read = |path: PathBuf| {
        let case = toml::from_str(&std::fs::read_to_string(&path).unwrap());
        let case = case.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, case)
    };
    let cases: Vec<_> = files.into_iter().map(read).collect();
    assert!(cases.len() > 8, "only {} cases", cases.len());
    cases
}

#[test]
fn the_shape() {
    golden(&Path::new(FOLDER).join("shape.nft"), &table(Owner::Nobody).to_string());
}

#[test]
fn registries() {
    for (path, case) in cases() {
        let first = Ruleset::of(&registry(&case));
        let mut text = diff(&Ruleset::default(), &first).to_string();
        if let Some(then) = &case.then {
            let change = diff(&first, &Ruleset::of(&registry(then)));
            text.push_str("\n# then\n");
            text.push_str(&change.to_string());
        }
        golden(&path.with_extension("nft"), &text);
    }
}

#[test]
fn the_kernel_makes_the_same_of_text_and_messages_and_of_its_own_listing() {
    for (path, case) in cases() {
        let first = Ruleset::of(&registry(&case));
        let then = case.then.as_ref().map(|then| Ruleset::of(&registry(then)));
        let load = diff(&Ruleset::default(), &first);
        let change = diff(&first, then.as_ref().unwrap_or(&first));
        let from_messages = alone(|| {
            let socket = netfilter();
            commit(&socket, &Batch::default().create(&table(Owner::Nobody)));
            commit(&socket, &load.batch());
            if !change.is_empty() {
                commit(&socket, &change.batch());
            }
            ruleset()
        });
        let from_text = alone(|| {
            nft(&["-f", "-"], &table(Owner::Nobody).to_string());
            nft(&["-f", "-"], &load.to_string());
            nft(&["-f", "-"], &change.to_string());
            ruleset()
        });
        assert!(from_messages == from_text, "{}:\n{from_messages}\n{from_text}", path.display());
        let from_listing = alone(|| {
            nft(&["-f", "-"], &from_messages);
            ruleset()
        });
        assert!(from_messages == from_listing, "{}:\n{from_listing}", path.display());
    }
}
