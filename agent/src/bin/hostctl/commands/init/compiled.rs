//! Programs that are built before they run: Cargo packages, Go modules, a lone executable.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::detect::{Found, word};
use super::folder::Folder;

/// Crates whose users listen.
const RUST_SERVERS: [&str; 9] =
    ["actix-web", "axum", "hyper", "poem", "rocket", "salvo", "tide", "tiny_http", "warp"];

pub(super) fn cargo(folder: &Folder) -> Option<Found> {
    let manifest = folder.text("Cargo.toml")?;
    let manifest = DeTable::parse(&manifest).ok()?.into_inner();
    let package = manifest.get("package")?.get_ref();
    let text = |value: Option<&Spanned<DeValue<'_>>>| Some(value?.get_ref().as_str()?.to_owned());
    let binaries = manifest.get("bin").and_then(|all| all.get_ref().as_array());
    let first = || text(binaries?.first()?.get_ref().get("name"));
    let plain = || text(package.get("name")).filter(|_| folder.has_file("src/main.rs"));
    // A library is no program.
    let binary = text(package.get("default-run")).or_else(first).or_else(plain)?;
    let needs = manifest.get("dependencies").map(Spanned::get_ref);
    let listens = RUST_SERVERS.iter().any(|name| needs.is_some_and(|n| n.get(*name).is_some()))
        || folder.text("src/main.rs").is_some_and(|text| text.contains("TcpListener"));
    let program = format!("target/release/{binary}");
    let built = folder.has_program(&program);
    let found = Found::single("Cargo.toml", word(&program)).on_port_if(listens);
    Some(if built { found } else { found.note("build it first: cargo build --release") })
}

pub(super) fn go(folder: &Folder) -> Option<Found> {
    let module = folder.text("go.mod")?;
    let path = module.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim();
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
    let name = path.rsplit('/').find(|part| !is_version(part))?;
    let mains: Vec<String> = folder
        .entries()
        .filter(|file| file.ends_with(".go"))
        .filter_map(|file| folder.text(file))
        .filter(|text| text.lines().any(|line| line.trim() == "package main"))
        .collect();
    if mains.is_empty() {
        return None;
    }
    let listens =
        mains.iter().any(|text| ["net/http", "net.Listen"].iter().any(|s| text.contains(s)));
    let program = format!("./{name}");
    let built = folder.has_program(name);
    let found = Found::single("go.mod", word(&program)).on_port_if(listens);
    Some(if built { found } else { found.note(format!("build it first: go build -o {name}")) })
}

/// The only executable in the directory.
pub(super) fn executable(folder: &Folder) -> Option<Found> {
    let mut programs = folder.entries().filter(|name| folder.has_program(name));
    let (Some(name), None) = (programs.next(), programs.next()) else { return None };
    Some(Found::single(name, word(&format!("./{name}"))).on_port_if(false))
}
