//! Programs in C that tests need beside the attackers.
//!
//! Invariant: each is compiled once, statically, and copied to where it is used.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Put the program `tests/programs/NAME.c` at this path, for everybody to execute.
pub fn put(name: &str, path: &Path) {
    static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    let program = built.entry(name.to_owned()).or_insert_with(|| build(name, path));
    std::fs::write(path, program).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn build(name: &str, target: &Path) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("programs/{name}.c"));
    let built = Command::new("cc")
        .args(["-static", "-O1", "-Wall", "-o"])
        .args([target, &source])
        .output()
        .expect("a C compiler (package gcc) is needed for the programs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(target).unwrap()
}
