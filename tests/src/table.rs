//! Numbers and tables as people read them.

/// A number with a comma between each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows under a headline. The first columns are words and stand to the left, the others figures and stand to the right.
#[derive(Debug)]
pub struct Table {
    headline: Vec<String>,
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one, of whose columns the first `words` are words.
    pub fn new<T: Into<String>>(headline: impl IntoIterator<Item = T>, words: usize) -> Self {
        Self { headline: headline.into_iter().map(Into::into).collect(), words, rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has not a cell for each column.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.headline.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    /// As lines for a terminal.
    pub fn text(&self) -> String {
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
    pub fn markdown(&self) -> String {
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
        let mut table = Table::new(["SYSTEM", "RATE"], 1);
        table.row(["Waypost", "12,345"]);
        table.row(["größer", "7"]);
        table
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
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
