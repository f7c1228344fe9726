//! Bytes to records.

pub mod line;
