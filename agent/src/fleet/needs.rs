//! Which service needs which: an order without circles.
//!
//! Invariant: total. A manifest with a circle is refused, but two versions of which instances run
//! side by side can make one; it is cut at the service whose name comes first, so that there is
//! always somebody to begin with and always somebody to end with.

use std::collections::{BTreeMap, BTreeSet};

use super::{Service, Version};

/// Services in order: each after what it needs.
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    order: Vec<&'a str>,
    /// What of its needs stands before a service.
    edges: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Needs<'a> {
    /// The order of services, each with a version it is of: all of one version, or those of which
    /// instances run side by side.
    pub(super) fn of(services: impl IntoIterator<Item = (&'a Version, &'a Service)>) -> Self {
        let mut left: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (version, service) in services {
            // Nobody can start what the version does not know.
            let needs = service.needs.iter().map(String::as_str);
            let known = needs.filter(|need| version.service(need).is_some());
            left.entry(&service.name).or_default().extend(known);
        }
        let there: BTreeSet<&str> = left.keys().copied().collect();
        left.values_mut().for_each(|needs| needs.retain(|need| there.contains(need)));

        let mut needs = Self::default();
        let mut placed = BTreeSet::new();
        while let Some(first) = left.keys().next().copied() {
            let ready = |needs: &BTreeSet<&str>| needs.is_subset(&placed);
            let next = left.iter().find(|(_, needs)| ready(needs)).map_or(first, |(name, _)| name);
            let mut before = left.remove(next).unwrap_or_default();
            before.retain(|need| placed.contains(need));
            placed.insert(next);
            needs.order.push(next);
            needs.edges.insert(next, before);
        }
        needs
    }

    /// The services, each after what it needs.
    pub(super) fn order(&self) -> &[&'a str] {
        &self.order
    }

    /// What a service needs itself.
    pub(super) fn of_service(&self, service: &str) -> impl Iterator<Item = &'a str> {
        self.edges.get(service).into_iter().flatten().copied()
    }

    /// Who needs a service, itself or by way of others.
    pub(super) fn dependents(&self, service: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::from([service]);
        // In this order whoever needs somebody found comes after it.
        for name in &self.order {
            if self.of_service(name).any(|need| found.contains(need)) {
                found.insert(name);
            }
        }
        found.remove(service);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::Takeover;
    use super::*;

    fn version(services: &[(&str, &[&str])]) -> Version {
        let service = |(name, needs): &(&str, &[&str])| Service {
            name: (*name).to_owned(),
            count: 1,
            needs: needs.iter().map(ToString::to_string).collect(),
            takeover: Takeover::Beside,
            fingerprint: String::new(),
        };
        Version { services: services.iter().map(service).collect() }
    }

    fn all<'a>(versions: &[&'a Version]) -> Needs<'a> {
        let services = |version: &&'a Version| {
            let version = *version;
            version.services.iter().map(move |service| (version, service))
        };
        Needs::of(versions.iter().flat_map(services))
    }

    #[test]
    fn each_comes_after_what_it_needs() {
        let version =
            version(&[("admin", &["web"]), ("web", &["cache", "db"]), ("db", &[]), ("cache", &[])]);
        let needs = all(&[&version]);
        assert_eq!(needs.order(), ["cache", "db", "web", "admin"]);
        assert_eq!(needs.dependents("db"), ["admin", "web"].into());
        assert_eq!(needs.dependents("admin"), [].into());
    }

    #[test]
    fn a_circle_is_cut_and_a_stranger_is_not_waited_for() {
        let first = version(&[("a", &["b"]), ("b", &[]), ("c", &[])]);
        let second = version(&[("a", &[]), ("b", &["a", "c", "nobody"])]);
        let needs = all(&[&first, &second]);
        assert_eq!(needs.order(), ["c", "a", "b"]);
        assert_eq!(needs.of_service("b").collect::<Vec<_>>(), ["a"]);
        assert_eq!(needs.dependents("b"), [].into());
        let alone = version(&[("a", &["a"])]);
        assert_eq!(all(&[&alone]).of_service("a").count(), 0);
    }
}
