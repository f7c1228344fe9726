//! The name of the app: the one typed, or the directory's made valid.
//!
//! Invariant: what comes out is valid by [`manifest_spec::names`].

use std::path::Path;

use manifest_spec::names::AppName;

use agent::failure::Error;

/// The name typed by hand, which is never changed.
pub(super) fn given(name: &str) -> Result<String, Error> {
    AppName::new(name).map(|name| name.to_string()).map_err(|error| {
        let hint = format!("try --name {}", valid(name));
        Error::Usage(format!("--name {name}: {error}"), hint)
    })
}

/// The name of a directory, made valid.
pub(super) fn of_directory(path: &Path) -> String {
    valid(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// The nearest valid name: lower case, a hyphen for each run of anything else, a letter first.
pub(super) fn valid(text: &str) -> String {
    /// A DNS label's 63 bytes, less the `app-` in front of a digit.
    const MOST: usize = 59;
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(MOST);
    let name = name.trim_end_matches('-');
    match name.chars().next() {
        None => "app".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("app-{name}"),
        Some(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_directory_gives_a_valid_name() {
        for (directory, name) in [
            ("/srv/shop", "shop"),
            ("/srv/My Shop_2", "my-shop-2"),
            ("/srv/2048", "app-2048"),
            ("/srv/--x--", "x"),
            ("/srv/日本", "app"),
            ("/", "app"),
        ] {
            assert_eq!(of_directory(Path::new(directory)), name);
        }
        let long = of_directory(Path::new(&format!("/{}", "1-".repeat(99))));
        assert!(AppName::new(&long).is_ok(), "{long}");
    }
}
