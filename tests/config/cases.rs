//! Bad files. A line `=== NAME` starts a further file.

pub const CASES: &[(&str, &str)] = &[
    ("key_typo_top", "servces:\n  web:\n    command: run\n"),
    (
        "key_typo_unit",
        "services:\n  web:\n    comand: run\n    command: run\n",
    ),
    (
        "key_typo_deep",
        "services:\n  web:\n    command: run\n    readiness:\n      http:\n        url: http://localhost\n        staus: 200\n      intervall: 1s\n",
    ),
    (
        "key_unknown",
        "services:\n  web:\n    image: nginx\n    command: run\n",
    ),
    (
        "key_dash_for_underscore",
        "services:\n  web:\n    command: run\n    depends-on: [db]\n  db:\n    command: run\n",
    ),
    (
        "key_typo_restart",
        "services:\n  web:\n    command: run\n    restart: {policy: always, max_restart: 3}\n",
    ),
    (
        "key_typo_stage",
        "tasks:\n  t:\n    pipeline:\n      - cat x\n      - comand: sort\n",
    ),
    (
        "key_typo_dependency",
        "services:\n  a: {command: run}\n  b:\n    command: run\n    depends_on:\n      a: {condtion: started}\n",
    ),
    (
        "key_twice",
        "services:\n  web:\n    command: one\n    command: two\n",
    ),
    (
        "unit_twice_in_file",
        "services:\n  web:\n    command: one\n  web:\n    command: two\n",
    ),
    (
        "unit_twice_across_kinds",
        "services:\n  web:\n    command: one\ntasks:\n  web:\n    command: two\n",
    ),
    (
        "unit_twice_across_files",
        "include: [other.yaml]\nservices:\n  web:\n    command: one\n=== other.yaml\nservices:\n  web:\n    command: two\n",
    ),
    (
        "unit_name_bad",
        "services:\n  my web:\n    command: run\n  -x:\n    command: run\n",
    ),
    ("type_list_for_map", "services:\n  - web\n"),
    ("type_string_for_unit", "services:\n  web: npm start\n"),
    (
        "type_map_for_command",
        "services:\n  web:\n    command:\n      run: x\n",
    ),
    (
        "type_quoted_number",
        "services:\n  web:\n    command: run\n    ports:\n      http: \"8080\"\n",
    ),
    (
        "type_word_for_number",
        "services:\n  web:\n    command: run\n    replicas: two\n    nice: 40\n",
    ),
    (
        "type_yes_for_true",
        "services:\n  web:\n    command: run\n    stdin: yes\n    disabled: 'true'\n",
    ),
    (
        "type_scalar_for_list",
        "services:\n  web:\n    command: run\n    depends_on: db\n    shell: bash\n",
    ),
    ("type_top_is_list", "- services\n"),
    ("type_top_is_text", "hello\n"),
    (
        "several_at_once",
        "nam: x\nservices:\n  web:\n    command: run\n    restrat: always\n    shutdown: {timeout: 10}\n    depends_on: [bd]\n  db:\n    command: []\n",
    ),
    (
        "command_missing",
        "services:\n  web:\n    description: no command\n  other:\n",
    ),
    (
        "command_and_pipeline",
        "tasks:\n  t:\n    command: a\n    pipeline: [a, b]\n",
    ),
    (
        "command_empty",
        "services:\n  a:\n    command: ''\n  b:\n    command: []\n  c:\n    pipeline: []\n",
    ),
    (
        "stage_without_command",
        "tasks:\n  t:\n    pipeline:\n      - cat x\n      - name: sort\n",
    ),
    (
        "duration_bare",
        "services:\n  web:\n    command: run\n    shutdown:\n      timeout: 10\n",
    ),
    (
        "duration_bad_unit",
        "services:\n  web:\n    command: run\n    timeouts:\n      ready: 2 minutes\n      wait: 1d\n      run: soon\n",
    ),
    (
        "duration_zero",
        "tasks:\n  t:\n    command: run\n    timeout: 0\n    schedule: {every: 0s}\n",
    ),
    (
        "duration_too_large",
        "tasks:\n  t:\n    command: run\n    timeout: 99999999999999999999h\n",
    ),
    (
        "size_bad",
        "services:\n  web:\n    command: run\n    limits:\n      memory: 512\n    logs:\n      max_size: 10Mb\n",
    ),
    (
        "condition_typo",
        "services:\n  db: {command: run}\n  web:\n    command: run\n    depends_on:\n      db: reddy\n",
    ),
    (
        "condition_compose",
        "services:\n  db: {command: run}\n  web:\n    command: run\n    depends_on:\n      db: {condition: service_healthy}\n",
    ),
    (
        "enum_typo",
        "services:\n  web:\n    command: run\n    restart: on_failure\n    lifetime: groop\n    essential: failed\n    tty: out\n",
    ),
    (
        "enum_false_for_no",
        "services:\n  web:\n    command: run\n    restart: false\n",
    ),
    (
        "signal_typo",
        "services:\n  web:\n    command: run\n    shutdown: {signal: SIGTREM}\n    success_exit_codes: [300, sigpip]\n",
    ),
    (
        "dependency_unknown",
        "services:\n  postgres: {command: run}\n  web:\n    command: run\n    depends_on: [postgers]\n",
    ),
    (
        "dependency_self",
        "services:\n  web:\n    command: run\n    depends_on: [web]\n",
    ),
    (
        "dependency_twice",
        "services:\n  db: {command: run}\n  web:\n    command: run\n    depends_on: [db, db]\n",
    ),
    (
        "dependency_cycle",
        "services:\n  a:\n    command: run\n    depends_on: [b]\n  b:\n    command: run\n    depends_on:\n      c: started\n  c:\n    command: run\n    depends_on:\n      a:\n        condition: started\n",
    ),
    (
        "dependency_two_cycles",
        "services:\n  a: {command: run, depends_on: [b]}\n  b: {command: run, depends_on: [a]}\n  c: {command: run, depends_on: [d]}\n  d: {command: run, depends_on: [c]}\n",
    ),
    (
        "dependency_on_instance",
        "services:\n  web: {command: run, replicas: 3}\n  lb:\n    command: run\n    depends_on: [web-1]\n",
    ),
    (
        "dependency_disabled",
        "services:\n  db: {command: run, disabled: true}\n  web:\n    command: run\n    depends_on: [db]\n",
    ),
    (
        "condition_never_ready",
        "services:\n  db: {command: run}\n  web:\n    command: run\n    depends_on: {db: ready}\n",
    ),
    (
        "condition_never_completed",
        "services:\n  db: {command: run, restart: always}\n  web:\n    command: run\n    depends_on: {db: completed}\n",
    ),
    (
        "condition_never_succeeded",
        "tasks:\n  seed: {command: run, restart: always}\nservices:\n  web:\n    command: run\n    depends_on: [seed]\n",
    ),
    (
        "condition_no_log_probe",
        "services:\n  db: {command: run, readiness: {tcp: 5432}}\n  web:\n    command: run\n    depends_on: {db: log_ready}\n",
    ),
    (
        "probe_two_kinds",
        "services:\n  web:\n    command: run\n    readiness:\n      http: http://localhost\n      tcp: 80\n",
    ),
    (
        "probe_no_kind",
        "services:\n  web:\n    command: run\n    readiness:\n      interval: 1s\n",
    ),
    (
        "probe_bad_url",
        "services:\n  a:\n    command: run\n    readiness: {http: 'localhost:8080/health'}\n  b:\n    command: run\n    readiness: {http: 'ftp://x/y'}\n  c:\n    command: run\n    readiness: {http: 'http://'}\n",
    ),
    (
        "probe_bad_tcp",
        "services:\n  web:\n    command: run\n    readiness: {tcp: 'localhost:http'}\n",
    ),
    (
        "probe_bad_regex",
        "services:\n  web:\n    command: run\n    readiness: {log: 'ready ['}\n",
    ),
    (
        "probe_bad_status",
        "services:\n  web:\n    command: run\n    readiness: {http: {url: 'http://x', status: [200, 2xx, 700]}}\n",
    ),
    (
        "probe_port_unknown",
        "services:\n  web:\n    command: run\n    ports: {http: 80}\n    readiness: {port: htp}\n  api:\n    command: run\n    readiness: {port: 8080}\n",
    ),
    (
        "probe_log_as_liveness",
        "services:\n  web:\n    command: run\n    liveness: {log: alive, on_failure: restart}\n",
    ),
    (
        "service_with_task_keys",
        "services:\n  web:\n    command: run\n    timeout: 1m\n    schedule: {every: 1h}\n    inputs: [a]\n",
    ),
    (
        "timeout_twice",
        "tasks:\n  t:\n    command: run\n    timeout: 1m\n    timeouts: {run: 2m}\n",
    ),
    (
        "restart_bad_values",
        "services:\n  web:\n    command: run\n    restart: {policy: always, backoff: 30s..200ms, factor: 0.5, jitter: 2}\n  api:\n    command: run\n    restart: {backoff: 5..10}\n",
    ),
    (
        "schedule_bad",
        "tasks:\n  a:\n    command: run\n    schedule: {cron: '61 * * * *', timezone: Europe/Berln}\n  b:\n    command: run\n    schedule: {cron: '* * *', every: 1h}\n  c:\n    command: run\n    schedule: {overlap: skip}\n",
    ),
    (
        "shutdown_both",
        "services:\n  web:\n    command: run\n    shutdown: {command: stop, send_keys: [q]}\n",
    ),
    (
        "watch_nothing",
        "services:\n  web:\n    command: run\n    watch: {run: make}\n  api:\n    command: run\n    watch: ['src/[']\n",
    ),
    (
        "umask_bad",
        "services:\n  web:\n    command: run\n    umask: 089\n",
    ),
    (
        "ports_bad",
        "services:\n  web:\n    command: run\n    ports: {http: 0, admin: 70000, dbg: atuo}\n",
    ),
    (
        "ports_same_variable",
        "services:\n  web:\n    command: run\n    ports: {a-b: 1, a_b: 2}\n",
    ),
    (
        "ports_clash",
        "services:\n  web:\n    command: run\n    ports: {http: 8080}\n  api:\n    command: run\n    ports: {http: 8080}\n",
    ),
    (
        "ports_with_replicas",
        "services:\n  web:\n    command: run\n    replicas: 2\n    ports: {http: 8080}\n",
    ),
    (
        "instance_name_taken",
        "services:\n  web: {command: run, replicas: 2}\n  web-2: {command: run}\n",
    ),
    (
        "variable_unset",
        "services:\n  web:\n    command: run\n    working_dir: ${HOEM}/x\n    environment:\n      A: pre-${NOT_THERE_AT_ALL}-post\n",
    ),
    (
        "variable_required",
        "services:\n  web:\n    command: run\n    environment:\n      KEY: ${API_KEY:?get one from the wiki}\n",
    ),
    (
        "variable_bad_form",
        "services:\n  web:\n    command: run\n    environment:\n      A: ${HOME-x}\n      B: ${HOME/a/b}\n      C: ${HOME\n      D: $HOME/x\n",
    ),
    (
        "variable_makes_no_number",
        "services:\n  web:\n    command: run\n    replicas: ${USER}\n",
    ),
    (
        "variable_in_quotes",
        "services:\n  web:\n    command: run\n    description: \"a \\\"quoted\\\" ${NOPE} é ${NOPE2}\"\n",
    ),
    (
        "port_in_shell",
        "services:\n  api:\n    command: run\n    ports: {http: 8080}\n  web:\n    command: curl http://localhost:${api.ports.http}/\n",
    ),
    (
        "port_unknown",
        "services:\n  api:\n    command: run\n    ports: {http: 8080}\n  web:\n    command: run\n    environment:\n      A: ${api.ports.htp}\n      B: ${apis.ports.http}\n",
    ),
    (
        "environment_list_bad",
        "environment: [A=1, B]\nservices:\n  web:\n    command: run\n    environment:\n      X:\n      'a=b': 1\n",
    ),
    (
        "env_file_missing",
        "env_file: missing.env\nservices:\n  web:\n    command: run\n    env_file: [{path: optional.env, required: false}, also-missing.env]\n",
    ),
    (
        "env_file_bad",
        "services:\n  web:\n    command: run\n=== .env\nGOOD=1\nthis is no variable\n2X=1\nA=\"open\n",
    ),
    (
        "include_missing",
        "include:\n  - parts/db.yaml\nservices:\n  web:\n    command: run\n",
    ),
    (
        "include_cycle",
        "include: [a.yaml]\nservices:\n  web:\n    command: run\n=== a.yaml\ninclude: [sub/b.yaml]\n=== sub/b.yaml\ninclude: [../a.yaml]\n",
    ),
    (
        "include_bad_file",
        "include: [a.yaml]\nservices:\n  web:\n    command: run\n=== a.yaml\nservices:\n  db:\n    comand: run\n",
    ),
    (
        "defaults_bad",
        "defaults:\n  services: {restart: allways}\n  tsks: {}\nservices:\n  a: {command: run}\n  b: {command: run}\n",
    ),
    ("file_empty", ""),
    ("file_only_comments", "# nothing\n"),
    ("file_no_units", "name: x\n"),
    ("yaml_tab", "services:\n  web:\n\tcommand: run\n"),
    (
        "yaml_open_double_quote",
        "services:\n  web:\n    command: \"run it\n  db:\n    command: x\n",
    ),
    (
        "yaml_open_single_quote",
        "services:\n  web:\n    command: 'run it\n",
    ),
    (
        "yaml_open_bracket",
        "services:\n  web:\n    command: [run, it\n  db:\n    command: x\n",
    ),
    (
        "yaml_bad_indentation",
        "services:\n  web:\n    command: run\n   description: x\n",
    ),
    (
        "yaml_colon_in_value",
        "services:\n  web:\n    command: echo a: b\n",
    ),
    (
        "yaml_no_space_after_colon",
        "services:\n  web:\n    command:run\n    tty: true\n",
    ),
    ("yaml_at_sign", "services:\n  web:\n    command: @run\n"),
    (
        "yaml_brace_value",
        "services:\n  web:\n    working_dir: {{ dir }}\n    command: run\n",
    ),
    (
        "yaml_two_documents",
        "services:\n  web:\n    command: run\n---\nservices: {}\n",
    ),
    (
        "yaml_unknown_alias",
        "services:\n  web:\n    command: *nope\n",
    ),
    ("yaml_alias_of_itself", "services: &all\n  web: *all\n"),
    (
        "yaml_merge_of_text",
        "x-a: &a text\nservices:\n  web:\n    <<: *a\n    command: run\n",
    ),
    (
        "yaml_unknown_tag",
        "services:\n  web:\n    command: !include run.sh\n",
    ),
    (
        "command_missing_beside_typo",
        "services:\n  web:\n    restrat: always\n  api:\n    comand: run\n",
    ),
    (
        "command_no_program",
        "services:\n  a:\n    command: ['']\n  b:\n    command: run\n    startup: {file: ''}\n",
    ),
    (
        "probe_bad_request",
        "services:\n  a:\n    command: run\n    readiness: {http: {url: 'http://localhost:99999/', method: GIT}}\n    liveness: {http: {url: 'http://localhost/', method: GIT}}\n",
    ),
    (
        "variable_name_bad",
        "environment: {'A B': 1}\nservices:\n  a:\n    command: run\n",
    ),
    (
        "probe_two_kinds_turned",
        "services:\n  web:\n    command: run\n    readiness: {tcp: 8080, http: 'http://localhost'}\n  api:\n    command: run\n    readiness: {exec: ''}\n",
    ),
    (
        "include_folder",
        "include: [.]\nservices:\n  web:\n    command: run\n",
    ),
    (
        "variable_not_text",
        "services:\n  web:\n    command: run\n    environment: {X: '${NOT_TEXT}', Y: '${NOT_TEXT:-y}'}\n",
    ),
    (
        "yaml_open_brace",
        "services: {a: {command: x}\ntasks: {b: {command: y}}\n",
    ),
    (
        "port_of_no_unit",
        "services:\n  web:\n    command: run\n    environment: {A: '${api.ports.http}', B: '${db.ports.sql}'}\n  db: {command: run}\n",
    ),
    (
        "type_slips",
        "services:\n  a: npm start\n  b:\n    command: run\n    depends_on: a\n    ports: ['8080:80']\n    restart: yes\n    watch: .\n    shell: bash -c\n  c:\n    command: run\n    ports: [3000]\n    restart: true\n",
    ),
    (
        "key_foreign",
        "processes: {}\nservices:\n  a:\n    env: {A: 1}\n    cmd: run\n    workdir: x\n    healthcheck: {}\n    readiness_probe: {}\n    liveness_probe: {}\n    image: nginx\n    availability: {}\n    is_daemon: true\n    quux: 1\n    zonk: 2\n",
    ),
    (
        "long_line",
        "services: {a: {command: run, description: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', restart: nver, tty: 3}}\n",
    ),
    (
        "stage_names_twice",
        "tasks:\n  t:\n    pipeline:\n      - {name: a, command: x}\n      - {name: a, command: y}\n      - z\n",
    ),
    (
        "name_bad",
        "name: a/b\nservices:\n  web:\n    command: run\n",
    ),
];
