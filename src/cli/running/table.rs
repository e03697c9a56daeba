//! Text in columns.

use unicode_width::UnicodeWidthStr as _;

use crate::cli::style::Painter;

/// What stands in one place.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    paint: fn(Painter, &str) -> String,
}

impl Cell {
    #[must_use]
    pub fn plain(text: &str) -> Self {
        Self::painted(text, |_, text| text.to_owned())
    }

    #[must_use]
    pub fn painted(text: &str, paint: fn(Painter, &str) -> String) -> Self {
        // One row is one line, whatever a unit has said of itself.
        let text = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self { text, paint }
    }
}

/// Columns as wide as their widest cell; the last one is as wide as it likes.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    painter: Painter,
}

impl Table {
    #[must_use]
    pub fn new<'a>(head: impl IntoIterator<Item = &'a str>, painter: Painter) -> Self {
        let head = head.into_iter();
        let head = head.map(|text| Cell::painted(text, Painter::dim));
        Self {
            rows: vec![head.collect()],
            painter,
        }
    }

    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    #[must_use]
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                text.push_str(&(cell.paint)(self.painter, &cell.text));
                if column + 1 < row.len() {
                    let pad = widths[column] - cell.text.width() + 2;
                    text.extend(std::iter::repeat_n(' ', pad));
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["NAME", "STATUS"], Painter::new(false));
        table.row(["größe", "a\nb"].map(Cell::plain));
        table.row(["x", "ready"].map(Cell::plain));
        assert_eq!(table.render(), "NAME   STATUS\ngröße  a b\nx      ready\n");
    }
}
