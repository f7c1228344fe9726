//! What services and backends are called.

use std::fmt;

use manifest_spec::names::{self, PortName, ServiceName};

/// The name of a service: `api`, or `api.web` where the app has several; `api.web.metrics` is a
/// further port of it, and `api+3.web` the service of a copy of the app with a port offset. In DNS,
/// `.internal` follows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// What a backend is called within its service: `api.web.1`, or its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(String);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Not one to three labels.
    Labels,
    /// A label that is no name.
    Label(names::NameError),
    /// A backend's name that is empty, longer than 255 bytes, or has a character that is not
    /// printable ASCII.
    Backend,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Labels => {
                f.write_str("a service's name is APP, APP.SERVICE or APP.SERVICE.PORT")
            }
            NameError::Label(error) => error.fmt(f),
            NameError::Backend => {
                f.write_str("a backend's name has 1 to 255 printable characters of ASCII")
            }
        }
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// Check a text.
    ///
    /// # Errors
    /// What keeps it from being a name.
    pub fn new(text: &str) -> Result<Name, NameError> {
        let mut labels: Vec<_> = text.split('.').collect();
        if labels.len() > 3 {
            return Err(NameError::Labels);
        }
        if let Some((app, offset)) = labels[0].split_once('+')
            && offset.parse::<u16>().is_ok_and(|number| number.to_string() == offset)
        {
            labels[0] = app;
        }
        if let Some(port) = labels.get(2) {
            PortName::new(port).map_err(NameError::Label)?;
        }
        for label in labels.iter().take(2) {
            ServiceName::new(label).map_err(NameError::Label)?;
        }
        Ok(Name(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BackendId {
    /// Check a text.
    ///
    /// # Errors
    /// What keeps it from being a name.
    pub fn new(text: &str) -> Result<BackendId, NameError> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > 255 || !printable {
            return Err(NameError::Backend);
        }
        Ok(BackendId(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
