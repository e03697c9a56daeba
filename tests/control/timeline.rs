//! How a running stack started.

use serde_json::Value;

use super::down;
use crate::harness::Pk;

#[test]
fn the_start_up_is_told_with_its_critical_path() {
    let yaml = "\
name: shop
services:
  db: {command: sleep 0.3; touch there; exec sleep 1000, readiness: {file: there}}
  cache: {command: exec sleep 1000}
  api: {command: exec sleep 1000, depends_on: [migrate, cache]}
tasks:
  migrate: {command: 'true', depends_on: [db]}
  never: {command: 'true', disabled: true}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("api     > started");
    let shown = pk.pk(["timeline", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown.assert_code(0).stdout()).unwrap();
    assert_eq!(
        shown["critical"],
        serde_json::json!(["db", "migrate", "api"])
    );
    let units = shown["units"].as_array().unwrap();
    let of = |name: &str| units.iter().find(|unit| unit["name"] == name).unwrap();
    assert_eq!(units.len(), 4, "{shown:#}");
    assert_eq!(of("migrate")["waited_for"], "db");
    assert_eq!(of("migrate")["reached"], "completed");
    assert_eq!(of("cache")["critical"], false);
    assert_eq!(of("db")["reached"], "ready");
    let text = pk.pk(["timeline"]);
    text.assert_code(0)
        .assert_shows(&["shop: all there after ", "critical path: db (", "·█"]);
    // What is restarted later is no part of the start-up.
    pk.pk(["restart", "cache", "--wait"]).assert_code(0);
    let again = pk.pk(["timeline", "--output", "json"]);
    let again: Value = serde_json::from_str(&again.stdout()).unwrap();
    assert_eq!(again, shown);
    down(pk);
    Pk::stack(yaml, ["timeline"]).code(3).run();
}
