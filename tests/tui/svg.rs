//! A screen as a picture, as it can stand in a page.

use std::fmt::Write as _;

/// Of a cell, in pixels.
const WIDE: f32 = 8.4;
const HIGH: f32 = 18.0;
/// Around the screen.
const MARGIN: f32 = 14.0;
const PAPER: &str = "#14171c";
const INK: &str = "#d5d9e0";
/// The sixteen that a terminal has of its own.
const OWN: [&str; 16] = [
    "#1d2026", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4",
    "#5c6370", "#ff7b86", "#b5e890", "#ffd68a", "#7cc4ff", "#d993f0", "#6fd3df", "#ffffff",
];

/// The bytes that a terminal was sent, drawn as it shows them.
pub fn svg(bytes: &[u8], columns: u16, rows: u16, title: &str) -> String {
    let size = |cells| std::num::NonZero::new(cells).unwrap();
    let mut parser = vt100::Parser::new(size(rows), size(columns), 0);
    parser.process(bytes);
    let screen = parser.screen();
    let (wide, high) = (
        f32::from(columns) * WIDE + 2.0 * MARGIN,
        f32::from(rows) * HIGH + 2.0 * MARGIN,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
         viewBox=\"0 0 {wide:.0} {high:.0}\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', \
         monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let run = run(screen, row, column, columns);
            draw(&mut out, &run, row, column);
            column += run.columns;
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Cells that look alike.
struct Run {
    text: String,
    columns: u16,
    ink: String,
    paper: Option<String>,
    weight: &'static str,
}

fn run(screen: &vt100::Screen, row: u16, from: u16, end: u16) -> Run {
    let look = |column: u16| {
        let cell = screen.cell(row, column).unwrap();
        let (mut ink, mut paper) = (color(cell.fgcolor()), color(cell.bgcolor()));
        if cell.inverse() {
            ink = Some(ink.unwrap_or_else(|| INK.to_owned()));
            std::mem::swap(&mut ink, &mut paper);
            ink = Some(ink.unwrap_or_else(|| PAPER.to_owned()));
        }
        let ink = ink.unwrap_or_else(|| INK.to_owned());
        let weight = match (cell.bold(), cell.dim()) {
            (true, _) => " font-weight=\"bold\"",
            (_, true) => " opacity=\"0.6\"",
            _ => "",
        };
        (ink, paper, weight)
    };
    let (ink, paper, weight) = look(from);
    let mut text = String::new();
    let mut column = from;
    while column < end && (column == from || look(column) == (ink.clone(), paper.clone(), weight)) {
        let cell = screen.cell(row, column).unwrap();
        let shape = block(cell.contents());
        // Drawn by itself.
        if shape.is_some() && column > from {
            break;
        }
        column += 1;
        if !cell.is_wide_continuation() {
            let contents = cell.contents();
            text.push_str(if contents.is_empty() { " " } else { contents });
        }
        if shape.is_some() {
            break;
        }
    }
    let columns = column - from;
    Run {
        text,
        columns,
        ink,
        paper,
        weight,
    }
}

fn draw(out: &mut String, run: &Run, row: u16, column: u16) {
    let (x, y) = (
        MARGIN + f32::from(column) * WIDE,
        MARGIN + f32::from(row) * HIGH,
    );
    let wide = f32::from(run.columns) * WIDE;
    if let Some(paper) = &run.paper {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{HIGH}\" fill=\"{paper}\"/>"
        );
    }
    if let Some((left, top, width, height)) = block(&run.text) {
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"{}/>",
            x + left * WIDE,
            y + top * HIGH,
            width * WIDE,
            height * HIGH,
            run.ink,
            match run.text.as_str() {
                "▓" => " fill-opacity=\"0.75\"",
                "▒" => " fill-opacity=\"0.5\"",
                "░" => " fill-opacity=\"0.25\"",
                _ => "",
            }
        );
        return;
    }
    let text = run.text.trim_end();
    if text.is_empty() {
        return;
    }
    let skipped = text.len() - text.trim_start().len();
    let x = x + f32::from(u16::try_from(skipped).unwrap()) * WIDE;
    let text = text.trim_start();
    let chars = u16::try_from(text.chars().count()).unwrap();
    let long = f32::from(chars) * WIDE;
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{long:.1}\" fill=\"{}\"{}>{text}</text>",
        y + HIGH * 0.74,
        run.ink,
        run.weight
    );
}

/// Of a cell that is drawn as a shape, which fits its neighbours in any font: left, top,
/// width and height as parts of the cell.
fn block(text: &str) -> Option<(f32, f32, f32, f32)> {
    let from_below = |eighths: u8| {
        let height = f32::from(eighths) / 8.0 * 0.78;
        Some((0.06, 0.86 - height, 0.88, height))
    };
    match text {
        "▁" => from_below(1),
        "▂" => from_below(2),
        "▃" => from_below(3),
        "▄" => from_below(4),
        "▅" => from_below(5),
        "▆" => from_below(6),
        "▇" => from_below(7),
        "█" | "▓" | "▒" | "░" => Some((0.0, 0.12, 1.0, 0.76)),
        "─" => Some((0.0, 0.48, 1.0, 0.06)),
        "━" => Some((0.0, 0.45, 1.0, 0.12)),
        "│" => Some((0.46, 0.0, 0.12, 1.0)),
        "┃" => Some((0.40, 0.0, 0.24, 1.0)),
        _ => None,
    }
}

fn color(color: vt100::Color) -> Option<String> {
    match color {
        vt100::Color::Default => None,
        vt100::Color::Idx(index) if index < 16 => Some(OWN[usize::from(index)].to_owned()),
        vt100::Color::Idx(index) if index < 232 => {
            let level = |of: u8| if of == 0 { 0 } else { 55 + 40 * u32::from(of) };
            let at = index - 16;
            let (red, green, blue) = (level(at / 36), level(at / 6 % 6), level(at % 6));
            Some(format!("#{red:02x}{green:02x}{blue:02x}"))
        }
        vt100::Color::Idx(index) => {
            let level = 8 + 10 * u32::from(index - 232);
            Some(format!("#{level:02x}{level:02x}{level:02x}"))
        }
        vt100::Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
    }
}

#[test]
fn a_screen_is_drawn_as_it_looks() {
    let bytes = b"\x1b[1;38;2;1;2;3ma<b\x1b[m \x1b[7m#\x1b[m\r\n\x1b[32m\xe2\x96\x88\x1b[m  end";
    let picture = svg(bytes, 10, 2, "two rows");
    for part in [
        "fill=\"#010203\" font-weight=\"bold\">a&lt;b</text>",
        "fill=\"#d5d9e0\"/>\n<text",
        "fill=\"#14171c\">#</text>",
        "fill=\"#98c379\"/>",
        ">end</text>",
        "<title>two rows</title>",
    ] {
        assert!(picture.contains(part), "{part} in:\n{picture}");
    }
}
