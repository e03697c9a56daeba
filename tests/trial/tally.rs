//! What is stored against what was logged.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::harness::visits::Place;

/// The rows of the table.
pub fn stored(place: &Place) -> BTreeMap<u64, String> {
    let sql = "select id, name from visit";
    let output = place
        .client("psql")
        .args(["-qXAt", "-F", ":", "-c", sql])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().map(|line| line.split_once(':').unwrap());
    rows.map(|(id, name)| (id.parse().unwrap(), name.to_owned()))
        .collect()
}

/// How many visits Redis has seen.
pub fn counted(place: &Place) -> u64 {
    let output = place
        .client("redis-cli")
        .args(["-p", &place.redis_port(), "get", "visits"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().parse().unwrap()
}

/// What the log holds of the application, as two readers saw it.
#[derive(Debug)]
pub struct Logged {
    /// Read from the store after the end.
    pub kept: Vec<String>,
    /// Read while it was written.
    pub followed: Vec<String>,
}

/// The texts of what `pk logs --output json` has told.
pub fn texts(json: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        text: String,
    }
    let lines = json.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Line>(line).unwrap().text)
        .collect()
}

#[derive(Debug, Default)]
pub struct Tally {
    rows: usize,
    lines: usize,
    /// Rows whose line is missing.
    lost: Vec<String>,
    /// Lines that came again.
    twice: Vec<String>,
    /// Lines without a row.
    made_up: Vec<String>,
    /// Rows of which the application was told that they failed.
    unsure: usize,
    /// Lines in which the two readers differ.
    differ: Vec<(String, String)>,
}

impl Tally {
    pub fn new(stored: &BTreeMap<u64, String>, logged: &Logged) -> Self {
        let mut tally = Self {
            rows: stored.len(),
            lines: logged.kept.len(),
            ..Self::default()
        };
        let mut seen = HashSet::new();
        let mut failed = HashSet::new();
        for line in &logged.kept {
            if let Some((id, name)) = visit(line) {
                if !seen.insert(id) {
                    tally.twice.push(line.clone());
                }
                if stored.get(&id).is_none_or(|stored| stored != name) {
                    tally.made_up.push(line.clone());
                }
            } else if let Some(rest) = line.strip_prefix("failed: ") {
                failed.insert(rest.split(':').next().unwrap_or_default());
            }
        }
        for (id, name) in stored {
            if seen.contains(id) {
                continue;
            }
            // The database had stored it, and could not say so any more.
            if failed.contains(name.as_str()) {
                tally.unsure += 1;
            } else {
                tally.lost.push(format!("{id}: {name}"));
            }
        }
        if logged.kept.len() != logged.followed.len() {
            let count = |lines: &[String]| format!("{} lines", lines.len());
            let both = (count(&logged.kept), count(&logged.followed));
            tally.differ.push(both);
        }
        let both = logged.kept.iter().zip(&logged.followed);
        let first = both.filter(|(kept, followed)| kept != followed).take(5);
        tally
            .differ
            .extend(first.map(|(kept, followed)| (kept.clone(), followed.clone())));
        tally
    }

    #[track_caller]
    pub fn assert_whole(&self) {
        let wrong = self.lost.len() + self.twice.len() + self.made_up.len() + self.differ.len();
        assert_eq!(wrong, 0, "{self:?}");
    }
}

/// The number and the name in a line such as `visit 17: Ada`.
fn visit(line: &str) -> Option<(u64, &str)> {
    let (id, name) = line.strip_prefix("visit ")?.split_once(": ")?;
    Some((id.parse().ok()?, name))
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows, {} lines of the application: {} lost, {} twice, {} made up, {} unsure",
            self.rows,
            self.lines,
            self.lost.len(),
            self.twice.len(),
            self.made_up.len(),
            self.unsure
        )
    }
}

/// What a trial would find, were it there.
#[test]
fn what_is_lost_or_twice_or_made_up_is_found() {
    let stored = [(1, "Ada"), (2, "Bob"), (3, "Eve")].map(|(id, name)| (id, name.to_owned()));
    let stored = BTreeMap::from(stored);
    let tally = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let followed = lines.iter().take(4).cloned().collect();
        let kept = lines;
        Tally::new(&stored, &Logged { kept, followed })
    };
    let whole = tally(&[
        "listening",
        "visit 1: Ada",
        "failed: Bob: gone",
        "visit 3: Eve",
    ]);
    whole.assert_whole();
    assert_eq!((whole.rows, whole.lines, whole.unsure), (3, 4, 1));
    let wrong = tally(&[
        "visit 1: Ada",
        "visit 1: Ada",
        "visit 3: Bob",
        "visit 4: Eve",
        "good night",
    ]);
    assert_eq!(wrong.twice, ["visit 1: Ada"]);
    assert_eq!(wrong.made_up, ["visit 3: Bob", "visit 4: Eve"]);
    assert_eq!(wrong.lost, ["2: Bob"]);
    assert_eq!(wrong.differ.len(), 1);
}
