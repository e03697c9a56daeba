//! `pk mcp`: a face for coding agents, by the Model Context Protocol over stdin and stdout.
//!
//! ```text
//!  agent ─► stdin ─► server (rmcp) ─► tools (what is asked) ─► look, lines, act ─► the stack
//! ```
//!
//! Each call finds the stack anew, as every other command does: the agent's session outlives
//! stacks. Whatever is answered is bounded, and says what was left out. It must not write
//! anything to stdout but answers, nor offer what changes something unless it was allowed to.

mod act;
mod answer;
mod lines;
mod look;
mod server;
mod tools;

use clap::Args;
use rmcp::ServiceExt as _;
use rmcp::service::{QuitReason, ServerInitializeError};

use super::reach;
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use server::Server;

/// Serve the stack of this folder to a coding agent, by MCP over stdin and stdout.
///
/// The agent starts it. It lists units, explains them, reads and searches logs, and waits,
/// for whichever stack of the folder runs at that moment.
#[derive(Clone, Copy, Debug, Args)]
pub struct Mcp {
    /// Let the agent start, stop and restart units, and run tasks.
    #[arg(long)]
    pub allow_control: bool,
}

pub fn mcp(place: &Place, args: Mcp, output: &Output) -> End {
    if output.terminal {
        output.note("an agent starts this, and speaks to it over pipes; Ctrl-C ends it");
    }
    let server = Server::new(place.clone(), args.allow_control);
    let work = async {
        let serving = match server.serve(rmcp::transport::stdio()).await {
            Ok(serving) => serving,
            // Nobody said anything.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(End::Fine),
            Err(error) => {
                output.error(&format!("cannot serve MCP: {error}"), None);
                return Err(End::Failed);
            }
        };
        match serving.waiting().await {
            Ok(QuitReason::JoinError(error)) => {
                output.error(&format!("MCP has ended: {error}"), None);
                Err(End::Failed)
            }
            Ok(_) | Err(_) => Ok(End::Fine),
        }
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}
