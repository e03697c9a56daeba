use pk::contain::{Containment, Pipe, SpawnRequest};
use pk::domain::exit::ExitStatus;
use pk::domain::signal::Signal;

use super::{sh, soon, text};

async fn statuses(containment: &Containment, scripts: &[&str]) -> Vec<ExitStatus> {
    let group = containment.group();
    let stages = scripts.iter().map(|script| sh(script)).collect();
    let running = group.spawn(&SpawnRequest::pipeline(stages)).unwrap();
    let statuses = soon(running.exited()).await.unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
    assert_eq!(soon(running.exited()).await.unwrap(), statuses);
    statuses
}

async fn each_stage_keeps_its_status(containment: Containment) {
    assert_eq!(
        statuses(&containment, &["false", "true", "exit 7"]).await,
        [1, 0, 7].map(ExitStatus::Code)
    );
}

async fn a_stage_whose_reader_ends_gets_sigpipe(containment: Containment) {
    let found = statuses(&containment, &["exec yes", "exec head -n 1"]).await;
    assert_eq!(
        found,
        [ExitStatus::Signal(Signal::PIPE), ExitStatus::SUCCESS]
    );
}

async fn the_last_stdout_and_every_stderr_are_captured(containment: Containment) {
    let group = containment.group();
    let mut running = group
        .spawn(&SpawnRequest::pipeline(vec![
            sh("echo one; echo E0 >&2"),
            sh("sed s/one/two/; echo E1 >&2"),
            sh("cat; echo E2 >&2"),
        ]))
        .unwrap();
    let mut found = Vec::new();
    for output in running.take_outputs() {
        let (stage, pipe) = (output.stage, output.pipe);
        found.push((stage, pipe, text(output).await));
    }
    assert_eq!(
        found,
        [
            (0, Pipe::Stderr, "E0\n".to_owned()),
            (1, Pipe::Stderr, "E1\n".to_owned()),
            (2, Pipe::Stdout, "two\n".to_owned()),
            (2, Pipe::Stderr, "E2\n".to_owned()),
        ]
    );
}

async fn all_stages_are_in_one_group_of_their_own(containment: Containment) {
    let group = containment.group();
    let running = group
        .spawn(&SpawnRequest::pipeline(vec![
            sh("sleep 1000"),
            sh("sleep 1000 | cat"),
            sh("exec cat"),
        ]))
        .unwrap();
    super::until("all have started", || {
        running.statuses().iter().all(Option::is_none)
    })
    .await;
    let _ = group.kill().unwrap();
    let ends = soon(running.exited()).await.unwrap();
    assert_eq!(ends, [ExitStatus::Signal(Signal::KILL); 3]);
    soon(group.emptied()).await.unwrap();
}

super::under_each_mechanism! {
    each_stage_keeps_its_status,
    a_stage_whose_reader_ends_gets_sigpipe,
    the_last_stdout_and_every_stderr_are_captured,
    all_stages_are_in_one_group_of_their_own,
}
