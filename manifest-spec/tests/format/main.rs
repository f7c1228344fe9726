//! The promises of the formats, one module each. Inputs and what must come of them are pairs of
//! files in the folders beside this one.

mod accept;
mod api;
mod checker;
mod golden;
mod layers;
mod log;
mod permissions;
mod properties;
mod schema;
mod strings;
mod ui;
mod wire;
