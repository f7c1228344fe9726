//! Black-box tests over the built `hostctl`, one file a promise.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start programs and read variables

mod support;

mod activation;
mod bare_root;
mod descriptors;
mod destinations;
mod documentation;
mod ephemeral_ports;
mod examples;
mod exit_codes;
mod failures;
mod flags;
mod granted_links;
mod handed_sockets;
mod hidden_files;
mod hostd_api;
mod hostd_commands;
mod hostd_kills;
mod hostd_pauses;
mod hostd_peers;
mod hostd_rollouts;
mod hostd_sessions;
mod hostd_supervision;
mod hostd_survival;
mod hostile_input;
mod kernel_calls;
mod lasting_privilege;
mod leases;
mod limits;
mod locks;
mod logs;
mod managed_data;
mod moved_ports;
mod names;
mod nothing_left;
mod overrides;
mod own_address;
mod own_address_reach;
mod own_directories;
mod own_interfaces;
mod own_network;
mod own_ports;
mod own_terminal;
mod passed_sockets;
mod private_network;
mod private_ports;
mod private_traces;
mod privileges;
mod processes;
mod program_sinks;
mod program_view;
mod read_grants;
mod rootless;
mod servers;
mod services_together;
mod side_by_side;
mod stopping;
mod strange_sockets;
mod streams;
mod terminal;
mod user_ids;
mod workspace;
