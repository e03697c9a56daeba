//! From requests of the protocol to tools, and back.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::tools::{self, Name};
use super::{act, look};
use crate::cli::args::Place;

/// One agent's session.
#[derive(Debug)]
pub(super) struct Server {
    place: Place,
    control: bool,
}

impl Server {
    pub fn new(place: Place, control: bool) -> Self {
        Self { place, control }
    }

    async fn answer(&self, name: Name, arguments: Option<JsonObject>) -> Answer {
        let place = &self.place;
        match name {
            Name::List => look::list(place, read(arguments)?).await,
            Name::Explain => look::explain(place, read(arguments)?).await,
            Name::Logs => look::logs(place, read(arguments)?).await,
            Name::Search => look::search(place, read(arguments)?).await,
            Name::Wait => act::wait(place, read(arguments)?).await,
            Name::Start => act::start(place, read(arguments)?).await,
            Name::Stop => act::stop(place, read(arguments)?).await,
            Name::Restart => act::restart(place, read(arguments)?).await,
            Name::RunTask => act::run_task(place, read(arguments)?).await,
        }
    }
}

fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, Refusal> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    serde_json::from_value(arguments)
        .map_err(|error| Refusal::new(format!("the arguments are wrong: {error}"), None))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let control = if self.control {
            "You may start, stop and restart units, and run tasks."
        } else {
            "You can look, and change nothing: `pk mcp --allow-control` would allow that."
        };
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("pk", env!("CARGO_PKG_VERSION")))
            .with_instructions(format!(
                "The development stack that pk runs in this folder: its services and tasks, \
                 how they are, and what they write. Begin with `list`; `explain` says why a \
                 unit is not as it should be. {control}"
            ))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = tools::offered(self.control).filter_map(Name::tool);
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let name = Name::find(name)?;
        (self.control || !name.changes()).then(|| name.tool())?
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = Name::find(&request.name)
            .filter(|name| self.control || !name.changes())
            .ok_or_else(|| {
                let known: Vec<_> = tools::offered(self.control).map(Name::as_str).collect();
                let message = format!(
                    "there is no tool `{}`; there are {}{}",
                    request.name,
                    known.join(", "),
                    if self.control {
                        ""
                    } else {
                        ". What changes something takes `pk mcp --allow-control`"
                    }
                );
                ErrorData::invalid_params(message, None)
            })?;
        let answer = tokio::select! {
            answer = self.answer(name, request.arguments) => answer,
            () = context.ct.cancelled() => Err(Refusal::new("no longer wanted", None)),
        };
        let result = match answer {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(Refusal(text)) => CallToolResult::error(vec![ContentBlock::text(text)]),
        };
        Ok(result.into())
    }
}
