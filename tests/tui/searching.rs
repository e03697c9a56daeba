//! A search in the dashboard, through more than is kept in memory.

use super::Screen;
use crate::harness::{Pk, poll};

/// Over 10 MiB of lines, of which the last is the last.
const STACK: &str = "name: long
services:
  api:
    command: 'seq -f \"this is line %.0f of very many\" 1 300000; touch written; exec sleep 1000'
";

#[test]
fn any_match_of_a_long_log_is_reached() {
    let pk = Pk::stack(STACK, []);
    let Some(screen) = Screen::open(pk, "up --log-memory 1MiB", 100, 24) else {
        return;
    };
    let written = screen.pk().path("written");
    poll("the lines", || written.exists().then_some(()));
    screen.wait_for("line 300000 of");
    screen.keys("l C-f 0 0 0 0 0 Space o f");
    screen.wait_for("“00000 of” 3/3 ");
    screen.keys("Enter N");
    screen.wait_for("“00000 of” 2/3 ");
    screen.wait_for("this is line 200000 of very many");
    screen.keys("N");
    screen.wait_for("“00000 of” 1/3 ");
    screen.wait_for("this is line 100000 of very many");
    // Round to the last one, and with another key back to the first.
    screen.keys("N");
    screen.wait_for("“00000 of” 3/3 ");
    screen.wait_for("this is line 300000 of very many");
    screen.keys("n");
    screen.wait_for("“00000 of” 1/3 ");
    // More of them than are kept at hand.
    screen.keys("C-f l i n e Space");
    screen.wait_for("“line ” 300000/300000 ");
    screen.keys("Enter n");
    screen.wait_for("“line ” 1/300000 ");
    screen.wait_for("this is line 1 of very many");
    // By itself: with another key right after it, it is one with Alt.
    screen.keys("Escape");
    screen.wait_until_gone("“line ”");
    screen.keys("C-f");
    screen.keys("l i n e Space 7 Space o f Enter");
    screen.wait_for("“line 7 of” 1/1 ");
    screen.wait_for("this is line 7 of very many");
}
