//! Promise: overrides apply in the order they are given, typed by the key, and every value knows
//! where it came from.
//!
//! A case starts with its layers, one a line: `# profile NAME`, `# drop-in TEXT` (`;` for a line
//! break), `# variable NAME=VALUE`, `# set KEY=VALUE`, `# unset KEY`, `# offset N`; `# show KEY`
//! prints the origin of a key.

use std::fmt::Write;

use crate::golden::Pairs;
use manifest_spec::{Diagnostics, Document, Layer, Manifest};

const CASES: Pairs = Pairs { folder: "layers", prefix: "", extension: "out" };

fn apply(text: &str) -> Result<(Document, Manifest), Diagnostics> {
    let mut document = Document::parse("app.toml", text)?;
    let mut offset = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
        let (kind, rest) = line.split_once(' ').expect("a layer has an argument");
        match kind {
            "profile" => document.apply(Layer::Profile(rest))?,
            "drop-in" => document.apply(Layer::DropIn {
                file: "/etc/hostctl/apps/app.toml",
                text: &rest.replace(';', "\n"),
            })?,
            "variable" => {
                let (name, value) = rest.split_once('=').expect("NAME=VALUE");
                document.apply(Layer::Variable { name, value })?;
            }
            "set" => document.apply(Layer::Set(rest))?,
            "unset" => document.apply(Layer::Unset(rest))?,
            "offset" => offset = rest.parse().expect("a number"),
            "show" => {}
            other => panic!("unknown layer {other}"),
        }
    }
    let manifest = document.manifest()?.offset(offset)?;
    Ok((document, manifest))
}

fn outcome(text: &str) -> String {
    let (document, manifest) = match apply(text) {
        Ok(applied) => applied,
        Err(wrong) => return format!("{wrong}\n"),
    };
    let mut out = String::new();
    for key in text.lines().filter_map(|line| line.strip_prefix("# show ")) {
        let origin = document.origin(key).map_or("nobody".to_owned(), ToString::to_string);
        let nearest = document.nearest_origin(key).map_or("nobody".to_owned(), ToString::to_string);
        writeln!(out, "{key}: {origin}; nearest {nearest}").expect("strings grow");
    }
    let json = serde_json::to_string_pretty(&manifest).expect("a manifest is JSON");
    writeln!(out, "{json}").expect("strings grow");
    out
}

#[test]
fn layers_apply_in_order() {
    CASES.check(|_, text| outcome(text));
}
