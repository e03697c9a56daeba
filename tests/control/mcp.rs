//! `pk mcp` as an agent uses it: JSON-RPC over pipes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};

use super::{SHOP, down, shop};
use crate::harness::{PATIENCE, Pk, Running, poll};

/// An agent, with its server.
struct Agent {
    child: Child,
    answers: mpsc::Receiver<String>,
    next: u64,
}

impl Agent {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut agent = Self {
            child,
            answers,
            next: 0,
        };
        let hello = agent.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            }),
        );
        assert_eq!(hello["result"]["serverInfo"]["name"], "pk", "{hello}");
        assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
        assert!(hello["result"]["capabilities"]["tools"].is_object());
        agent.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        agent
    }

    fn of(pk: &Running, args: &[&str]) -> Self {
        let mut all = vec!["mcp"];
        all.extend(args);
        Self::start(pk.other(all))
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// The answer to a request. Whatever else is on stdout must be one of the protocol, too.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.say(
            &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string(),
        );
        loop {
            let line = self.answers.recv_timeout(PATIENCE).unwrap();
            let message: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if message["id"] == id {
                return message;
            }
        }
    }

    fn tools(&mut self) -> Vec<Value> {
        let listed = self.ask("tools/list", &json!({}));
        listed["result"]["tools"].as_array().unwrap().clone()
    }

    /// What a tool says, and whether that is an error.
    fn call(&mut self, tool: &str, arguments: &Value) -> (bool, String) {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text
            .unwrap_or_else(|| panic!("{tool}: {answer}"))
            .to_owned();
        (result["isError"] == true, text)
    }

    #[track_caller]
    fn works(&mut self, tool: &str, arguments: &Value) -> String {
        let (failed, text) = self.call(tool, arguments);
        assert!(!failed, "{tool}: {text}");
        text
    }

    #[track_caller]
    fn fails(&mut self, tool: &str, arguments: &Value) -> String {
        let (failed, text) = self.call(tool, arguments);
        assert!(failed, "{tool}: {text}");
        text
    }

    /// It leaves, and so does the server.
    fn leave(mut self) {
        drop(self.child.stdin.take());
        let status = poll("the end of the server", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect()
}

#[test]
fn an_agent_looks_and_changes_nothing() {
    let pk = shop();
    let mut agent = Agent::of(&pk, &[]);
    let tools = agent.tools();
    assert_eq!(names(&tools), ["list", "explain", "logs", "search", "wait"]);
    for tool in &tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool["description"].as_str().unwrap().len() > 20);
    }
    let list = agent.works("list", &json!({}));
    for text in [
        "shop: 6 of 6 units",
        "db [service]: ready",
        "web-2 [service]",
        "migrate [task]: completed",
    ] {
        assert!(list.contains(text), "{text} is not in {list}");
    }
    let list = agent.works("list", &json!({"units": ["web"]}));
    assert!(list.contains("web-1") && !list.contains("db"), "{list}");
    let why = agent.works("explain", &json!({"unit": "broken"}));
    assert!(why.contains("broken: not started"), "{why}");
    let logs = agent.works("logs", &json!({"units": ["db", "migrate"]}));
    assert!(
        logs.contains(" db | db is up\n") && logs.contains(" migrate | migrated\n"),
        "{logs}"
    );
    assert!(!logs.contains("hello"), "{logs}");
    let found = agent.works(
        "search",
        &json!({"pattern": "HELLO|from web-.", "ignore_case": true}),
    );
    assert_eq!(found.lines().count(), 3, "{found}");
    assert_eq!(
        agent.works("search", &json!({"pattern": "no such"})),
        "(no such lines)\n"
    );
    let waited = agent.works("wait", &json!({"units": ["@web"]}));
    assert!(waited.contains("api: "), "{waited}");
    let late = agent.fails(
        "wait",
        &json!({"units": ["db"], "for": "stopped", "timeout": "50ms"}),
    );
    assert!(late.contains("timed out after 50ms"), "{late}");
    for tool in ["start", "stop", "restart", "run_task"] {
        let refused = agent.ask(
            "tools/call",
            &json!({"name": tool, "arguments": {"units": ["db"], "task": "migrate"}}),
        );
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("--allow-control"), "{message}");
    }
    let list = agent.works("list", &json!({"units": ["db"]}));
    assert!(list.contains("db [service]: ready"), "{list}");
    agent.leave();
    down(pk);
}

#[test]
fn with_leave_it_steers() {
    let pk = shop();
    let mut agent = Agent::of(&pk, &["--allow-control"]);
    let tools = agent.tools();
    assert_eq!(names(&tools)[5..], ["start", "stop", "restart", "run_task"]);
    let pid = |agent: &mut Agent| {
        let list = agent.works("list", &json!({"units": ["db"]}));
        let (_, rest) = list.split_once("pid ").unwrap();
        rest.split(',').next().unwrap().to_owned()
    };
    let before = pid(&mut agent);
    let said = agent.works("restart", &json!({"units": ["db"]}));
    assert!(said.contains("db: ready"), "{said}");
    assert_ne!(pid(&mut agent), before);
    let said = agent.works("stop", &json!({"units": ["web-*"]}));
    assert!(
        said.contains("web-1: stopped") && said.contains("web-2: stopped"),
        "{said}"
    );
    let said = agent.works("start", &json!({"units": ["web"], "wait": false}));
    assert!(said.contains("accepted"), "{said}");
    agent.works("wait", &json!({"units": ["web"]}));
    let ran = agent.works("run_task", &json!({"task": "migrate"}));
    assert!(ran.contains("migrate: completed"), "{ran}");
    assert_eq!(ran.matches("migrate | migrated").count(), 1, "{ran}");
    let ran = agent.fails("run_task", &json!({"task": "broken"}));
    assert!(ran.contains("exit code 3"), "{ran}");
    let ran = agent.fails("run_task", &json!({"task": "db"}));
    assert!(ran.contains("is a service"), "{ran}");
    let unknown = agent.fails("restart", &json!({"units": ["dp"]}));
    assert!(unknown.contains("did you mean"), "{unknown}");
    agent.leave();
    super::down_with(pk, 1);
}

#[test]
fn nonsense_is_answered_and_harms_nothing() {
    let pk = shop();
    let mut agent = Agent::of(&pk, &["--allow-control"]);
    for (tool, arguments, says) in [
        ("logs", json!({"last": 0}), "1 to 1000"),
        ("logs", json!({"last": 100_000}), "1 to 1000"),
        ("logs", json!({"last": -1}), "the arguments are wrong"),
        ("logs", json!({"lines": 3}), "unknown field `lines`"),
        ("logs", json!({"since": "soon"}), "is no time"),
        (
            "logs",
            json!({"units": ["nobody"]}),
            "no unit named `nobody`",
        ),
        ("search", json!({}), "missing field `pattern`"),
        ("search", json!({"pattern": "("}), "no regular expression"),
        ("wait", json!({"units": []}), "at least one unit"),
        (
            "wait",
            json!({"units": ["db"], "timeout": "1h"}),
            "10m at most",
        ),
        (
            "wait",
            json!({"units": ["db"], "timeout": "7"}),
            "30s or 2m",
        ),
        (
            "wait",
            json!({"units": ["db"], "for": "happy"}),
            "unknown variant",
        ),
        ("restart", json!({"units": "db"}), "invalid type"),
        (
            "explain",
            json!({"unit": "nobody"}),
            "no unit named `nobody`",
        ),
    ] {
        let text = agent.fails(tool, &arguments);
        assert!(text.contains(says), "{tool} {arguments}: {text}");
    }
    let unknown = agent.ask("tools/call", &json!({"name": "destroy", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    let unknown = agent.ask("no/such", &json!({}));
    assert!(unknown["error"]["code"].is_i64(), "{unknown}");
    for garbage in [
        "",
        "nonsense",
        "[]",
        "{}",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"id\": 7}",
        "\u{1}\u{2}",
    ] {
        agent.say(garbage);
    }
    let list = agent.works("list", &json!({}));
    assert!(list.contains("db [service]: ready"), "{list}");
    agent.leave();
    down(pk);
}

#[test]
fn stacks_come_and_go_while_it_listens() {
    let idle = Pk::stack(SHOP, ["ls"]).start();
    let mut agent = Agent::of(&idle, &["--allow-control"]);
    for (tool, arguments) in [
        ("list", json!({})),
        ("logs", json!({})),
        ("restart", json!({"units": ["db"]})),
    ] {
        let text = agent.fails(tool, &arguments);
        assert!(
            text.contains("is running") && text.contains("pk up -d"),
            "{text}"
        );
    }
    let mut up = idle.other(["up", "db"]);
    let mut up = up
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    poll("the stack", || {
        (!agent.call("list", &json!({})).0).then_some(())
    });
    agent.works("wait", &json!({"units": ["db"]}));
    // It ends while somebody waits.
    agent.next += 1;
    let id = agent.next;
    agent.say(
        &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params":
            {"name": "wait", "arguments": {"units": ["migrate"], "for": "succeeded", "timeout": "50s"}}})
        .to_string(),
    );
    idle.pk(["down"]).assert_code(0);
    let answer = agent.answers.recv_timeout(PATIENCE).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&answer["id"], &answer["result"]["isError"]),
        (&json!(id), &json!(true)),
        "{answer}"
    );
    up.wait().unwrap();
    let text = agent.fails("list", &json!({}));
    assert!(text.contains("pk up -d"), "{text}");
    agent.leave();
    idle.wait();
}

const CHATTY: &str = "\
name: shop
services:
  chatty: {command: 'for i in $(seq 3000); do echo line $i of a log that says the same again and again and again; done; head -c 5000 /dev/zero | tr \"\\\\0\" x; echo; echo done; exec sleep 1000'}
  quiet: {command: 'echo psst >&2; exec sleep 1000'}
";

fn logs_are_bounded(pk: &Running) {
    let mut agent = Agent::of(pk, &[]);
    poll("all lines", || {
        let logs = agent.works("logs", &json!({"units": ["chatty"], "last": 1}));
        logs.contains("chatty | done\n").then_some(())
    });
    let logs = agent.works("logs", &json!({"units": ["chatty"]}));
    let lines: Vec<&str> = logs.lines().collect();
    assert!(lines[0].contains("line 2903 of"), "{}", lines[0]);
    assert!(lines[98].contains("xxx… (5000 bytes)"), "{}", lines[98]);
    assert!(lines[99].ends_with("chatty | done"), "{}", lines[99]);
    assert!(
        lines[100].starts_with("(cut: the newest 100 lines"),
        "{logs}"
    );
    assert!(
        lines[101].starts_with("(cut: lines of more than 2000 bytes"),
        "{logs}"
    );
    assert_eq!(lines.len(), 102);
    let logs = agent.works("logs", &json!({"last": 1000}));
    assert!(logs.len() < 50_000, "{}", logs.len());
    assert!(
        logs.contains("lines fill 48 KiB; older ones are left out"),
        "{logs}"
    );
    let found = agent.works("search", &json!({"pattern": "line 1.0 of", "last": 3}));
    let lines: Vec<&str> = found.lines().collect();
    assert!(
        lines[0].contains("line 170 of") && lines[2].contains("line 190 of"),
        "{found}"
    );
    assert!(lines[3].starts_with("(cut: the newest 3 lines"), "{found}");
    let found = agent.works("search", &json!({"pattern": "^psst$", "stream": "stderr"}));
    assert!(
        found.ends_with("quiet ! psst\n") && found.lines().count() == 1,
        "{found}"
    );
    let none = agent.works(
        "logs",
        &json!({"stream": "stderr", "units": ["chatty"], "since": "1h"}),
    );
    assert_eq!(none, "(no such lines)\n");
    agent.leave();
    down_chatty(pk);
}

fn down_chatty(pk: &Running) {
    pk.pk(["down"]).assert_code(0);
}

#[test]
fn however_much_is_written_the_answer_has_an_end() {
    let pk = Pk::stack(CHATTY, ["up"]).start();
    pk.wait_for("chatty | done");
    logs_are_bounded(&pk);
    pk.wait().assert_code(0);
}

#[test]
fn so_it_has_where_lines_are_kept_in_memory() {
    let pk = Pk::stack(CHATTY, ["up"])
        .env("XDG_STATE_HOME", "/dev/null/none")
        .start();
    pk.wait_for("chatty | done");
    logs_are_bounded(&pk);
    pk.wait().assert_code(0);
}
