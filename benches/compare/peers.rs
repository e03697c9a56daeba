//! The tools, each with what it is told to run the same services.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;

/// In all tools that have such a setting: seconds between SIGTERM and SIGKILL.
const GRACE: u32 = 2;

pub struct Service {
    pub name: String,
    pub argv: Vec<String>,
    /// Where it answers `GET /` once it is ready.
    pub port: Option<u16>,
}

/// What a tool has to do with its services.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Run,
    /// Each but the first starts when the one before it is ready.
    Chain,
    /// Keep in files all that they write.
    Keep,
    /// Start them again on a save in `watched/`, by the tool's defaults or as soon as it can.
    Watch {
        soon: bool,
    },
    /// Know once a second what each of them uses.
    Sample,
}

pub struct Setup<'a> {
    /// Where the tool runs, and its files belong.
    pub folder: &'a Path,
    pub services: &'a [Service],
    pub task: Task,
    /// The comparison's own program.
    pub part: &'a Path,
}

impl Setup<'_> {
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            let _ = fs::create_dir_all(folder);
        }
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.display().to_string()
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn lines(&self, mut line: impl FnMut(&Service) -> String) -> String {
        self.services.iter().map(&mut line).collect()
    }
}

/// Where what the services write is kept.
#[derive(Clone, Copy)]
pub enum Kept {
    /// The tool's standard output, which goes to the file of that name.
    Stdout,
    /// Files below that folder, of that ending.
    Below(&'static str, &'static str),
}

pub struct Launch {
    pub argv: Vec<String>,
    /// It draws on the terminal, so its output is not taken from there.
    pub draws: bool,
    /// What is run once the tool is up, and begins the work; the clock starts there.
    pub client: Option<Vec<String>>,
    pub kept: Kept,
}

/// Why a tool cannot do a task.
pub type Cannot = &'static str;

pub enum Stop {
    /// Ctrl-C on its terminal.
    CtrlC,
    Signal(Signal),
    Keys(&'static str),
}

pub struct Peer {
    pub name: &'static str,
    /// Looked for in the folder of tools, then in `PATH`.
    pub program: &'static str,
    /// What makes it say its version.
    pub version: &'static [&'static str],
    pub configure: fn(&Setup<'_>, &str) -> Result<Launch, Cannot>,
    /// The way of its manual.
    pub stop: Stop,
}

impl Peer {
    pub fn find(&self, setup_tools: &Path) -> Option<PathBuf> {
        if self.name == "pk" {
            return Some(PathBuf::from(env!("CARGO_BIN_EXE_pk")));
        }
        let own = ["bin", "venv/bin", "node_modules/.bin"].map(|folder| setup_tools.join(folder));
        let system = std::env::var_os("PATH").unwrap_or_default();
        own.into_iter()
            .chain(std::env::split_paths(&system))
            .map(|folder| folder.join(self.program))
            .find(|program| program.is_file())
    }
}

fn shell(argv: &[String]) -> String {
    argv.join(" ")
}

fn simple(argv: Vec<String>) -> Launch {
    Launch {
        argv,
        draws: false,
        client: None,
        kept: Kept::Stdout,
    }
}

fn strings<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

pub const PK: &str = "pk";
pub const FLOOR: &str = "floor";

pub fn peers() -> Vec<Peer> {
    let peer = |name, program, version, configure| Peer {
        name,
        program,
        version,
        configure,
        stop: Stop::CtrlC,
    };
    let own = |peer: Peer, stop| Peer { stop, ..peer };
    vec![
        peer(PK, "pk", &["--version"], pk),
        peer(
            "process-compose",
            "process-compose",
            &["version"],
            process_compose,
        ),
        own(
            peer("mprocs", "mprocs", &["--version"], mprocs),
            Stop::Keys("q"),
        ),
        peer("pitchfork", "pitchfork", &["--version"], pitchfork),
        peer("overmind", "overmind", &["--version"], overmind),
        peer("hivemind", "hivemind", &["--version"], hivemind),
        peer("foreman", "foreman", &["version"], foreman),
        peer("honcho", "honcho", &["version"], honcho),
        peer("concurrently", "concurrently", &["--version"], concurrently),
        peer("pm2", "pm2-runtime", &["--version"], pm2),
        peer("supervisor", "supervisord", &["--version"], supervisor),
        peer("circus", "circusd", &["--version"], circus),
        own(peer("s6", "s6-svscan", &[], s6), Stop::Signal(Signal::TERM)),
        own(
            peer("runit", "runsvdir", &[], runit),
            Stop::Signal(Signal::HUP),
        ),
        peer("watchexec", "watchexec", &["--version"], watchexec),
    ]
}

/// Not a tool: the system calls that the work cannot do without.
pub fn floor() -> Peer {
    Peer {
        name: FLOOR,
        program: "part",
        version: &[],
        configure: |setup, _| {
            let services = setup.lines(|service| shell(&service.argv) + "\n");
            let file = setup.write("services", &services);
            let part = setup.part.display().to_string();
            let mut argv = vec![part, "floor".to_owned(), file, setup.at("log.txt")];
            match setup.task {
                Task::Run | Task::Keep => {}
                Task::Chain => argv.push("chain".to_owned()),
                Task::Sample => argv.push("sample".to_owned()),
                Task::Watch { .. } => argv.extend(["watch".to_owned(), setup.at("watched")]),
            }
            Ok(Launch {
                kept: Kept::Below("", "log.txt"),
                ..simple(argv)
            })
        },
        stop: Stop::CtrlC,
    }
}

fn pk(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let mut services = serde_json::Map::new();
    for (number, service) in setup.services.iter().enumerate() {
        let mut unit = json!({
            "command": service.argv,
            "shutdown": {"timeout": format!("{GRACE}s")},
        });
        if let (Task::Chain, Some(port)) = (setup.task, service.port) {
            unit["readiness"] = json!({"http": format!("http://127.0.0.1:{port}/")});
        }
        if setup.task == Task::Chain && number > 0 {
            unit["depends_on"] = json!([setup.services[number - 1].name]);
        }
        match setup.task {
            Task::Watch { soon: false } => unit["watch"] = json!(["watched"]),
            Task::Watch { soon: true } => {
                unit["watch"] = json!({"paths": ["watched"], "debounce": "1ms"});
            }
            _ => {}
        }
        services.insert(service.name.clone(), unit);
    }
    let file = setup.write("pk.yaml", &json!({ "services": services }).to_string());
    let mut argv = strings([program, "-f", &file, "up"]);
    let draws = setup.task == Task::Keep;
    if !draws {
        argv.push("--no-tui".to_owned());
    }
    Ok(Launch {
        draws,
        kept: Kept::Below("state/pk", ".log"),
        ..simple(argv)
    })
}

fn process_compose(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let mut processes = serde_json::Map::new();
    for (number, service) in setup.services.iter().enumerate() {
        let mut process = json!({
            "command": shell(&service.argv),
            "shutdown": {"timeout_seconds": GRACE},
        });
        if let (Task::Chain, Some(port)) = (setup.task, service.port) {
            let get = json!({"host": "127.0.0.1", "scheme": "http", "path": "/", "port": port});
            process["readiness_probe"] = json!({ "http_get": get });
        }
        if setup.task == Task::Chain && number > 0 {
            let before = &setup.services[number - 1].name;
            process["depends_on"] = json!({ before: {"condition": "process_healthy"} });
        }
        if let Task::Watch { soon } = setup.task {
            process["watch"] = json!({"paths": [{"path": "watched"}]});
            if soon {
                process["watch"]["debounce"] = json!("1ms");
            }
        }
        processes.insert(service.name.clone(), process);
    }
    let mut file = json!({"version": "0.5", "processes": processes});
    if setup.task == Task::Keep {
        file["log_location"] = json!(setup.at("log/out.txt"));
    }
    let file = setup.write("process-compose.yaml", &file.to_string());
    let screen = if setup.task == Task::Sample {
        "-t=true"
    } else {
        "-t=false"
    };
    Ok(Launch {
        draws: setup.task == Task::Sample,
        kept: Kept::Below("log", "out.txt"),
        ..simple(strings([program, "up", "-p", "0", "-f", &file, screen]))
    })
}

fn only_runs_and_logs(setup: &Setup<'_>) -> Result<(), Cannot> {
    match setup.task {
        Task::Run | Task::Keep => Ok(()),
        Task::Chain => Err("knows no readiness"),
        Task::Watch { .. } => Err("watches no files"),
        Task::Sample => Err("does not measure"),
    }
}

fn mprocs(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    match setup.task {
        Task::Watch { .. } => return Err("needs a pattern and a restart by hand"),
        _ => only_runs_and_logs(setup)?,
    }
    let procs: serde_json::Map<_, _> = (setup.services.iter())
        .map(|service| (service.name.clone(), json!({"cmd": service.argv})))
        .collect();
    let file = setup.write("mprocs.yaml", &json!({ "procs": procs }).to_string());
    let mut argv = strings([program, "-c", &file]);
    if setup.task == Task::Keep {
        argv.extend(["--log-dir".to_owned(), setup.at("log")]);
    }
    Ok(Launch {
        draws: true,
        kept: Kept::Below("log", ""),
        ..simple(argv)
    })
}

fn pitchfork(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let mut text = String::new();
    for (number, service) in setup.services.iter().enumerate() {
        let run = json!(shell(&service.argv));
        let _ = writeln!(text, "[daemons.{}]\nrun = {run}", service.name);
        match (setup.task, service.port) {
            (Task::Chain, Some(port)) => {
                let _ = writeln!(text, "ready_http = \"http://127.0.0.1:{port}/\"");
            }
            _ => text.push_str("ready_delay = 0\n"),
        }
        if setup.task == Task::Chain && number > 0 {
            let _ = writeln!(text, "depends = [\"{}\"]", setup.services[number - 1].name);
        }
        if let Task::Watch { .. } = setup.task {
            let _ = writeln!(text, "watch = [{}]", json!(setup.at("watched/*")));
        }
    }
    setup.write("pitchfork.toml", &text);
    Ok(Launch {
        client: Some(strings([program, "start", "--local"])),
        kept: Kept::Below("pitchfork/logs", ""),
        ..simple(strings([program, "supervisor", "run"]))
    })
}

fn procfile(setup: &Setup<'_>) -> Result<String, Cannot> {
    only_runs_and_logs(setup)?;
    let lines = setup.lines(|service| format!("{}: {}\n", service.name, shell(&service.argv)));
    Ok(setup.write("Procfile", &lines))
}

fn overmind(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let file = procfile(setup)?;
    Ok(simple(strings([program, "start", "-f", &file])))
}

fn hivemind(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let file = procfile(setup)?;
    Ok(simple(strings([
        program,
        "--timeout",
        "2",
        "--no-port",
        &file,
    ])))
}

fn foreman(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let file = procfile(setup)?;
    Ok(simple(strings([program, "start", "-t", "2", "-f", &file])))
}

fn honcho(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let file = procfile(setup)?;
    Ok(simple(strings([program, "-f", &file, "start"])))
}

fn concurrently(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    only_runs_and_logs(setup)?;
    let mut argv = strings([program, "--kill-timeout", "2000"]);
    argv.extend(setup.services.iter().map(|service| shell(&service.argv)));
    Ok(simple(argv))
}

fn pm2(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let watches = match setup.task {
        Task::Chain => return Err("starts all at once"),
        Task::Sample => return Err("measures when asked only"),
        Task::Watch { .. } => true,
        Task::Run | Task::Keep => false,
    };
    let apps: Vec<_> = (setup.services.iter())
        .map(|service| {
            json!({
                "name": service.name, "script": service.argv[0], "args": service.argv[1..],
                "interpreter": "none", "exec_mode": "fork", "kill_timeout": 2000,
                "autorestart": watches,
                "watch": if watches { json!([setup.at("watched")]) } else { json!(false) },
                "out_file": match setup.task {
                    Task::Keep => setup.at("log/out.txt"),
                    _ => "/dev/null".to_owned(),
                },
                "error_file": "/dev/null",
            })
        })
        .collect();
    let text = format!("module.exports = {}", json!({ "apps": apps }));
    let file = setup.write("pk.config.js", &text);
    fs::create_dir_all(setup.folder.join("log")).unwrap_or_default();
    Ok(Launch {
        kept: Kept::Below("log", "out.txt"),
        ..simple(strings([program, "start", &file]))
    })
}

fn supervisor(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    only_runs_and_logs(setup)?;
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nminfds=15000\nlogfile={}\npidfile={}\n{}",
        setup.at("own.txt"),
        setup.at("pid"),
        if rustix::process::getuid().is_root() {
            "user=root\n"
        } else {
            ""
        }
    );
    let kept = match setup.task {
        Task::Keep => setup.at("log/out.txt"),
        _ => "NONE".to_owned(),
    };
    fs::create_dir_all(setup.folder.join("log")).unwrap_or_default();
    for service in setup.services {
        let _ = writeln!(
            text,
            "[program:{}]\ncommand={}\nstopwaitsecs={GRACE}\nredirect_stderr=true\n\
             stdout_logfile={kept}\nstdout_logfile_maxbytes=0",
            service.name,
            shell(&service.argv)
        );
    }
    let file = setup.write("supervisord.conf", &text);
    Ok(Launch {
        kept: Kept::Below("log", "out.txt"),
        ..simple(strings([program, "-n", "-c", &file]))
    })
}

fn circus(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    match setup.task {
        Task::Chain => return Err("knows no readiness"),
        Task::Watch { .. } => return Err("watches no files"),
        _ => {}
    }
    let mut text = format!(
        "[circus]\nendpoint=ipc://{}\npubsub_endpoint=ipc://{}\nwarmup_delay=0\n",
        setup.at("e"),
        setup.at("p")
    );
    if setup.task == Task::Sample {
        let _ = writeln!(text, "statsd=True\nstats_endpoint=ipc://{}", setup.at("s"));
    }
    for service in setup.services {
        let _ = writeln!(
            text,
            "[watcher:{}]\ncmd={}\nargs={}\ngraceful_timeout={GRACE}",
            service.name,
            service.argv[0],
            shell(&service.argv[1..])
        );
        if setup.task == Task::Keep {
            let _ = writeln!(
                text,
                "stdout_stream.class=FileStream\nstdout_stream.filename={}",
                setup.at("log/out.txt")
            );
        }
    }
    fs::create_dir_all(setup.folder.join("log")).unwrap_or_default();
    let file = setup.write("circus.ini", &text);
    Ok(Launch {
        kept: Kept::Below("log", "out.txt"),
        ..simple(strings([program, &file]))
    })
}

fn run_folders(setup: &Setup<'_>, logger: &str) -> Result<(), Cannot> {
    only_runs_and_logs(setup)?;
    let script = |name: &str, text: String| {
        let path = setup.write(name, &text);
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, executable).unwrap_or_default();
    };
    for service in setup.services {
        let name = &service.name;
        script(
            &format!("services/{name}/run"),
            format!("#!/bin/sh\nexec {}\n", shell(&service.argv)),
        );
        if setup.task == Task::Keep {
            script(
                &format!("services/{name}/log/run"),
                format!("#!/bin/sh\nexec {logger} {}\n", setup.at("log")),
            );
            setup.write("log/config", "s2000000000\n");
        }
    }
    Ok(())
}

fn s6(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    run_folders(setup, "s6-log s268435455 n100")?;
    Ok(Launch {
        kept: Kept::Below("log", ""),
        ..simple(strings([program, "-c", "1100", &setup.at("services")]))
    })
}

fn runit(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    run_folders(setup, "svlogd -")?;
    Ok(Launch {
        kept: Kept::Below("log", ""),
        ..simple(strings([program, &setup.at("services")]))
    })
}

fn watchexec(setup: &Setup<'_>, program: &str) -> Result<Launch, Cannot> {
    let Task::Watch { soon } = setup.task else {
        return Err("runs one command, for saves");
    };
    let mut argv = strings([program, "-q", "-r", "--shell=none", "-w"]);
    argv.push(setup.at("watched"));
    if soon {
        argv.extend(strings(["--debounce", "1ms"]));
    }
    argv.push("--".to_owned());
    argv.extend(setup.services[0].argv.iter().cloned());
    Ok(simple(argv))
}
