//! What units really listen on, as faces see it.

use serde::{Deserialize, Serialize};

use super::id::{InstanceId, UnitName};

/// Where the tree of one live run listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnitPorts {
    pub instance: InstanceId,
    /// The instance's name.
    pub name: UnitName,
    /// In order; empty: nowhere.
    pub listening: Vec<ListeningPort>,
}

/// One TCP socket that takes connections.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct ListeningPort {
    pub port: u16,
    /// `0.0.0.0` and `::` are all of the machine's.
    pub address: String,
}
