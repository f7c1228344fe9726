//! Names of apps and of what is inside them.
//!
//! Invariant: a name is a DNS label (RFC 1123) in lower case that starts with a letter, so it can
//! be part of a host name, a path and, in upper case, a variable. The one exception is the port
//! offset's `+N` behind an app's name, which only [`AppName::with_offset`] writes.

use std::fmt;

/// Length of a DNS label (RFC 1035, section 2.3.4).
const LABEL_BYTES: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// No character at all.
    Empty,
    /// More than 63 bytes.
    TooLong,
    /// The first character is not a letter.
    Start(char),
    /// An upper-case letter.
    UpperCase,
    /// A character that no name has.
    Character(char),
    /// A hyphen at the end or beside another.
    Hyphen,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name cannot be empty"),
            Self::TooLong => write!(f, "a name has at most {LABEL_BYTES} bytes"),
            Self::Start(found) => {
                write!(f, "a name starts with a lower-case letter, not {found:?}")
            }
            Self::UpperCase => f.write_str("a name is lower case"),
            Self::Character(found) => {
                write!(f, "a name has lower-case letters, digits and hyphens, not {found:?}")
            }
            Self::Hyphen => f.write_str("a hyphen stands alone between two letters or digits"),
        }
    }
}

impl std::error::Error for NameError {}

fn check(text: &str, underscore: bool) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > LABEL_BYTES {
        return Err(NameError::TooLong);
    }
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(NameError::UpperCase);
    }
    if !first.is_ascii_lowercase() {
        return Err(NameError::Start(first));
    }
    let permitted = |c: &char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-' || underscore && *c == '_'
    };
    if let Some(found) = text.chars().find(|c| !permitted(c)) {
        return Err(NameError::Character(found));
    }
    if text.ends_with('-') || text.contains("--") {
        return Err(NameError::Hyphen);
    }
    Ok(())
}

/// The nearest valid name to a text that is none, for a hint.
pub(crate) fn corrected(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars().take(LABEL_BYTES) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() => name.push(c),
            c if c.is_ascii_digit() && !name.is_empty() => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, underscore: $underscore:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Checks a text against the rule of the module.
            ///
            /// # Errors
            /// The first part of the rule it breaks.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text, $underscore).map(|()| Self(text.to_owned()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of an app, unique on a host.
    AppName, underscore: false
);
name!(
    /// The name of a service within its app.
    ServiceName, underscore: false
);
name!(
    /// The name of a hook within its app.
    HookName, underscore: false
);
name!(
    /// The name of a balancing policy: a built-in one or one of `[policies]`.
    PolicyName, underscore: false
);
name!(
    /// The name of a further port within its service; it may also hold `_`.
    PortName, underscore: true
);
name!(
    /// The name of a `[profile.NAME]` section.
    ProfileName, underscore: false
);

impl AppName {
    /// The name of a copy whose ports are moved: `hello` with 3 is `hello+3`, with 0 `hello`.
    #[must_use]
    pub fn with_offset(&self, offset: u16) -> Self {
        match offset {
            0 => Self(self.base().to_owned()),
            n => Self(format!("{}+{n}", self.base())),
        }
    }

    /// The name without a port offset's suffix.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.split('+').next().unwrap_or_default()
    }
}

impl PortName {
    /// The variable that holds the port's number: `PORT_METRICS` for `metrics`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("PORT_{}", variable_part(&self.0))
    }
}

impl ServiceName {
    /// The variable prefix of a service another one needs: `DB` for `db`, as in `DB_URL`.
    #[must_use]
    pub fn variable_prefix(&self) -> String {
        variable_part(&self.0)
    }
}

fn variable_part(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

impl PolicyName {
    /// The policies every host has.
    pub const BUILT_IN: [&'static str; 7] =
        ["round-robin", "weighted", "random", "source-hash", "least-connections", "p2c", "canary"];

    /// Whether the name is one of [`PolicyName::BUILT_IN`].
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        Self::BUILT_IN.contains(&self.as_str())
    }
}
