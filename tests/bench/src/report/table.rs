//! Tables of text.

/// Rows under a headline. The first columns are words and stand to the left, the others figures and stand to the right.
#[derive(Debug)]
pub(crate) struct Table {
    headline: Vec<String>,
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one, of whose columns the first `words` are words.
    pub(crate) fn new(headline: Vec<String>, words: usize) -> Self {
        Self { headline, words, rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.headline.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    /// As lines for a terminal.
    pub(crate) fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.headline.len())
            .map(|column| self.lines().map(|row| row[column].chars().count()).max().unwrap_or_default())
            .collect();
        let mut text = String::new();
        for row in self.lines() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column < self.words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.extend([line.trim_end(), "\n"]);
        }
        text
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
        let rule = (0..self.headline.len()).map(|column| if column < self.words { "---" } else { "---:" });
        let rule: Vec<String> = rule.map(str::to_owned).collect();
        [line(&self.headline), line(&rule)].into_iter().chain(self.rows.iter().map(|row| line(row))).collect()
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.headline).chain(&self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let mut table = Table::new(cells(["SYSTEM", "RATE"]), 1);
        table.row(cells(["Waypost", "12,345"]));
        table.row(cells(["größer", "7"]));
        table
    }

    #[test]
    fn words_stand_left_and_figures_right() {
        assert_eq!(
            table().text(),
            "SYSTEM     RATE\n\
             Waypost  12,345\n\
             größer        7\n"
        );
    }

    #[test]
    fn markdown_has_a_rule_below_the_headline() {
        assert_eq!(
            table().markdown(),
            "| SYSTEM | RATE |\n\
             | --- | ---: |\n\
             | Waypost | 12,345 |\n\
             | größer | 7 |\n"
        );
    }
}
