//! The one mutator: changes, and why they are refused.

use std::collections::BTreeMap;
use std::fmt;

use super::{
    Affinity, At, Backend, BackendId, Event, Listen, Name, NewBackend, Service, State, Target,
    Unserved, Verdict, Weight,
};
use crate::policy::Policy;

/// Everything that can happen to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A name and its ports get a holder.
    Register {
        /// The name.
        name: Name,
        /// Who asks, in words for whoever asks next.
        holder: String,
        /// Where clients find it.
        listens: Vec<Listen>,
        /// How a backend is chosen.
        policy: Policy,
        /// For how long clients stay with their backends.
        affinity: Option<Affinity>,
        /// What clients meet when nobody serves.
        unserved: Unserved,
    },
    /// The name and its ports are free again; its backends go with it.
    Release(Name),
    /// From now on choose so.
    Choose(Name, Policy),
    /// There is another backend.
    Add(Name, BackendId, NewBackend),
    /// A backend counts for so much.
    Weigh(Name, BackendId, Weight),
    /// Something happened to a backend.
    Report(Name, BackendId, Event),
    /// Backends were seen to have so many connections; those that are not there any more are left
    /// out.
    Measure(Name, Vec<(BackendId, u64)>),
}

/// Why a change was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else has the name.
    NameHeld {
        /// The name.
        name: Name,
        /// Who has it.
        holder: String,
    },
    /// Another service is reached there.
    PortHeld {
        /// Where.
        listen: Listen,
        /// The other service.
        by: Name,
        /// Who has it.
        holder: String,
    },
    /// A service that clients find nowhere, or twice at one place.
    Listens(Name),
    /// An address that is none of one host's.
    Address(Listen),
    /// No service of this name.
    NoService(Name),
    /// No backend of this name.
    NoBackend(Name, BackendId),
    /// There is a backend of this name.
    BackendHeld(Name, BackendId),
    /// Another backend of the service has this address and port.
    TargetHeld(Target, BackendId),
    /// The backend stands so that this can't be asked of it.
    NotNow(BackendId, State, Event),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NameHeld { name, holder } => write!(f, "{name} is held by {holder}"),
            Refused::PortHeld { listen, by, holder } => {
                write!(f, "{listen} is {by}'s, held by {holder}")
            }
            Refused::Listens(name) => write!(f, "{name} must be found at one place or more, once"),
            Refused::Address(listen) => write!(f, "nobody can be found at {listen}"),
            Refused::NoService(name) => write!(f, "no service {name}"),
            Refused::NoBackend(name, id) => write!(f, "no backend {id} of {name}"),
            Refused::BackendHeld(name, id) => write!(f, "{name} has a backend {id}"),
            Refused::TargetHeld(target, id) => write!(f, "{} is backend {id}", target.get()),
            Refused::NotNow(id, state, event) => {
                write!(f, "backend {id} is {state:?}: no {event:?}")
            }
        }
    }
}

impl std::error::Error for Refused {}

type Services = BTreeMap<Name, Service>;

pub(super) fn apply(services: &mut Services, change: Change) -> Result<Name, Refused> {
    match change {
        Change::Register { name, holder, listens, policy, affinity, unserved } => {
            admit(services, &name, &listens)?;
            let backends = BTreeMap::new();
            let service = Service { holder, listens, policy, affinity, unserved, backends };
            services.insert(name.clone(), service);
            Ok(name)
        }
        Change::Release(name) => match services.remove(&name) {
            Some(_) => Ok(name),
            None => Err(Refused::NoService(name)),
        },
        Change::Choose(name, policy) => {
            service(services, &name)?.policy = policy;
            Ok(name)
        }
        Change::Add(name, id, given) => {
            add(service(services, &name)?, &name, id, given)?;
            Ok(name)
        }
        Change::Weigh(name, id, weight) => {
            backend(services, &name, &id)?.given.weight = weight;
            Ok(name)
        }
        Change::Report(name, id, event) => {
            let found = backend(services, &name, &id)?;
            match found.state.after(event) {
                Verdict::Refused => return Err(Refused::NotNow(id, found.state, event)),
                Verdict::Now(State::Retired) => _ = service(services, &name)?.backends.remove(&id),
                Verdict::Now(state) => found.state = state,
            }
            Ok(name)
        }
        Change::Measure(name, counts) => {
            let service = service(services, &name)?;
            for (id, connections) in counts {
                if let Some(backend) = service.backends.get_mut(&id) {
                    backend.connections = connections;
                }
            }
            Ok(name)
        }
    }
}

/// Whether a name and where it is to be found are free.
fn admit(services: &Services, name: &Name, listens: &[Listen]) -> Result<(), Refused> {
    if let Some(service) = services.get(name) {
        return Err(Refused::NameHeld { name: name.clone(), holder: service.holder.clone() });
    }
    let twice = |index: usize| listens[..index].iter().any(|one| one.overlaps(&listens[index]));
    if listens.is_empty() || (0..listens.len()).any(twice) {
        return Err(Refused::Listens(name.clone()));
    }
    let nobody = |listen: &&Listen| match listen.at {
        At::Any => false,
        At::Address(address) => address.is_unspecified() || address.is_multicast(),
    };
    if let Some(listen) = listens.iter().find(nobody) {
        return Err(Refused::Address(*listen));
    }
    for (by, service) in services {
        let held = |listen: &&Listen| service.listens.iter().any(|one| one.overlaps(listen));
        if let Some(listen) = listens.iter().find(held) {
            let (by, holder) = (by.clone(), service.holder.clone());
            return Err(Refused::PortHeld { listen: *listen, by, holder });
        }
    }
    Ok(())
}

fn add(
    service: &mut Service,
    name: &Name,
    id: BackendId,
    given: NewBackend,
) -> Result<(), Refused> {
    if service.backends.contains_key(&id) {
        return Err(Refused::BackendHeld(name.clone(), id));
    }
    // Two backends at one place would be one to the kernel and to who counts connections. One that
    // drains may be followed at its place.
    let same = |(_, other): &(&BackendId, &Backend)| {
        other.given.target == given.target && other.state != State::Draining
    };
    if let Some((other, _)) = service.backends().find(same) {
        return Err(Refused::TargetHeld(given.target, other.clone()));
    }
    let backend = Backend { given, state: State::Registered, connections: 0 };
    service.backends.insert(id, backend);
    Ok(())
}

fn service<'a>(services: &'a mut Services, name: &Name) -> Result<&'a mut Service, Refused> {
    services.get_mut(name).ok_or_else(|| Refused::NoService(name.clone()))
}

fn backend<'a>(
    services: &'a mut Services,
    name: &Name,
    id: &BackendId,
) -> Result<&'a mut Backend, Refused> {
    let service = service(services, name)?;
    let missing = || Refused::NoBackend(name.clone(), id.clone());
    service.backends.get_mut(id).ok_or_else(missing)
}
