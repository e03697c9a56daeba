//! One stack, many faces.
//!
//! This floor owns how a face reaches a running stack. Every face, in the same process or
//! not, sees a stack through [`ControlPort`] alone; it must not reach the supervisor in
//! another way.

mod local;
mod port;

pub use local::LocalPort;
pub use port::{ControlPort, PortError};
