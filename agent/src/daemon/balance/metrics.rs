//! The balancer in numbers, as Prometheus reads them (its text format, version 0.0.4).
//!
//! Invariant: names are only added; what is not known is left out, never shown as zero.

use std::fmt::Write;

use loadbalancer::registry::State;

use crate::balance::conntrack::Fill;
use crate::daemon::lb::protocol;
use crate::daemon::world::World;

/// What is told of each backend.
const FAMILIES: [(&str, &str); 3] = [
    ("hostctl_lb_backend_connections", "Connections that clients have with a backend."),
    ("hostctl_lb_backend_serving", "Whether new connections go to a backend."),
    ("hostctl_lb_backend_weight", "What a backend counts for beside the others."),
];

impl World {
    /// Every number.
    pub(in crate::daemon) fn metrics(&mut self) -> String {
        self.count_anew();
        let mut text = String::new();
        for (family, help) in FAMILIES {
            head(&mut text, family, help);
            for (name, service) in self.balance.services() {
                let transport = service.listens().first().map(|listen| listen.transport);
                for (id, backend) in service.backends() {
                    let value = match family {
                        "hostctl_lb_backend_connections" => self.balance.count_of(service, backend),
                        "hostctl_lb_backend_serving" => {
                            Some(u64::from(backend.state() == State::Serving))
                        }
                        _ => Some(backend.given().weight.get().into()),
                    };
                    let Some(value) = value else { continue };
                    let version = backend.given().version.as_deref().unwrap_or_default();
                    let protocol = transport.map_or("", protocol);
                    let _ = writeln!(
                        text,
                        "{family}{{service=\"{name}\",backend=\"{id}\",\
                         version=\"{version}\",protocol=\"{protocol}\"}} {value}"
                    );
                }
            }
        }
        if let Some(fill) = Fill::probe() {
            head(&mut text, "hostctl_conntrack_entries", "Connections that the kernel tracks.");
            let _ = writeln!(text, "hostctl_conntrack_entries {}", fill.count);
            head(&mut text, "hostctl_conntrack_limit", "As many as it can track.");
            let _ = writeln!(text, "hostctl_conntrack_limit {}", fill.max);
        }
        text
    }
}

fn head(text: &mut String, family: &str, help: &str) {
    let _ = writeln!(text, "# HELP {family} {help}\n# TYPE {family} gauge");
}
