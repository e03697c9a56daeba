//! The core's properties over what a stack has told of itself: the lines of `pk events --output
//! json`, from its first one on. Of P2 is held what the events show: each unit that must be there
//! has an instance that is (and is ready, where that is asked). P3, P7 and P8 are about states,
//! for which [`Told::living`] is what the events make of them.

use std::collections::BTreeMap;

use serde_json::Value;

/// The first needs the second, which must be ready or only started.
pub type Need = (String, String, Must);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Must {
    Start,
    BeReady,
}

/// What is known of an instance by now.
#[derive(Default, Debug)]
struct Known {
    name: String,
    /// Told of, not yet made.
    starting: Option<u64>,
    /// Attempt and process of the run that lives.
    living: Option<(u64, u64)>,
    ready: bool,
    last_attempt: u64,
    /// Restarts of its own since it was last started by hand or for good.
    in_a_row: u64,
}

#[derive(Default)]
pub struct Told {
    needs: Vec<Need>,
    known: BTreeMap<u64, Known>,
    shutting_down: bool,
    pub starts: usize,
    pub violations: Vec<String>,
}

impl Told {
    pub fn new(needs: Vec<Need>) -> Self {
        Self {
            needs,
            ..Self::default()
        }
    }

    /// Takes in one line.
    pub fn hear(&mut self, line: &str) {
        let event: Value = serde_json::from_str(line).unwrap();
        if event.get("shutting_down").is_some() {
            self.shutting_down = true;
        }
        let Some(unit) = event.get("unit") else {
            return;
        };
        let id = unit["instance"].as_u64().unwrap();
        let name = unit["name"].as_str().unwrap_or_default();
        let change = &unit["change"];
        let attempt = |what: &str| change[what]["attempt"].as_u64();
        let mut wrong: Vec<String> = Vec::new();
        if attempt("starting").is_some() {
            wrong.extend(self.unmet(name));
        }
        if change.get("stopping").is_some() && self.shutting_down {
            wrong.extend(self.needed(name));
        }
        let shutting_down = self.shutting_down;
        let known = self.known.entry(id).or_default();
        if !name.is_empty() {
            name.clone_into(&mut known.name);
        }
        if let Some(attempt) = attempt("starting") {
            if let Some(living) = known.living {
                wrong.push(format!("P1: starts while {living:?} lives"));
            }
            if attempt <= known.last_attempt {
                wrong.push(format!("P4: attempt {attempt} comes again"));
            }
            if shutting_down {
                wrong.push("P5: starts after the shutdown".to_owned());
            }
            known.last_attempt = attempt;
            known.starting = Some(attempt);
            known.ready = false;
        }
        if let Some(attempt) = attempt("started") {
            if known.living.is_some() {
                wrong.push("P1: a second run has started".to_owned());
            }
            if known.starting.take() != Some(attempt) {
                wrong.push(format!("P4: attempt {attempt} was not starting"));
            }
            known.living = Some((attempt, change["started"]["pid"].as_u64().unwrap()));
            self.starts += 1;
        }
        if change.get("ready").is_some() {
            if known.living.is_none() {
                wrong.push("P4: ready, and does not live".to_owned());
            }
            known.ready = true;
        }
        if change.get("exited").is_some() {
            // One that is stopped while it is made is not told to have started.
            if known.living.take().is_none() && known.starting.take().is_none() {
                wrong.push("P4: exits, and did not live".to_owned());
            }
            known.ready = false;
        }
        if let Some(backoff) = change.get("backoff") {
            known.in_a_row += 1;
            let of = |what: &str| backoff[what].as_u64();
            if of("budget").is_some_and(|budget| of("restart") > Some(budget)) {
                wrong.push(format!("P6: more restarts than there may be: {backoff}"));
            }
        }
        if let Some(ended) = change.get("ended") {
            let gave_up = ended["outcome"]["failed"]["gave_up_after"].as_u64();
            if gave_up.is_some_and(|after| after > known.in_a_row) {
                wrong.push(format!(
                    "P6: gave up after {gave_up:?} of {}",
                    known.in_a_row
                ));
            }
            known.in_a_row = 0;
            known.starting = None;
        }
        let told = wrong.into_iter().map(|wrong| format!("{wrong}\n  {line}"));
        self.violations.extend(told);
    }

    /// What must be there for this one, and is not.
    fn unmet(&self, name: &str) -> Option<String> {
        let needs = self.needs.iter().filter(|(who, _, _)| is_of(name, who));
        let mut unmet = needs.filter(|(_, on, must)| {
            !self.known.values().any(|known| {
                is_of(&known.name, on)
                    && known.living.is_some()
                    && (*must == Must::Start || known.ready)
            })
        });
        let (_, on, must) = unmet.next()?;
        Some(format!("P2: {name} starts, and {on} did not {must:?}"))
    }

    /// Who lives and needs this one, of which no other instance stays.
    fn needed(&self, name: &str) -> Option<String> {
        let needs = self.needs.iter().filter(|(_, on, _)| is_of(name, on));
        let mut living = needs.filter_map(|(who, _, _)| {
            let mut known = self.known.values();
            known.find(|known| is_of(&known.name, who) && known.living.is_some())
        });
        let who = &living.next()?.name;
        Some(format!("P5: {name} is stopped, and {who} lives"))
    }

    /// By name: attempt and process of each that lives.
    pub fn living(&self) -> BTreeMap<String, (u64, u64)> {
        let known = self.known.values();
        known
            .filter_map(|known| Some((known.name.clone(), known.living?)))
            .collect()
    }

    /// After the last line of a stack that has ended.
    pub fn end(&mut self) {
        if !self.shutting_down {
            self.violations.push("P5: no shutdown was told".to_owned());
        }
        for (name, living) in self.living() {
            let text = format!("P5: {name} {living:?} has not ended");
            self.violations.push(text);
        }
    }
}

/// Whether an instance of that name is of this unit.
fn is_of(name: &str, unit: &str) -> bool {
    let rest = name.strip_prefix(unit);
    rest.is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// What is made of these lines, each `who what [number]`, by a stack in which b needs that a is
/// ready.
fn of(lines: &[&str]) -> Vec<String> {
    let mut told = Told::new(vec![("b".into(), "a".into(), Must::BeReady)]);
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "down" {
            told.hear(r#"{"at": "1s", "shutting_down": "requested"}"#);
            continue;
        }
        let number: u64 = words.get(2).map_or(1, |word| word.parse().unwrap());
        let change = match words[1] {
            "starting" => serde_json::json!({"starting": {"attempt": number}}),
            "started" => serde_json::json!({"started": {"attempt": number, "pid": number}}),
            "backoff" => serde_json::json!({"backoff": {"restart": number, "budget": 2}}),
            "gave-up" => {
                serde_json::json!({"ended": {"outcome": {"failed": {"gave_up_after": number}}}})
            }
            other => serde_json::json!({ other: {} }),
        };
        let instance = u64::from(words[0].as_bytes()[0]);
        let unit = serde_json::json!({"instance": instance, "name": words[0], "change": change});
        told.hear(&serde_json::json!({"at": "1s", "unit": unit}).to_string());
    }
    told.end();
    let first = |text: String| text.split(':').next().unwrap().to_owned();
    told.violations.into_iter().map(first).collect()
}

#[test]
fn what_breaks_no_property_is_let_pass() {
    let none: [&str; 0] = [];
    let whole = [
        "a starting",
        "a started",
        "a ready",
        "b starting",
        "b started",
        "b exited",
        "b backoff 1",
        "b starting 2",
        "b started 2",
        "b exited",
        "b gave-up 1",
        "b starting 3",
        "b started 3",
        "c starting",
        "c stopping",
        "c exited",
        "down",
        "b stopping",
        "b exited",
        "a stopping",
        "a exited",
    ];
    assert_eq!(of(&whole), none);
}

#[test]
fn what_breaks_one_is_named() {
    for (property, lines) in [
        (
            "P1",
            &[
                "a starting",
                "a started",
                "a starting 2",
                "a exited",
                "down",
            ][..],
        ),
        (
            "P1",
            &["a starting", "a started", "a started", "a exited", "down"],
        ),
        (
            "P2",
            &["a starting", "a started", "b starting", "a exited", "down"],
        ),
        ("P4", &["a starting 2", "a starting 1", "down"]),
        ("P4", &["a exited", "down"]),
        ("P4", &["a ready", "down"]),
        ("P5", &["down", "a starting"]),
        ("P5", &["a starting", "a started", "down"]),
        (
            "P5",
            &[
                "a starting",
                "a started",
                "a ready",
                "b starting",
                "b started",
                "down",
                "a stopping",
                "b exited",
                "a exited",
            ],
        ),
        ("P5", &["a starting", "a started", "a exited"]),
        ("P6", &["a backoff 3", "down"]),
        ("P6", &["a backoff 1", "a gave-up 2", "down"]),
    ] {
        assert!(
            of(lines).contains(&property.to_owned()),
            "{property}: {lines:?}"
        );
    }
}
