//! Tables of text.

use super::{BOLD, clean, paint};

/// Rows under a headline, columns as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    headline: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new<const N: usize>(headline: [&str; N]) -> Self {
        Self { headline: headline.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row; control characters in it become blanks.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.headline.len(), "a row has a cell for each column");
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// The table as lines, two blanks between columns and none at the ends of lines.
    pub(crate) fn render(&self, colour: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for (index, row) in std::iter::once(&self.headline).chain(&self.rows).enumerate() {
            let line = Self::line(row, &widths);
            text.push_str(&paint(colour && index == 0, BOLD, &line));
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![0; self.headline.len()];
        for row in std::iter::once(&self.headline).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    fn line(row: &[String], widths: &[usize]) -> String {
        let padded: Vec<String> =
            row.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["NAME", "PORT", "NOTE"]);
        table.row(["msa".into(), "10587".into(), String::new()]);
        table.row(["a-long-name".into(), "25".into(), "größer".into()]);
        assert_eq!(
            table.render(false),
            "NAME         PORT   NOTE\n\
             msa          10587\n\
             a-long-name  25     größer\n"
        );
    }

    #[test]
    fn cells_cannot_break_the_lines() {
        let mut table = Table::new(["A"]);
        table.row(["x\ny".into()]);
        assert_eq!(table.render(false), "A\nx y\n");
    }
}
