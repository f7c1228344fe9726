//! What a command is about, as people type it: `shop`, `shop.web`, `shop.web.1`.
//!
//! Invariant: pure; whether there is such an app is hostd's to say.

use std::fmt;
use std::str::FromStr;

/// An app, one of its services, or one instance of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The app, `hello+3` with a port offset.
    pub app: String,
    /// The service, if one is named.
    pub service: Option<String>,
    /// The instance's number, if one is named.
    pub instance: Option<u32>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let app = part(parts.next())?;
        let service = parts.next().map(|name| part(Some(name))).transpose()?;
        let instance = parts.next().map(number).transpose()?;
        if parts.next().is_some() {
            return Err("expected APP, APP.SERVICE or APP.SERVICE.NUMBER".to_owned());
        }
        if service.as_deref().is_some_and(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
            return Err("an instance is named with its service, as in shop.web.1".to_owned());
        }
        Ok(Target { app, service, instance })
    }
}

fn part(text: Option<&str>) -> Result<String, String> {
    let text = text.unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+');
    match text.is_empty() || !text.chars().all(is_name) {
        true => Err("expected names of letters, digits and hyphens, as in shop.web".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn number(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!("an instance has a number from 1, not {text:?}")),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.app)?;
        if let Some(service) = &self.service {
            write!(f, ".{service}")?;
        }
        match self.instance {
            Some(number) => write!(f, ".{number}"),
            None => Ok(()),
        }
    }
}

/// A service, or all of an app; no single instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part(pub Target);

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target: Target = text.parse()?;
        match target.instance {
            None => Ok(Part(target)),
            Some(_) => Err("this is done to an app or a service, not to one instance".to_owned()),
        }
    }
}

/// How many instances of a service: `shop.web=3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// The app.
    pub app: String,
    /// The service, if one is named.
    pub service: Option<String>,
    /// Instances.
    pub count: u32,
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected APP.SERVICE=N, as in shop.web=3".to_owned();
        let (target, count) = text.split_once('=').ok_or_else(expected)?;
        let Part(Target { app, service, .. }) = target.parse()?;
        let count = count.parse().map_err(|_| expected())?;
        Ok(Scale { app, service, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_is_meant() {
        for text in ["shop", "hello+3", "shop.web", "shop.web.12", "hello+3.hello.1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in
            ["", ".", "shop.", "shop.1", "shop.web.0", "shop.web.x", "a.b.1.c", "a/b", "a b"]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert!("shop.web.1".parse::<Part>().is_err());
    }

    #[test]
    fn a_scale_names_a_number() {
        let scale: Scale = "shop.web=3".parse().unwrap();
        assert_eq!(
            (scale.app.as_str(), scale.service.as_deref(), scale.count),
            ("shop", Some("web"), 3)
        );
        for text in ["shop.web", "shop.web=", "shop.web=-1", "shop.web.1=2", "=2"] {
            assert!(text.parse::<Scale>().is_err(), "{text}");
        }
    }
}
