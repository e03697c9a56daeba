//! One stack, many faces.
//!
//! This floor owns how a face reaches a running stack. Every face, in the same process or
//! not, sees a stack through [`ControlPort`] alone; it must not reach the supervisor in
//! another way.
//!
//! ```text
//!  face ─► ControlPort ─┬─► LocalPort ──────────────────────────────► supervisor
//!                       ├─► RemotePort ─► socket ─► server ─► LocalPort ─┤
//!                       └─► FeedPort ──► one stream ─► server ─► LocalPort ─┘
//!  TCP, if asked for ─► gate ─► the same server
//!  clients of process-compose, if asked for ─► compat ─► LocalPort
//!  session: lock, record, socket in the runtime folder; how the socket is found
//! ```
//!
//! No client is waited for: each pulls, at its own pace, from the latest snapshot, the kept
//! changes and the log, and one that falls behind is told what it missed. The lock of a
//! session is the one truth of whether a stack runs; files that a dead one left mean nothing.

mod changes;
mod compat;
mod diagnostics;
mod feed;
mod feed_port;
mod gate;
mod history;
mod live;
mod local;
mod log_pages;
mod open_watch;
mod openapi;
mod port;
pub mod protocol;
mod record;
mod reload;
mod remote;
mod remote_live;
mod routes;
mod runtime_folder;
mod server;
mod session;
mod streams;
mod tcp;
mod terminal;
pub mod wire;

pub use changes::Changes;
pub use compat::{
    ApiDoor, ApiError, ApiServing, Clock, ProcessState, Sources, USUAL_PORT, has_run,
    process_state, serve as serve_api,
};
pub use feed_port::{FeedPort, LineWay};
pub use local::LocalPort;
pub use openapi::openapi;
pub use port::{
    Answered, Backend, ControlPort, Ignored, PathStatus, PortError, Reply, TerminalReply,
    UnitWatch, Why, WhyUnit,
};
pub use record::{ApiListen, ApiPlace, Listen, Record};
pub use reload::{BadFiles, Read, Reload, ReloadAsk, ReloadError, ReloadReply, Reloaded};
pub use remote::{RemotePort, follow_open};
pub use runtime_folder::{FolderError, RuntimeFolder};
pub use server::{Serving, serve, serve_faces};
pub use session::{Found, Session, SessionError, meant, running};
pub use tcp::{Door, TcpError};
pub use terminal::{Emulator, Input, TerminalError, TerminalEvent, TerminalWatch};
