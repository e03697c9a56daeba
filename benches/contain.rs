//! What groups cost, beside the least that the kernel can do it for.
//!
//! ```text
//!  cargo bench --bench contain            every ratio, with its goal
//!  cargo bench --bench contain -- spawn   spawns 500 services and ends, for strace
//! ```
//!
//! The floor is a program of its own: `$PK_FLOOR`, else `/tmp/perf/bin/floor`; without it only
//! times are shown. Beside it lies `floor-rs`, which does the same with the processkit crate
//! (3.3.4), that this one does not depend on. All take turns, and medians are compared: a busy
//! machine slows all.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench shows its figures and stops at whatever fails"
)]

mod bounds;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use pk::contain::{Choice, Containment, Group, Mechanism, SpawnRequest, StageRequest, kill_all};

const SERVICES: usize = 500;
const TURNS: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let containment = match Containment::choose(Choice::Only(Mechanism::Cgroup)) {
        Ok(containment) => containment,
        Err(error) => {
            println!("NOT RUN: {error}");
            return ExitCode::SUCCESS;
        }
    };
    if std::env::args().any(|argument| argument == "spawn") {
        let groups = spawn_all(&containment, SERVICES);
        end(&groups).await;
        return ExitCode::SUCCESS;
    }
    let mut bounds = bounds::Bounds::new();
    batch(&containment, &mut bounds).await;
    memory(&containment, &mut bounds).await;
    stats(&containment, &mut bounds).await;
    bounds.end()
}

/// A service that does nothing, as small as there is.
fn service() -> SpawnRequest {
    let tiny = floor().with_file_name("tiny_stamp");
    let argv = if tiny.exists() {
        vec![tiny.to_string_lossy().into_owned()]
    } else {
        vec!["sleep".to_owned(), "1000".to_owned()]
    };
    SpawnRequest::command(StageRequest::new(argv, "/"))
}

fn floor() -> std::path::PathBuf {
    std::env::var_os("PK_FLOOR").map_or_else(|| "/tmp/perf/bin/floor".into(), Into::into)
}

fn spawn_all(containment: &Containment, count: usize) -> Vec<Group> {
    let service = service();
    (0..count)
        .map(|_| {
            let group = containment.group();
            let _running = group.spawn(&service).unwrap();
            group
        })
        .collect()
}

async fn end(groups: &[Group]) {
    kill_all(groups).await.unwrap();
    for group in groups {
        group.release().await.unwrap();
    }
}

/// Milliseconds of the floor: spawned, killed until reaped, removed.
fn floor_batch() -> Option<[Vec<f64>; 3]> {
    let ran = Command::new(floor())
        .args(["batch", &SERVICES.to_string()])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let of = |key: &str| {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("batch.own_cgroup"));
        let values = lines.filter_map(|line| {
            let word = line.split(' ').find_map(|word| word.strip_prefix(key))?;
            word.strip_prefix('=')?.parse().ok()
        });
        values.collect::<Vec<f64>>()
    };
    Some([of("spawned_ms"), of("kill_to_reaped_ms"), of("rmdir_ms")])
}

/// Milliseconds in which the processkit crate spawns as many, each into a group of its own.
fn peer_batch() -> Option<Vec<f64>> {
    let peer = floor().with_file_name("floor-rs");
    let ran = Command::new(peer)
        .args(["batch", &SERVICES.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let lines = text
        .lines()
        .filter(|line| line.contains("processkit_group_per_child"));
    let spawned = |line: &str| {
        let mut words = line.split(' ');
        let word = words.find_map(|word| word.strip_prefix("all_running_ms="));
        word?.parse().ok()
    };
    Some(lines.filter_map(spawned).collect())
}

async fn batch(containment: &Containment, bounds: &mut bounds::Bounds) {
    let (mut ours, mut least) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
    let mut peer = vec![];
    for _ in 0..TURNS {
        peer.extend(peer_batch().into_iter().flatten());
        let began = Instant::now();
        let groups = spawn_all(containment, SERVICES);
        ours[0].push(ms(began));
        let began = Instant::now();
        kill_all(&groups).await.unwrap();
        ours[1].push(ms(began));
        let began = Instant::now();
        for group in &groups {
            group.release().await.unwrap();
        }
        ours[2].push(ms(began));
        drop(groups);
        for (all, some) in least.iter_mut().zip(floor_batch().into_iter().flatten()) {
            all.extend(some);
        }
    }
    show(
        bounds,
        "spawn of 500 into 500 groups, ms",
        &mut ours[0],
        &mut least[0],
        Some(1.5),
    );
    show(
        bounds,
        "spawn of 500 into 500 groups against processkit, ms",
        &mut ours[0],
        &mut peer,
        Some(0.5),
    );
    show(
        bounds,
        "kill of 500 groups to all empty, ms",
        &mut ours[1],
        &mut least[1],
        Some(1.5),
    );
    show(
        bounds,
        "release of 500 groups, ms",
        &mut ours[2],
        &mut least[2],
        None,
    );
}

/// This thread's processor time per spawn, with little and with much memory.
async fn memory(containment: &Containment, bounds: &mut bounds::Bounds) {
    let mut figures = [vec![], vec![]];
    for _ in 0..TURNS {
        for (mib, figure) in [10, 1024].into_iter().zip(&mut figures) {
            let resident = vec![1_u8; mib << 20];
            let before = on_cpu();
            let groups = spawn_all(containment, 100);
            let spent = on_cpu().saturating_sub(before);
            figure.push(spent.as_secs_f64() * 1e6 / 100.0);
            std::hint::black_box(&resident);
            end(&groups).await;
        }
    }
    let [little, much] = &mut figures;
    show(
        bounds,
        "cpu per spawn with 1 GiB against 10 MiB, us",
        much,
        little,
        Some(1.5),
    );
}

async fn stats(containment: &Containment, bounds: &mut bounds::Bounds) {
    let groups = spawn_all(containment, 200);
    let files: Vec<File> = groups
        .iter()
        .map(|group| File::open(group.cgroup_path().unwrap().join("cpu.stat")).unwrap())
        .collect();
    let (mut ours, mut least) = (vec![], vec![]);
    for _ in 0..8 * TURNS {
        let began = Instant::now();
        for group in &groups {
            std::hint::black_box(group.stats().await.unwrap());
        }
        ours.push(ms(began) * 1e3 / 200.0);
        let mut buffer = [0; 4096];
        let began = Instant::now();
        for file in &files {
            std::hint::black_box(file.read_at(&mut buffer, 0).unwrap());
        }
        least.push(ms(began) * 1e3 / 200.0);
    }
    show(
        bounds,
        "sample of a group against one open file, us",
        &mut ours,
        &mut least,
        Some(2.0),
    );
    end(&groups).await;
}

fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Without anything to compare with, or without a bound, it is shown alone.
fn show(
    bounds: &mut bounds::Bounds,
    what: &str,
    ours: &mut [f64],
    least: &mut [f64],
    bound: Option<f64>,
) {
    let (ours, least) = (median(ours), median(least));
    let ratio = ours / least;
    let text = format!("{what}: {ours:.2} against {least:.2} = {ratio:.2}");
    match bound.filter(|_| ratio.is_finite()) {
        Some(bound) => bounds.hold(&text, ratio, bound),
        None => println!("{text}"),
    }
}
