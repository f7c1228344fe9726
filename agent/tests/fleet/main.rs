//! What hostd decides for its apps, in a world without processes: `rollouts/*.txt` tell it step by
//! step, and a random driver looks for what they leave out. Instances are the real ones of
//! `agent::supervise::instance`; every decision is checked before it is carried out.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test that can't go on should stop there
#![allow(clippy::disallowed_methods)] // the environment says whether goldens are rewritten

mod check;
mod model;
mod script;
mod totality;
mod world;
