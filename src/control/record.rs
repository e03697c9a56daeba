//! What a running stack says of itself to those who look for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who runs what, since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// Of the stack.
    pub name: String,
    /// Of its main file; canonical.
    pub folder: PathBuf,
    /// The main file; canonical.
    pub file: PathBuf,
    pub pid: u32,
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// Of pk.
    pub version: String,
    /// Over TCP, if it was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// To clients of process-compose, if it was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiListen>,
}

/// Where a stack answers as process-compose would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApiListen {
    pub at: ApiPlace,
    /// Whether each request must show one.
    pub token: bool,
}

/// An address of TCP, or the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiPlace {
    Tcp(#[schemars(with = "String")] SocketAddr),
    Socket(PathBuf),
}

impl std::fmt::Display for ApiPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Socket(path) => write!(f, "the socket {}", path.display()),
        }
    }
}

/// Where a stack is reached over TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Listen {
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Holds what each request must show.
    pub token_file: PathBuf,
    pub read_only: bool,
}

/// Bytes that a key has at most.
pub(super) const LONGEST_KEY: usize = 16 + 1 + 16;

impl Record {
    /// Of the stack `name` from `file`, run by this process from now on.
    #[must_use]
    pub fn new(name: &str, file: &Path) -> Self {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        Self {
            name: name.to_owned(),
            folder: file.parent().unwrap_or(Path::new("/")).to_owned(),
            file,
            pid: std::process::id(),
            started: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: None,
            api: None,
        }
    }

    /// The start of the names of its files: the same for the same stack in the same folder,
    /// whatever version of pk asks.
    pub(super) fn key(&self) -> String {
        // FNV-1a: small, and written down, so that it stays the same.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let path = self.folder.as_os_str().as_encoded_bytes();
        for byte in self.name.bytes().chain([0]).chain(path.iter().copied()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Socket addresses are short, so is the part that is for people.
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name: String = self.name.chars().filter(plain).take(16).collect();
        format!("{name}-{hash:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_stacks_and_folders_apart() {
        let key = |name: &str, file: &str| Record::new(name, Path::new(file)).key();
        let shop = key("shop", "/nowhere/a/pk.yaml");
        assert_eq!(shop, key("shop", "/nowhere/a/other.yaml"));
        assert_ne!(shop, key("shop", "/nowhere/b/pk.yaml"));
        assert_ne!(shop, key("shop2", "/nowhere/a/pk.yaml"));
        assert!(shop.starts_with("shop-"), "{shop}");
        assert!(key("ü / x", "/nowhere/pk.yaml").is_ascii());
    }
}
