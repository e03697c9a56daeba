//! Behaviour of process-compose files, one small file per rule.
//!
//! Every process writes what it does into `$TRACE`. The same table drives pk alone and pk
//! beside the original.

/// How the original differs, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    Same,
    /// It ends with this code, all else being the same. The text is that of the row in
    /// `docs/process-compose.md`.
    Code(i32, &'static str),
    /// It does something else.
    Other(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// `process-compose.yaml`, then further files, each after a line `=== NAME`.
    pub files: &'static str,
    /// Behind `up`.
    pub args: &'static [&'static str],
    /// The words of the trace; those of processes that run side by side are sorted first.
    pub trace: &'static str,
    pub sorted: bool,
    pub code: i32,
    pub original: Original,
}

const CODE: &str = "exit code of the project";
const USED_UP: &str = "`max_restarts` used up";

const fn case(name: &'static str, files: &'static str, trace: &'static str) -> Case {
    Case {
        name,
        files,
        args: &[],
        trace,
        sorted: false,
        code: 0,
        original: Original::Same,
    }
}

impl Case {
    const fn code(self, code: i32, original: Original) -> Self {
        Self {
            code,
            original,
            ..self
        }
    }

    const fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    const fn sorted(self) -> Self {
        Self {
            sorted: true,
            ..self
        }
    }

    const fn other(self, row: &'static str) -> Self {
        Self {
            original: Original::Other(row),
            ..self
        }
    }
}

pub const CASES: &[Case] = &[
    case(
        "completed",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed}}\n  a: {command: sleep 0.2; echo a >> $TRACE}\n",
        "a b",
    ),
    case(
        "completed_also_by_failure",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed}}\n  a: {command: echo a >> $TRACE; exit 3}\n",
        "a b",
    )
    .code(1, Original::Code(0, CODE)),
    case(
        "completed_successfully",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed_successfully}}\n  a: {command: sleep 0.2; echo a >> $TRACE}\n",
        "a b",
    ),
    case(
        "not_completed_successfully",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed_successfully}}\n  a: {command: echo a >> $TRACE; exit 3}\n",
        "a",
    )
    .code(1, Original::Code(0, CODE)),
    case(
        "a_skip_cascades",
        "processes:\n  c:\n    command: echo c >> $TRACE\n    depends_on: {b: {condition: process_completed_successfully}}\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed_successfully}}\n  a: {command: echo a >> $TRACE; exit 3}\n",
        "a",
    )
    .code(1, Original::Code(0, CODE)),
    case(
        "completed_by_a_skip",
        "processes:\n  c:\n    command: echo c >> $TRACE\n    depends_on: {b: {condition: process_completed}}\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed_successfully}}\n  a: {command: echo a >> $TRACE; exit 3}\n",
        "a",
    )
    .code(1, Original::Same)
    .other("`process_completed` of a skipped process"),
    case(
        "started",
        "processes:\n  b:\n    command: sleep 0.3; echo b >> $TRACE\n    depends_on: {a: {condition: process_started}}\n  a: {command: echo a >> $TRACE; sleep 0.6; echo end >> $TRACE}\n",
        "a b end",
    ),
    case(
        "healthy",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    availability: {exit_on_end: true}\n    depends_on: {a: {condition: process_healthy}}\n  a:\n    command: echo a >> $TRACE; sleep 0.3; touch ready; exec sleep 60\n    readiness_probe: {exec: {command: test -e ready}, period_seconds: 1, failure_threshold: 20}\n",
        "a b",
    ),
    case(
        "healthy_without_a_probe",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    availability: {exit_on_end: true}\n    depends_on: {a: {condition: process_healthy}}\n  a: {command: exec sleep 60}\n",
        "b",
    )
    .other("`process_healthy` without a readiness probe"),
    case(
        "log_ready",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    availability: {exit_on_end: true}\n    depends_on: {a: {condition: process_log_ready}}\n  a:\n    command: echo a >> $TRACE; sleep 0.3; echo now [ready]; exec sleep 60\n    ready_log_line: '[ready]'\n",
        "a b",
    ),
    case(
        "no_condition_is_completion",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: }\n  a: {command: sleep 0.3; echo a >> $TRACE}\n",
        "a b",
    ),
    case(
        "completion_of_what_always_restarts",
        "processes:\n  b:\n    command: echo b >> $TRACE\n    availability: {exit_on_end: true}\n    depends_on: {a: {}}\n  a: {command: exec sleep 60, availability: {restart: always}}\n",
        "b",
    )
    .other("completion of a process with `restart: always`"),
    case(
        "restart_on_failure",
        "processes:\n  a:\n    command: echo a >> $TRACE; exit 1\n    availability: {restart: on_failure, max_restarts: 2, backoff_seconds: 1}\n",
        "a a a",
    )
    .code(1, Original::Code(0, CODE)),
    case(
        "restart_always",
        "processes:\n  a:\n    command: echo a >> $TRACE\n    availability: {restart: \"always\", max_restarts: 1}\n",
        "a a",
    )
    .code(1, Original::Code(0, USED_UP)),
    case(
        "restart_no_unquoted",
        "processes:\n  a:\n    command: echo a >> $TRACE\n    availability:\n      restart: no\n",
        "a",
    ),
    case(
        "restart_by_variable",
        "processes:\n  a:\n    command: echo a >> $TRACE\n    availability: {restart: \"${POLICY:-always}\", max_restarts: ${MAX:-1}}\n    disabled: ${OFF:-false}\n  off:\n    command: echo off >> $TRACE\n    disabled: ${OFF_TOO:-true}\n",
        "a a",
    )
    .code(1, Original::Code(0, USED_UP)),
    case(
        "exit_on_failure",
        "processes:\n  a:\n    command: echo a >> $TRACE; exit 7\n    availability: {restart: exit_on_failure}\n  b: {command: exec sleep 60}\n",
        "a",
    )
    .code(7, Original::Same),
    case(
        "exit_on_end",
        "processes:\n  a:\n    command: sleep 0.3; echo a >> $TRACE\n    availability: {exit_on_end: true}\n  b: {command: \"trap 'echo stopped >> $TRACE; exit 0' TERM; while :; do sleep 0.05; done\"}\n",
        "a stopped",
    ),
    case(
        "exit_on_end_with_a_code",
        "processes:\n  a:\n    command: echo a >> $TRACE; exit 4\n    availability: {exit_on_end: true}\n  b: {command: exec sleep 60}\n",
        "a",
    )
    .code(4, Original::Same),
    case(
        "exit_on_skipped",
        "processes:\n  a: {command: echo a >> $TRACE; exit 3}\n  b:\n    command: echo b >> $TRACE\n    availability: {exit_on_skipped: true}\n    depends_on: {a: {condition: process_completed_successfully}}\n  c: {command: exec sleep 60}\n",
        "a",
    )
    .code(1, Original::Same),
    case(
        "success_exit_codes",
        "processes:\n  a:\n    command: echo a >> $TRACE; exit 3\n    success_exit_codes: [3]\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed_successfully}}\n",
        "a b",
    ),
    case(
        "ordered_shutdown",
        "ordered_shutdown: true\nx-service: &service\n  availability: {restart: no}\nprocesses:\n  db:\n    <<: *service\n    command: \"trap 'echo db >> $TRACE; exit 0' TERM; while :; do sleep 0.05; done\"\n  web:\n    <<: *service\n    command: \"trap 'sleep 0.3; echo web >> $TRACE; exit 0' TERM; while :; do sleep 0.05; done\"\n    depends_on: {db: {condition: process_started}}\n  end:\n    command: sleep 0.6; echo end >> $TRACE\n    availability: {exit_on_end: true}\n",
        "end web db",
    ),
    case(
        "shutdown_is_ordered_anyway",
        "processes:\n  db:\n    command: \"trap 'echo db >> $TRACE; exit 0' TERM; while :; do sleep 0.05; done\"\n  web:\n    command: \"trap 'sleep 0.3; echo web >> $TRACE; exit 0' TERM; while :; do sleep 0.05; done\"\n    depends_on: {db: {condition: process_started}}\n  end:\n    command: sleep 0.6; echo end >> $TRACE\n    availability: {exit_on_end: true}\n",
        "end web db",
    )
    .other("shutdown without `ordered_shutdown`"),
    case(
        "shutdown_command",
        "processes:\n  a:\n    command: \"while ! test -e stop; do sleep 0.05; done; echo a >> $TRACE\"\n    shutdown: {command: echo stop >> $TRACE; touch stop, timeout_seconds: 20}\n  end:\n    command: sleep 0.3; echo end >> $TRACE\n    availability: {exit_on_end: true}\n",
        "end stop a",
    ),
    case(
        "shutdown_signal",
        "processes:\n  a:\n    command: \"trap 'echo usr1 >> $TRACE; exit 0' USR1; while :; do sleep 0.05; done\"\n    shutdown: {signal: 10}\n  end:\n    command: sleep 0.3; echo end >> $TRACE\n    availability: {exit_on_end: true}\n",
        "end usr1",
    ),
    case(
        "shutdown_timeout_kills",
        "processes:\n  a:\n    command: \"trap 'echo asked >> $TRACE' TERM; while :; do sleep 0.05; done\"\n    shutdown: {timeout_seconds: 1}\n  end:\n    command: sleep 0.3; echo end >> $TRACE\n    availability: {exit_on_end: true}\n",
        "end asked",
    ),
    case(
        "replicas",
        "processes:\n  a:\n    command: echo $PC_PROC_NAME/$PC_REPLICA_NUM/{{.PC_REPLICA_NUM}} >> $TRACE\n    replicas: 2\n",
        "a-0/0/0 a-1/1/1",
    )
    .sorted(),
    case(
        "all_replicas_are_waited_for",
        "processes:\n  a:\n    command: sleep 0.{{.PC_REPLICA_NUM}}; echo a >> $TRACE\n    replicas: 3\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_completed}}\n",
        "a a a b",
    ),
    case(
        "one_namespace",
        "processes:\n  a: {command: echo a >> $TRACE, namespace: one}\n  b: {command: echo b >> $TRACE, namespace: [two, one], depends_on: {c: {condition: process_completed}}}\n  c: {command: echo c >> $TRACE}\n",
        "a b",
    )
    .args(&["-n", "one"])
    .sorted(),
    case(
        "named_with_what_they_need",
        "processes:\n  a: {command: echo a >> $TRACE}\n  b: {command: echo b >> $TRACE, depends_on: {a: {condition: process_completed}}}\n  c: {command: echo c >> $TRACE}\n",
        "a b",
    )
    .args(&["b"]),
    case(
        "a_process_extends_another",
        "processes:\n  base:\n    command: echo $A-$B >> $TRACE\n    environment: [A=1, B=1]\n    disabled: true\n  child:\n    extends: base\n    environment: [B=2]\n    is_disabled: \"false\"\n",
        "1-2",
    ),
    case(
        "a_file_extends_another",
        "extends: sub/base.yaml\nprocesses:\n  a: {environment: [A=child]}\n=== sub/base.yaml\nprocesses:\n  a: {command: echo $A $(basename $PWD) >> $TRACE, environment: [A=base]}\n",
        "child sub",
    ),
    case(
        "an_override_lies_over_it",
        "processes:\n  a: {command: echo $A $B >> $TRACE, environment: [A=1, B=1]}\n=== process-compose.override.yaml\nprocesses:\n  a: {environment: [B=2]}\n",
        "1 2",
    ),
    case(
        "values_with_equals_signs_are_kept",
        "processes:\n  a: {command: echo $A $B >> $TRACE, environment: [A=x=y, B=1]}\n=== process-compose.override.yaml\nprocesses:\n  a: {environment: [B=p=q]}\n",
        "x=y p=q",
    )
    .other("entries whose values hold `=`"),
    case(
        "several_files",
        "processes:\n  a: {command: echo never >> $TRACE}\n=== one.yaml\nprocesses:\n  a: {command: echo one >> $TRACE}\n=== two.yaml\nprocesses:\n  a: {command: echo two >> $TRACE}\n",
        "two",
    )
    .args(&["-f", "one.yaml", "-f", "two.yaml"]),
    case(
        "a_json_file",
        "processes: {}\n=== pc.json\n{\"version\": \"0.5\", \"processes\": {\"a\": {\"command\": \"echo json >> $TRACE\"}}}\n",
        "json",
    )
    .args(&["-f", "pc.json"]),
    case(
        "who_wins_in_the_environment",
        "environment: [TOP=top, BOTH=top, FILE=top]\nprocesses:\n  a:\n    command: echo $DOT $OS $TOP $BOTH $FILE >> $TRACE\n    env_file: own.env\n    environment: [BOTH=own]\n=== .env\nDOT=dot\nOS=dot\nTOP=dot\n=== own.env\nFILE=file\nBOTH=file\n",
        "dot os top own file",
    ),
    case(
        "without_the_env_file",
        "processes:\n  a: {command: \"echo a${DOT}$DOT >> $TRACE\", is_dotenv_disabled: true}\n  b: {command: \"echo b${DOT}$DOT >> $TRACE\"}\n=== .env\nDOT=dot\n",
        "adot bdotdot",
    )
    .sorted(),
    case(
        "expansion",
        "# ${not[an]expansion and ${another\nprocesses:\n  a:\n    command: |\n      FOO=shell\n      echo $FOO ${OS} ${FOO:-default} $${FOO} ${NONE:-d:${OS}} >> $TRACE\n",
        "shell os default shell d:os",
    )
    .other("forms that it does not know"),
    case(
        "forms_of_the_shell_are_left_alone",
        "processes:\n  a:\n    command: |\n      list=(x y)\n      echo ${list[@]} ${list[1]} ${NONE-unset} >> $TRACE\n",
        "x y y unset",
    )
    .other("forms that it does not know"),
    case(
        "no_expansion",
        "disable_env_expansion: true\nprocesses:\n  a:\n    command: OS=own; echo ${OS} >> $TRACE\n",
        "own",
    ),
    case(
        "templates",
        "vars: {NAME: top, PORT: 80}\nprocesses:\n  a:\n    command: echo {{.NAME}} {{printf \"%d%02d\" .PORT .PC_REPLICA_NUM}} $V >> $TRACE\n    vars: {NAME: own}\n    environment: [\"V={{.PORT}}\"]\n  b:\n    command: echo '{{.NAME}}' >> $TRACE\n    is_template_disabled: true\n    depends_on: {a: {condition: process_completed}}\n",
        "own 8000 80 {{.NAME}}",
    ),
    case(
        "a_template_for_somebody_else",
        "processes:\n  a:\n    command: echo '{{.Names}}' >> $TRACE\n",
        "{{.Names}}",
    )
    .other("templates that name nothing of the file"),
    case(
        "null_blocks_and_scalars",
        "version: 0.5\nvars:\nenvironment:\nprocesses:\n  a:\n    command: echo a >> $TRACE\n    environment:\n    depends_on:\n    readiness_probe:\n",
        "a",
    ),
    case(
        "unknown_keys_have_no_effect",
        "processes:\n  a:\n    command: echo a >> $TRACE\n    restart: always\n    ports: [80]\n    availability: {environment: [A=1]}\n",
        "a",
    ),
    case(
        "a_daemon",
        "processes:\n  d:\n    is_daemon: true\n    command: echo launched >> $TRACE\n    shutdown: {command: echo down >> $TRACE}\n    readiness_probe: {exec: {command: \"true\"}, period_seconds: 1}\n  a:\n    command: echo a >> $TRACE\n    depends_on: {d: {condition: process_healthy}}\n    availability: {exit_on_end: true}\n",
        "launched a down",
    ),
    case(
        "a_daemon_that_cannot_launch",
        "processes:\n  d:\n    is_daemon: true\n    command: echo launched >> $TRACE; exit 5\n    availability: {restart: exit_on_failure}\n  a: {command: exec sleep 60}\n",
        "launched",
    )
    .code(5, Original::Same),
    case(
        "a_probe_that_fails_ends_the_process",
        "processes:\n  a:\n    command: \"trap 'echo killed >> $TRACE; exit 0' TERM; while :; do sleep 0.05; done\"\n    readiness_probe: {exec: {command: \"false\"}, period_seconds: 1, failure_threshold: 2}\n  b:\n    command: echo b >> $TRACE\n    depends_on: {a: {condition: process_healthy}}\n",
        "killed",
    )
    .code(1, Original::Code(0, CODE)),
    case(
        "a_disabled_dependency_is_not_waited_for",
        "processes:\n  a: {command: echo a >> $TRACE, disabled: true}\n  b: {command: echo b >> $TRACE, depends_on: {a: {condition: process_completed}}}\n",
        "b",
    ),
    case(
        "an_entrypoint_and_a_folder",
        "processes:\n  a:\n    entrypoint: [sh, -c, 'echo $(basename $PWD) >> $TRACE']\n    working_dir: sub\n=== sub/x\n\n",
        "sub",
    ),
    case(
        "commands_give_variables",
        "env_cmds: {MADE: echo by a command, NOT: exit 3}\nprocesses:\n  a: {command: 'echo $MADE$NOT >> $TRACE'}\n",
        "by a command",
    ),
    case(
        "another_shell",
        "shell: {shell_command: sh, shell_argument: -ec}\nprocesses:\n  a: {command: echo $0 >> $TRACE; false; echo never >> $TRACE}\n",
        "sh",
    )
    .code(1, Original::Code(0, CODE)),
    case(
        "a_bad_working_dir_fails",
        "processes:\n  a: {command: echo a >> $TRACE, working_dir: nowhere}\n  b: {command: echo b >> $TRACE, depends_on: {a: {condition: process_completed_successfully}}}\n",
        "",
    )
    .code(1, Original::Same)
    .other("a process that cannot be launched"),
];

/// Files that are refused, and a part of what is said; the original refuses them too.
pub const REFUSED: &[(&str, &str, &str)] = &[
    (
        "undefined_dependency",
        "processes:\n  a: {command: x, depends_on: {nobody: {condition: process_started}}}\n",
        "no process is named `nobody`",
    ),
    (
        "circle",
        "processes:\n  a: {command: x, depends_on: {b: {condition: process_started}}}\n  b: {command: x, depends_on: {a: {condition: process_started}}}\n",
        "wait for each other in a circle",
    ),
    (
        "log_ready_without_a_line",
        "processes:\n  a: {command: x}\n  b: {command: x, depends_on: {a: {condition: process_log_ready}}}\n",
        "has no `ready_log_line`",
    ),
    (
        "line_and_probe",
        "processes:\n  a: {command: x, ready_log_line: x, readiness_probe: {exec: {command: x}}}\n",
        "both `ready_log_line` and `readiness_probe`",
    ),
    (
        "strict_and_an_unknown_key",
        "is_strict: true\nprocesses:\n  a: {command: x, restart: always}\n",
        "unknown key `restart` in a process",
    ),
    (
        "strict_and_no_probe",
        "is_strict: true\nprocesses:\n  a: {command: x}\n  b: {command: x, depends_on: {a: {condition: process_healthy}}}\n",
        "has no readiness probe",
    ),
    (
        "a_key_twice",
        "processes:\n  a: {command: x}\n  a: {command: y}\n",
        "the key `a` is given twice",
    ),
    (
        "extends_nobody",
        "processes:\n  a: {command: x, extends: nobody}\n",
        "no process is named `nobody`",
    ),
    (
        "extends_itself",
        "processes:\n  a: {command: x, extends: b}\n  b: {command: x, extends: a}\n",
        "extends itself",
    ),
    (
        "a_word_for_a_number",
        "processes:\n  a: {command: x, availability: {max_restarts: many}}\n",
        "expected a whole number",
    ),
    ("no_yaml", "processes: [\n", "[`"),
];
