//! A running stack, seen and steered from other processes.

mod acts;
mod attach;
mod clients;
mod document;
mod exec;
mod hostile;
mod lend;
mod mcp;
mod ports;
mod properties;
mod protocol;
mod reload;
mod sessions;
mod shows;
mod soak;
mod storm;
mod tcp;
mod timeline;
mod unit_ports;

use crate::harness::{Pk, Running};

/// A stack with a bit of everything, all of it quick.
pub const SHOP: &str = "\
name: shop
services:
  db: {command: echo db is up; exec sleep 1000, readiness: {log: is up}}
  api: {command: echo hello; exec sleep 1000, depends_on: [db], profiles: [web]}
  web: {command: echo from $PK_INSTANCE; exec sleep 1000, replicas: 2, profiles: [web]}
tasks:
  migrate: {command: echo migrated, depends_on: [db]}
  broken: {command: exit 3, disabled: true}
";

/// The shop, with all of it up.
pub fn shop() -> Running {
    let pk = Pk::stack(SHOP, ["up", "--profile", "web"]).start();
    pk.wait_for("migrate > completed");
    for unit in ["api", "web-1", "web-2"] {
        pk.wait_for(&format!("{unit:<7} > started"));
    }
    // A change is told at once, a state a moment later.
    pk.pk(["wait", "db", "api", "web", "migrate"])
        .assert_code(0);
    pk
}

/// Ends it as a person would, and sees that nothing is left.
pub fn down(pk: Running) {
    down_with(pk, 0);
}

/// The same where `up` exits with that code.
pub fn down_with(pk: Running, code: i32) {
    pk.pk(["down"])
        .assert_code(0)
        .assert_shows(&["shop: stopped"]);
    assert_eq!(pk.pk(["ls"]).stdout(), "");
    pk.wait().assert_code(code);
}
