//! Large files, with bounds ten times wider than the goal; `benches/plan.rs` measures.

use std::time::Instant;

use super::Project;

#[path = "../../benches/shapes/mod.rs"]
mod shapes;

#[test]
fn ten_thousand_units_in_every_shape() {
    for (name, text) in shapes::shapes(10_000) {
        let project = Project::of(&text);
        let start = Instant::now();
        let events = saphyr_parser::Parser::new_from_str(&text).count();
        let parse = start.elapsed();
        assert!(events > 100_000);
        let start = Instant::now();
        let loaded = project.load().unwrap();
        let whole = start.elapsed();
        assert_eq!(loaded.plan.units().len(), 10_000);
        assert!(
            whole < parse * 30,
            "{name}: {parse:?} to parse, {whole:?} in all"
        );
    }
}
