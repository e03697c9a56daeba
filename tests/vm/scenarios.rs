//! What is run in the machine.

/// One stack, and how it is run.
pub struct Scenario {
    pub name: &'static str,
    pub yaml: &'static str,
    /// A shell command; `pk` stands for itself.
    pub run: &'static str,
}

pub const SCENARIOS: [Scenario; 13] = [
    Scenario {
        name: "memory",
        yaml: "tasks:\n  hog: {command: tail /dev/zero, limits: {memory: 32MiB}}\n",
        run: "pk up",
    },
    Scenario {
        name: "restarted",
        yaml: "\
services:
  hog:
    command: 'echo begun; tail /dev/zero; true; exit 9'
    limits: {memory: 32MiB}
    restart: {policy: always, max_restarts: 1, backoff: 10ms}
  fine: {command: 'echo fine; sleep 3'}
",
        run: "pk up",
    },
    Scenario {
        name: "cpus",
        yaml: "\
tasks:
  busy:
    command: |
      n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done
      here=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
      echo max: $(cat $here/cpu.max)
      test $(grep nr_throttled $here/cpu.stat | cut -d' ' -f2) -gt 0 && echo was throttled
    limits: {cpus: 0.25}
",
        run: "pk up",
    },
    Scenario {
        name: "pids",
        yaml: "\
tasks:
  forks:
    command: 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo all; wait'
    limits: {pids: 4}
  others: {command: 'for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; echo all; wait'}
",
        run: "pk up",
    },
    Scenario {
        name: "own-cgroup",
        yaml: ALL,
        run: "in_cgroup alone root pk up",
    },
    Scenario {
        name: "delegated",
        yaml: ALL,
        run: "in_cgroup delegated user pk up",
    },
    Scenario {
        name: "shared",
        yaml: ALL,
        run: "sleep 1000 & echo $! >/sys/fs/cgroup/shared/cgroup.procs\n\
              in_cgroup shared user pk up\n kill $!",
    },
    Scenario {
        name: "without-memory",
        yaml: ALL,
        run: "in_cgroup part/given user pk up",
    },
    Scenario {
        name: "foreign",
        yaml: ALL,
        run: "in_cgroup foreign user pk up",
    },
    Scenario {
        name: "killed",
        yaml: "services:\n  a: {command: sleep 1000, limits: {memory: 32MiB}}\n",
        run: "\
in_cgroup killed root pk up &
until pk ps 2>/dev/null | grep -q running; do sleep 0.1; done
echo before: $(ls -d /sys/fs/cgroup/killed/*/)
kill -9 $(supervisor)
wait
echo passed on: $(cat /sys/fs/cgroup/killed/cgroup.subtree_control).
",
    },
    Scenario {
        name: "clock",
        yaml: "\
name: clock
services:
  flaps:
    command: 'sleep 0.2; exit 1'
    restart: {policy: always, backoff: 1s, factor: 1, jitter: 0, max_restarts: 3}
  slow:
    command: 'sleep 4; touch up; exec sleep 1000'
    readiness: {file: up, interval: 200ms, timeout: 60s}
  deaf:
    command: 'trap \"\" TERM; while :; do sleep 0.1; done'
    shutdown: {timeout: 3s}
tasks:
  timed: {command: exec sleep 1000, timeout: 8s}
",
        // It stays a year ahead while the stack is being stopped.
        run: "\
pk up --no-tui --keep-project &
eventually 'pk ps >/dev/null'
began=$(cut -d. -f1 /proc/uptime)
while [ $(($(cut -d. -f1 /proc/uptime) - began)) -lt 12 ]; do
  date -s @$(($(date +%s) + 31536000)) >/dev/null; sleep 0.3
  date -s @$(($(date +%s) - 63072000)) >/dev/null; sleep 0.3
  date -s @$(($(date +%s) + 31536000)) >/dev/null; sleep 0.3
done
date -s @$(($(date +%s) + 31536000)) >/dev/null
pk down
date -s @$(($(date +%s) - 31536000)) >/dev/null
wait
",
    },
    Scenario {
        name: "overflow",
        yaml: "\
services:
  api:
    command: 'echo has $(cat src/a); exec sleep 1000'
    watch: {paths: [src], debounce: 20ms}
",
        run: "\
echo 16 >/proc/sys/fs/inotify/max_queued_events
mkdir -p src/flood; echo one >src/a
pk up --no-tui &
eventually 'pk watch status --output json | grep -q unit'
supervisor=$(supervisor)
kill -STOP $supervisor
for n in 1 2 3 4 5 6 7 8; do echo >src/flood/$n; rm src/flood/$n; done
echo two >src/a
kill -CONT $supervisor
eventually 'pk logs api | grep -q has.two'
pk down
wait
echo 16384 >/proc/sys/fs/inotify/max_queued_events
",
    },
    Scenario {
        name: "few-numbers",
        yaml: crate::processes::reuse::STACK,
        run: FEW_NUMBERS,
    },
];

/// Each limit once, with the words that tell whether it holds.
const ALL: &str = "\
tasks:
  hog: {command: tail /dev/zero, limits: {memory: 32MiB}}
  forks: {command: 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & echo all; wait', limits: {pids: 3}}
  mild: {command: echo ran, limits: {memory: 32MiB, pids: 50, cpus: 0.5, best_effort: true}}
";

/// With the limit of the whole machine, as it is before Linux 6.14.
const FEW_NUMBERS: &str = concat!(
    "before=$(cat /proc/sys/kernel/pid_max); echo 400 >/proc/sys/kernel/pid_max; TURNS=3\n",
    "set -- pk up --no-tui\n",
    crate::processes::reuse::beside_strangers!(),
    "echo $before >/proc/sys/kernel/pid_max\n",
);
