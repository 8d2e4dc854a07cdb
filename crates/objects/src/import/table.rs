//! Tables of other programs: comma, semicolon or tab between the cells, quotation marks around
//! them (RFC 4180), line ends inside those. Reads lines into rows; which column means what, it does
//! not know.

use super::cells::unquoted;

/// Most columns.
pub const MAX_COLUMNS: usize = 1_024;
/// Longest row, in bytes, with the lines inside its quotation marks.
pub const MAX_ROW: usize = 1 << 20;
/// Most lines inside the quotation marks of one row.
const MAX_LINES: usize = 10_000;

/// A row: the line it begins at, and its cells or what is wrong with it.
pub type Row = (u64, Result<Vec<String>, String>);

/// Reads rows from lines.
#[derive(Debug)]
pub struct Table {
    separator: char,
    /// A row whose quotation mark is still open.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    text: String,
    lines: usize,
}

/// What stands between the cells, by the first line: the sign that is most frequent outside
/// quotation marks; a tab before a semicolon before a comma.
#[must_use]
pub fn separator_of(first: &str) -> char {
    let mut counts = [('\t', 0_usize), (';', 0), (',', 0)];
    let mut quoted = false;
    for c in first.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ => counts.iter_mut().filter(|(sign, _)| *sign == c).for_each(|(_, n)| *n += 1),
        }
    }
    let most = counts.iter().map(|(_, n)| *n).max().unwrap_or(0);
    counts.iter().find(|(_, n)| *n == most && most > 0).map_or('\t', |(sign, _)| *sign)
}

/// True for a line before the first that says something about the file alone: `#TYPE …` of
/// PowerShell, `sep=;` of spreadsheets.
#[must_use]
pub fn is_preamble(line: &str) -> bool {
    let line = line.trim();
    let named =
        |start: &str| line.get(..start.len()).is_some_and(|l| l.eq_ignore_ascii_case(start));
    line.is_empty() || named("#TYPE") || (named("sep=") && line.chars().count() == 5)
}

/// A cell between tabs without the quotation marks a spreadsheet puts around it; as it is where
/// they do not match.
#[must_use]
pub fn tab_cell(cell: &str) -> String {
    let cell = cell.trim();
    unquoted(cell).unwrap_or_else(|_| cell.to_owned())
}

impl Table {
    /// A table with this sign between its cells.
    #[must_use]
    pub fn new(separator: char) -> Self {
        Self { separator, open: None }
    }

    /// Takes the next line (`None` for one too long to be read); a row when this line ended one.
    pub fn line(&mut self, number: u64, line: Option<&str>) -> Option<Row> {
        let Some(line) = line else {
            let number = self.open.take().map_or(number, |open| open.number);
            return Some((number, Err("the line is too long".to_owned())));
        };
        let (number, text, lines) = match self.open.take() {
            Some(open) => (open.number, format!("{}\n{line}", open.text), open.lines + 1),
            None if line.trim().is_empty() => return None,
            None => (number, line.to_owned(), 1),
        };
        if text.len() > MAX_ROW || lines > MAX_LINES {
            return Some((number, Err("a quotation mark is not closed".to_owned())));
        }
        // With tabs, quotation marks are taken off cell by cell: passwords may begin with one.
        if self.separator == '\t' {
            return Some((number, self.checked(text.split('\t').map(str::to_owned).collect())));
        }
        match self.cells(&text) {
            Some(cells) => Some((number, self.checked(cells))),
            None => {
                self.open = Some(Open { number, text, lines });
                None
            }
        }
    }

    /// What the file's end leaves: a row whose quotation mark was never closed.
    pub fn end(&mut self) -> Option<Row> {
        let open = self.open.take()?;
        Some((open.number, Err("a quotation mark is not closed".to_owned())))
    }

    fn checked(&self, cells: Vec<String>) -> Result<Vec<String>, String> {
        if cells.len() > MAX_COLUMNS {
            return Err(format!("more than {MAX_COLUMNS} cells"));
        }
        Ok(cells)
    }

    /// The cells of a row; `None` while a quotation mark is open.
    fn cells(&self, text: &str) -> Option<Vec<String>> {
        let mut cells = Vec::new();
        let mut cell = String::new();
        let mut quoted = false;
        // Only a quotation mark at the beginning of a cell opens one.
        let mut fresh = true;
        let mut letters = text.chars().peekable();
        while let Some(c) = letters.next() {
            match c {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    cell.push('"');
                }
                '"' if quoted => quoted = false,
                '"' if fresh => quoted = true,
                _ if c == self.separator && !quoted => {
                    cells.push(std::mem::take(&mut cell));
                    fresh = true;
                    continue;
                }
                _ => cell.push(c),
            }
            fresh = false;
        }
        if quoted {
            return None;
        }
        cells.push(cell);
        Some(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(separator: char, text: &str) -> Vec<Row> {
        let mut table = Table::new(separator);
        let lines = text.split('\n').enumerate();
        let mut all: Vec<Row> =
            lines.filter_map(|(at, line)| table.line(at as u64 + 1, Some(line))).collect();
        all.extend(table.end());
        all
    }

    #[test]
    fn what_stands_between_cells_is_found_in_the_first_line() {
        assert_eq!(separator_of("Name\tPassword"), '\t');
        assert_eq!(separator_of("\"a;b;c;d\",\"e\",f"), ',');
        assert_eq!(separator_of("a;b;c,d"), ';');
        assert_eq!(separator_of("Name"), '\t');
        assert!(is_preamble("#TYPE Microsoft.Exchange.Data") && is_preamble("sep=;"));
        assert!(!is_preamble("Name") && !is_preamble("septic=1"));
    }

    #[test]
    fn cells_keep_separators_quotation_marks_and_line_ends_inside_quotation_marks() {
        let all = rows(',', "a,\"Doe, \"\"J\"\" Joe\",\n\"two\nlines\",x\"y,\"\"\n\nlast");
        assert_eq!(all[0], (1, Ok(vec!["a".into(), "Doe, \"J\" Joe".into(), String::new()])));
        assert_eq!(all[1], (2, Ok(vec!["two\nlines".into(), "x\"y".into(), String::new()])));
        assert_eq!(all[2], (5, Ok(vec!["last".into()])));
        assert_eq!(rows('\t', "\"a\tb\"")[0], (1, Ok(vec!["\"a".into(), "b\"".into()])));
    }

    // ABU-67
    #[test]
    fn abu_67_an_open_quotation_mark_is_told_and_takes_bounded_memory() {
        assert_eq!(rows(',', "a,\"b\nc\nd")[0].0, 1);
        assert!(rows(',', "a,\"b\nc\nd")[0].1.is_err());
        let endless = format!("\"{}", "x\n".repeat(MAX_LINES + 5));
        assert!(rows(',', &endless)[0].1.is_err());
        assert!(rows(';', &";".repeat(MAX_COLUMNS + 1))[0].1.is_err());
        let mut table = Table::new(',');
        assert_eq!(table.line(1, Some("\"open")), None);
        assert!(table.line(2, None).is_some_and(|row| row.0 == 1 && row.1.is_err()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_lines_make_the_reader_panic(text in "[a,\";\n é\t]{0,60}") {
            for separator in [',', ';', '\t'] {
                let _ = rows(separator, &text);
            }
            let _ = (separator_of(&text), is_preamble(&text));
        }
    }
}
