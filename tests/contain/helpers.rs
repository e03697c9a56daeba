use std::time::Duration;

use pk::contain::{Containment, HelperEnd, run_helper};
use pk::domain::exit::ExitStatus;

use super::{lives, sh, soon, until};

async fn a_helper_ends_with_its_status_and_the_end_of_its_output(containment: Containment) {
    let command = sh("echo out; echo err >&2; exit 3");
    let output = soon(run_helper(&containment, &command, super::DEADLINE))
        .await
        .unwrap();
    assert_eq!(output.end, HelperEnd::Exited(ExitStatus::Code(3)));
    let tail = String::from_utf8(output.tail).unwrap();
    assert!(tail.contains("out\n") && tail.contains("err\n"), "{tail}");
}

async fn only_the_end_of_much_output_is_kept(containment: Containment) {
    let command = sh("yes | head -n 1000000; echo the end");
    let output = soon(run_helper(&containment, &command, super::DEADLINE))
        .await
        .unwrap();
    assert_eq!(output.end, HelperEnd::Exited(ExitStatus::SUCCESS));
    assert!(output.tail.len() < 64 * 1024, "{}", output.tail.len());
    assert!(output.tail.ends_with(b"the end\n"));
}

async fn at_its_deadline_the_whole_group_is_killed(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = sh("trap '' TERM; sleep 1000 & echo $! $$ >pids; wait");
    command.working_dir = dir.path().to_path_buf();
    let output = soon(run_helper(
        &containment,
        &command,
        Duration::from_millis(500),
    ))
    .await
    .unwrap();
    assert_eq!(output.end, HelperEnd::TimedOut);
    let pids = std::fs::read_to_string(dir.path().join("pids")).unwrap();
    until("both are gone", || {
        pids.split_whitespace().all(|pid| !lives(pid))
    })
    .await;
}

async fn dropped_it_is_killed(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let mut command = sh("sleep 1000 & echo $! $$ >new; mv new pids; wait");
    command.working_dir = dir.path().to_path_buf();
    {
        let mut helper = Box::pin(run_helper(&containment, &command, super::DEADLINE));
        soon(async {
            while !file.exists() {
                let tick = tokio::time::sleep(Duration::from_millis(2));
                tokio::select! {
                    end = &mut helper => panic!("it ended: {end:?}"),
                    () = tick => {}
                }
            }
        })
        .await;
    }
    let pids = std::fs::read_to_string(file).unwrap();
    until("both are gone", || {
        pids.split_whitespace().all(|pid| !lives(pid))
    })
    .await;
}

async fn what_a_helper_leaves_running_is_killed(containment: Containment) {
    let command = sh("sleep 1000 & echo $!");
    let output = soon(run_helper(&containment, &command, super::DEADLINE))
        .await
        .unwrap();
    assert_eq!(output.end, HelperEnd::Exited(ExitStatus::SUCCESS));
    let pid = String::from_utf8(output.tail).unwrap();
    until("it is gone", || !lives(pid.trim())).await;
}

super::under_each_mechanism! {
    a_helper_ends_with_its_status_and_the_end_of_its_output,
    only_the_end_of_much_output_is_kept,
    at_its_deadline_the_whole_group_is_killed,
    dropped_it_is_killed,
    what_a_helper_leaves_running_is_killed,
}
