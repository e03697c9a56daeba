//! What the protocol is, for programs: an OpenAPI document made from its types.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::port::{UnitWatch, Why};
use super::protocol::{
    Act, ChangesPage, ChangesQuery, Drawn, FeedQuery, Lines, LogPage, LogQuery, OpenQuery,
    OpenTexts, Problem, State, Taken, Typed, WatchQuery, WhyQuery, Written,
};
use super::record::Record;
use super::reload::{ReloadAsk, Reloaded};
use crate::domain::exec::{ExecAsk, ExecContext};
use crate::domain::listening::UnitPorts;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::stats::StackStats;
use crate::domain::terminal::TerminalSize;
use crate::domain::timeline::Timeline;

/// The document (OpenAPI 3.1).
#[must_use]
pub fn openapi() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut types = settings.into_generator();
    let types = &mut types;
    let paths = json!({
        "/v1/session": { "get": operation(types, "session", "Who runs, since when.")
            .gives::<Record>().done() },
        "/v1/state": { "get": operation(types, "state", "The whole stack now.")
            .gives::<State>().done() },
        "/v1/state/stream": { "get": operation(
            types, "states",
            "Server-sent events: `snapshot` with a State, now and whenever something has \
             changed; `end` once the stack has ended.",
        ).streams().done() },
        "/v1/commands": { "post": operation(
            types, "command",
            "Asks for something. The answer says whether it is taken, not that it is done.",
        ).takes::<Act>().gives::<Taken>().done() },
        "/v1/timeline": { "get": operation(
            types, "timeline", "How the stack started: who waited for whom, and for how long.",
        ).gives::<Timeline>().done() },
        "/v1/ports": { "get": operation(
            types, "ports", "Where the processes of each unit really listen now.",
        ).gives::<Vec<UnitPorts>>().done() },
        "/v1/containment": { "get": operation(
            types, "containment", "By what the processes of the units are held.",
        ).gives::<Held>().done() },
        "/v1/reload": { "post": operation(
            types, "reload",
            "Goes over to what the files of the stack say now, or shows what that would do. \
             Wrong files change nothing.",
        ).takes::<ReloadAsk>().gives::<Reloaded>().done() },
        "/v1/changes": { "get": operation(
            types, "changes", "What has changed after a place.",
        ).asks::<ChangesQuery>().gives::<ChangesPage>().done() },
        "/v1/changes/stream": { "get": operation(
            types, "changes_stream",
            "Server-sent events: `change` with a Change and an id to go on after (`after` or \
             Last-Event-ID); `resync` where some were lost, so that a state should be taken; \
             `end` once the stack has ended.",
        ).asks::<ChangesQuery>().streams().done() },
        "/v1/watch": { "get": operation(
            types, "watched", "Which files are watched, for whom, and what is left out.",
        ).asks::<WatchQuery>().gives::<Vec<UnitWatch>>().done() },
        "/v1/watch/why": { "post": operation(
            types, "why_watched", "Whether a change of a file would count, and by which rule.",
        ).takes::<WhyQuery>().gives::<Why>().done() },
        "/v1/logs": {
            "get": operation(types, "logs", "A page of lines.")
                .asks::<LogQuery>().gives::<LogPage>().done(),
            "post": operation(
                types, "logs_from",
                "The same, for a cursor that is too long for an address.",
            ).takes::<LogQuery>().gives::<LogPage>().done(),
        },
        "/v1/logs/open/stream": { "get": operation(
            types, "open_lines",
            "Server-sent events: `open` with OpenTexts whenever what streams have written since \
             their last line ended is another, in the place of what was told before; `end` once \
             the stack has ended.",
        ).asks::<OpenQuery>().mentions::<OpenTexts>().streams().done() },
        "/v1/feed": { "get": operation(
            types, "feed",
            "Server-sent events, all that a face shows in the order in which it makes sense: \
             `snapshot` with a State, `lines` with Lines, `change` with a Change after the lines \
             that came before it, `open` with OpenTexts where it is asked for, `resync` where changes were lost, `end` once the stack has \
             ended.",
        ).asks::<FeedQuery>().mentions::<Lines>().streams().done() },
        "/v1/stats/stream": { "get": operation(
            types, "stats",
            "Server-sent events: `stats` with a StackStats about once a second, sampled only \
             while somebody looks; `end` once the stack has ended.",
        ).mentions::<StackStats>().streams().done() },
        "/v1/units/{unit}/terminal/stream": { "get": operation(
            types, "terminal",
            "Server-sent events of an instance with `tty: true`: `screen` with a Drawn, first \
             and whenever what came before tells no longer what is shown; `output` with what \
             was Written since; `end` once the stack has ended.",
        ).of_unit().mentions::<Drawn>().mentions::<Written>().streams().done() },
        "/v1/units/{unit}/terminal/size": { "post": operation(
            types, "resize",
            "Gives the terminal of an instance another size; answered is what it has got.",
        ).of_unit().takes::<TerminalSize>().gives::<TerminalSize>().done() },
        "/v1/units/{unit}/input": { "post": operation(
            types, "input",
            "Types something for an instance. Answered once it is on its way.",
        ).of_unit().takes::<Typed>().gives::<serde_json::Map<String, Value>>().done() },
        "/v1/units/{unit}/processes": { "get": operation(
            types, "processes", "The living processes of an instance.",
        ).of_unit().gives::<Vec<UnitProcess>>().done() },
        "/v1/units/{unit}/exec": { "post": operation(
            types, "exec",
            "Takes the asking process in beside an instance, so that it ends with the stack; \
             answered is what it is to run with. For the process of this connection alone.",
        ).of_unit().takes::<ExecAsk>().gives::<ExecContext>().done() },
    });
    let schemas = types.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pk",
            "version": "1",
            "description": "A running stack, over its Unix socket, or over TCP with its token. \
                            Durations are written as the file writes them: 250ms, 1m30s.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://pk" }],
        "paths": paths,
        "security": [{}, { "token": [] }],
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer", "description": "Over TCP.",
            } },
        },
    })
}

/// One request that is being described.
struct Operation<'a> {
    types: &'a mut SchemaGenerator,
    value: Value,
}

fn operation<'a>(types: &'a mut SchemaGenerator, id: &str, says: &str) -> Operation<'a> {
    let problem = content(
        "application/json",
        types.subschema_for::<Problem>().as_value(),
    );
    Operation {
        types,
        value: json!({
            "operationId": id,
            "description": says,
            "responses": { "default": { "description": "Why not.", "content": problem } },
        }),
    }
}

fn content(kind: &str, schema: &Value) -> Value {
    let mut content = Map::new();
    content.insert(kind.to_owned(), json!({ "schema": schema }));
    content.into()
}

impl Operation<'_> {
    fn takes<T: JsonSchema>(mut self) -> Self {
        let schema = self.types.subschema_for::<T>().to_value();
        self.value["requestBody"] =
            json!({ "required": true, "content": content("application/json", &schema) });
        self
    }

    fn gives<T: JsonSchema>(mut self) -> Self {
        let schema = self.types.subschema_for::<T>().to_value();
        self.value["responses"]["200"] =
            json!({ "description": "Done.", "content": content("application/json", &schema) });
        self
    }

    /// What stands in events.
    fn mentions<T: JsonSchema>(self) -> Self {
        let _ = self.types.subschema_for::<T>();
        self
    }

    /// The path names an instance.
    fn of_unit(mut self) -> Self {
        self.value["parameters"] = json!([{
            "name": "unit", "in": "path", "required": true, "schema": { "type": "string" },
        }]);
        self
    }

    fn streams(mut self) -> Self {
        let schema = json!({ "type": "string" });
        self.value["responses"]["200"] =
            json!({ "description": "Events.", "content": content("text/event-stream", &schema) });
        self
    }

    /// Each field of `T` stands behind the question mark.
    fn asks<T: JsonSchema>(mut self) -> Self {
        let schema = T::json_schema(self.types).to_value();
        let fields = schema.get("properties").and_then(Value::as_object);
        let parameters: Vec<Value> = fields
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                json!({ "name": name, "in": "query", "required": false, "schema": schema })
            })
            .collect();
        self.value["parameters"] = parameters.into();
        self
    }

    fn done(self) -> Value {
        self.value
    }
}
