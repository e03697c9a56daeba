//! The file as typed values, nothing resolved.
//!
//! Each type here mirrors one thing that a file can hold and is the one source of both its
//! reading and its JSON schema. The types must not know what the values mean to each other.

pub(super) mod command;
pub(super) mod file;
pub(super) mod policy;
pub(super) mod probe;
pub(super) mod scalar;
pub(super) mod unit;
pub(super) mod unlimited;
