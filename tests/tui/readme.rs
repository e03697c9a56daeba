//! The pictures of the shop that README.md shows: made of what a terminal has on it.

use super::Screen;
use super::svg::svg;
use crate::harness::{Pk, free_port, package};

const COLUMNS: u16 = 112;
const ROWS: u16 = 26;

/// The shop in a terminal of many colours. With `PK_SCREENS` set its ports are those of the
/// file.
fn shop() -> Option<Screen> {
    let mut pk = Pk::new([] as [&str; 0])
        .cwd(package().join("examples/shop"))
        .env("COLORTERM", "truecolor");
    if !is_made() {
        for name in ["SHOP_DB_PORT", "SHOP_API_PORT", "SHOP_WEB_PORT"] {
            pk = pk.env(name, &free_port().to_string());
        }
    }
    let at = package().join("examples/shop");
    let screen = Screen::open(pk, &format!("-C {} up", at.display()), COLUMNS, ROWS)?;
    screen.wait_for("● web");
    screen.wait_for("✓ migrate");
    screen.wait_for("ready in");
    Some(screen)
}

fn is_made() -> bool {
    std::env::var_os("PK_SCREENS").is_some()
}

/// Keeps what is on the screen, if the pictures are to be made.
fn keep(screen: &Screen, name: &str, title: &str) {
    let rows = screen.state("#{window_height}").parse().unwrap();
    let picture = svg(&screen.drawing(), COLUMNS, rows, title);
    // What is on the screen is in the picture.
    assert!(picture.contains("shop"), "{picture}");
    assert!(picture.matches("<text").count() > 20, "{picture}");
    if is_made() {
        let folder = package().join("docs/screens");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.svg")), picture).unwrap();
    }
}

#[test]
fn screens_of_the_shop() {
    let Some(screen) = shop() else {
        return;
    };
    // Orders make something to look at.
    for _ in 0..4 {
        screen.run(&["run", "order", "--", "tea"]);
    }
    screen.wait("a trail of what they use", |text| {
        text.lines()
            .any(|line| line.contains("● worker") && line.contains("▁▁▁▁"))
    });
    screen.keys("Down Down l");
    screen.wait_for("─ all units ─");
    screen.wait("an order", |text| text.contains("tea"));
    keep(
        &screen,
        "overview",
        "the overview of pk's dashboard, with the log of all units below",
    );
    screen.keys("f4 t C-f t e a Enter");
    screen.wait("matches", |text| {
        text.contains("“tea” ") && !text.contains("search:")
    });
    screen.keys("N N");
    keep(&screen, "logs", "a search in the log of all units");
    screen.keys("2");
    screen.resize(COLUMNS, 10);
    screen.wait("the graph", |text| {
        text.contains("GRAPH") && text.contains(" is needed by ")
    });
    keep(&screen, "graph", "what depends on what");
    screen.resize(COLUMNS, 13);
    screen.keys("3");
    screen.wait_for("critical path");
    let text = screen.wait_for("READY");
    // What is probed is not ready when it starts.
    assert!(text.contains('▒'), "{text}");
    keep(&screen, "timeline", "how the start went");
    screen.keys("q");
    screen.wait_for("leave shop?");
    screen.keys("s");
    screen.wait_for("shop ended");
}
