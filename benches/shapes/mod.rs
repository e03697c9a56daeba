//! Files of many units, in the shapes that graphs have.

use std::fmt::Write as _;

/// `count` units that `dependencies` links; each names what it depends on.
fn file(count: usize, mut dependencies: impl FnMut(usize) -> Vec<usize>) -> String {
    let mut text = String::from("name: large\nenvironment:\n  LEVEL: debug\nservices:\n");
    for unit in 0..count {
        let _ = write!(
            text,
            "  unit-{unit}:\n    command: exec ./bin/unit --number {unit}\n    environment:\n      NUMBER: {unit}\n      URL: http://localhost:{unit}/\n    restart: on-failure\n"
        );
        let needed = dependencies(unit);
        if !needed.is_empty() {
            let names: Vec<_> = needed.iter().map(|n| format!("unit-{n}")).collect();
            let _ = writeln!(text, "    depends_on: [{}]", names.join(", "));
        }
    }
    text
}

/// The name of each shape and its file of `count` units.
pub fn shapes(count: usize) -> Vec<(&'static str, String)> {
    let wide = file(count, |_| Vec::new());
    // Ten chains; each unit waits for the one before it.
    let chain = file(count, |unit| {
        let length = (count / 10).max(1);
        (unit % length > 0).then(|| unit - 1).into_iter().collect()
    });
    // Layers of a hundred; each unit waits for four of the layer above.
    let mut random = fastrand::Rng::with_seed(7);
    let layered = file(count, |unit| {
        let layer = unit / 100 * 100;
        let mut needed: Vec<usize> = match layer {
            0 => Vec::new(),
            _ => (0..4).map(|_| random.usize(layer - 100..layer)).collect(),
        };
        needed.sort_unstable();
        needed.dedup();
        needed
    });
    vec![("wide", wide), ("chain", chain), ("layered", layered)]
}
