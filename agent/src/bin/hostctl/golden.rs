//! Pages held against files beside their code; `UPDATE_GOLDENS=1` rewrites them.

use std::path::Path;

/// The page is what the file says.
#[track_caller]
#[allow(clippy::disallowed_methods)] // a test's own switch
pub fn check(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/hostctl/commands").join(file);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, expected, "\n{page}");
}
