//! Stands in for the audit log until it is merged.
use manifest_spec::api::AuditEntry;
#[derive(Debug)]
pub struct AuditError;
impl std::fmt::Display for AuditError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") } }
#[derive(Debug)]
pub struct Log;
#[derive(Debug, Clone)]
pub struct Actor { pub uid: u32, pub gid: u32, pub pid: i32, pub user: String }
impl Log {
    pub fn new(_: &crate::plan::Directories) -> Log { Log }
    pub fn append(&mut self, _: Actor, _: u64, _: &str, _: &str, _: &str) -> Result<(), AuditError> { Ok(()) }
    pub fn newest(&self, _: usize) -> Result<Vec<AuditEntry>, AuditError> { Ok(Vec::new()) }
}
