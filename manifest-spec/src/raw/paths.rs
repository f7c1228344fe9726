//! Paths as values of the document.
//!
//! Invariant: a path that was read has no `..`, is not the root and lies in none of the kernel's
//! own file systems, but for single device files. Looks at text only: whether a path exists or is
//! a symbolic link is found out where it is opened.

use crate::decode::{Fault, Text};
use crate::error::quoted;
use crate::shape::TextShape;

/// Parts of the file system that belong to the kernel.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What lies in `/dev` and is no device file of its own, or gives away the whole machine.
const NOT_A_DEVICE: [&str; 11] =
    ["fd", "hugepages", "kmem", "mapper", "mem", "mqueue", "port", "pts", "shm", "stdin", "stdout"];

/// A working directory.
#[derive(Debug, Clone)]
pub(crate) struct DirPath(pub(crate) String);

/// A path that may be read.
#[derive(Debug, Clone)]
pub(crate) struct ReadPath(pub(crate) String);

/// A path that may be written.
#[derive(Debug, Clone)]
pub(crate) struct WritePath {
    pub(crate) path: String,
    /// `data:` was in front of it.
    pub(crate) managed: bool,
}

/// The rules for the text of every path of a manifest.
pub(crate) fn check_form(path: &str) -> Result<(), Fault> {
    if path.is_empty() {
        return Err(
            Fault::because("a path cannot be empty").hint("write \".\" for the manifest's folder")
        );
    }
    if path.len() >= 4096 {
        return Err(Fault::because("a path has at most 4095 bytes"));
    }
    if path.contains(char::is_control) {
        return Err(Fault::because(format!("the path {} has a control character", quoted(path))));
    }
    if path == "~" || path.starts_with("~/") {
        return Err(Fault::because(format!("the path {} starts with ~", quoted(path)))
            .hint("write the whole path: ~ is a shell's"));
    }
    if path.contains('$') {
        return Err(Fault::because(format!("the path {} has a $", quoted(path)))
            .hint("write the whole path: variables are replaced in run and env only"));
    }
    if path.split('/').any(|component| component == "..") {
        return Err(Fault::because(format!("the path {} climbs with \"..\"", quoted(path)))
            .hint("write the absolute path, without \"..\""));
    }
    Ok(())
}

/// The rules for a path that is granted.
fn check_grant(path: &str) -> Result<(), Fault> {
    check_form(path)?;
    let plain = normal(path);
    if plain == "/" {
        return Err(Fault::because("the whole file system cannot be granted")
            .hint("name the directories the program uses"));
    }
    let Some(tree) = KERNEL.iter().find(|tree| is_below(&plain, tree)) else { return Ok(()) };
    let fault =
        Fault::because(format!("{} belongs to the kernel and cannot be granted", quoted(path)));
    let device = plain.strip_prefix("/dev/").and_then(|rest| rest.split('/').next());
    match device {
        Some(name) if !NOT_A_DEVICE.contains(&name) => Ok(()),
        _ if *tree == "/dev" => {
            Err(fault.hint("name a single device file: \"/dev/dri/renderD128\""))
        }
        _ if *tree == "/proc" => Err(fault.hint("every sandbox has a /proc of its own")),
        _ => Err(fault.hint("drop it: the kernel's settings stay outside the sandbox")),
    }
}

/// A path as two spellings of it are compared: no `.`, no doubled or trailing slash.
pub(crate) fn normal(path: &str) -> String {
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Whether a normal path is the tree's top or inside it.
fn is_below(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Text for DirPath {
    const SHAPE: TextShape = TextShape {
        expected: "a directory such as \"/srv/forum\"",
        pattern: Some("^[^\\u0000-\\u001f$]+$"),
        examples: &["/srv/forum", "app"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        check_form(text).map(|()| Self(text.to_owned()))
    }
}

impl Text for ReadPath {
    const SHAPE: TextShape = TextShape {
        expected: "a path such as \"/etc/ssl/certs\"",
        pattern: Some("^[^\\u0000-\\u001f$]+$"),
        examples: &[".", "/etc/ssl/certs"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("data:") {
            return Err(Fault::because("a data: directory is a write grant")
                .hint(format!("move it to write = [{}]", quoted(&format!("data:{path}")))));
        }
        check_grant(text).map(|()| Self(text.to_owned()))
    }
}

impl Text for WritePath {
    const SHAPE: TextShape = TextShape {
        expected: "a path such as \"data:/srv/shop\"",
        pattern: Some("^[^\\u0000-\\u001f$]+$"),
        examples: &["data:/srv/shop", "cache"],
    };

    fn read(text: &str) -> Result<Self, Fault> {
        let Some(path) = text.strip_prefix("data:") else {
            check_grant(text)?;
            return Ok(Self { path: text.to_owned(), managed: false });
        };
        check_grant(path)?;
        if !path.starts_with('/') {
            let name = normal(path);
            return Err(Fault::because(format!(
                "the data: directory {} is not absolute",
                quoted(path)
            ))
            .hint(format!("write {}", quoted(&format!("data:/srv/{name}")))));
        }
        if is_below(&normal(path), "/dev") {
            return Err(Fault::because("a data: directory cannot lie in /dev")
                .hint("write \"data:/srv/…\""));
        }
        Ok(Self { path: path.to_owned(), managed: true })
    }
}
