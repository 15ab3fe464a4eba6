//! Tables of text: a first column of names, the others right-aligned.

use std::fmt;

/// Rows of cells; the first row is the heading.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a title and a heading.
    pub fn new(title: impl Into<String>, heading: Vec<String>) -> Table {
        Table { title: title.into(), rows: vec![heading] }
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = String>) {
        let mut row = vec![name.into()];
        row.extend(cells);
        self.rows.push(row);
    }

    /// Whether there is anything below the heading.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![0; self.rows.iter().map(Vec::len).max().unwrap_or(0)];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        writeln!(f, "{}", self.title)?;
        for row in &self.rows {
            let mut line = String::from("  ");
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let cell = if index == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with as many digits as it deserves; a dash for none.
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
    }
}

/// A ratio with two decimals; a dash if either side is missing.
pub fn ratio(value: Option<f64>, to: Option<f64>) -> String {
    value.zip(to).map_or_else(|| "-".into(), |(value, to)| format!("{:.2}", value / to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("title", vec!["".into(), "n".into()]);
        table.row("long name", ["1,000".to_owned()]);
        assert_eq!(table.to_string(), "title\n                 n\n  long name  1,000\n");
    }

    #[test]
    fn a_ratio_to_nothing_is_a_dash() {
        assert_eq!(ratio(Some(1.0), None), "-");
    }
}
