//! Blocks of fields: `Label: value` line by line, an empty line between two objects, as listings of
//! accounts and lists are printed by Post.Office and others (MIG-57, MIG-58). Labels are known by
//! the spellings of `entry`. Reads lines into entries and decides nothing.

use super::entry::{Entry, attribute_of};
use super::shown;

/// Reads entries from lines.
#[derive(Debug, Default)]
pub struct Blocks {
    entry: Option<Entry>,
    /// The attribute that a line beginning with a space goes on.
    last: String,
}

/// An entry, or the line and what is wrong there.
pub type Read = Result<Entry, (u64, String)>;

impl Blocks {
    /// Takes the next line (`None` for one too long to be read); an entry when this line ended one.
    pub fn line(&mut self, number: u64, line: Option<&str>) -> Option<Read> {
        let Some(line) = line else {
            return Some(Err((number, "the line is too long".to_owned())));
        };
        let bare = line.trim();
        // Lines of signs alone stand between objects too.
        if bare.is_empty() || bare.chars().all(|c| matches!(c, '-' | '=' | '*' | '_')) {
            return self.end();
        }
        if bare.starts_with('#') {
            return None;
        }
        // A list of members may stand below its label, one a line.
        let goes_on = line.starts_with([' ', '\t']) && !self.last.is_empty();
        match (bare.split_once(':'), &mut self.entry) {
            (_, Some(entry)) if goes_on => {
                let attribute = self.last.clone();
                entry.add_cell(&attribute, bare);
            }
            (Some((label, value)), entry) => {
                let attribute = attribute_of(label);
                if attribute.is_empty() {
                    return Some(Err((number, format!("this is no label: {}", shown(label)))));
                }
                let entry = entry.get_or_insert_with(|| Entry::new(number, ""));
                entry.add_cell(&attribute, value.trim());
                self.last = attribute;
            }
            _ => {
                return Some(Err((number, "a label and a colon are expected".to_owned())));
            }
        }
        None
    }

    /// The entry that the file's end ends.
    pub fn end(&mut self) -> Option<Read> {
        self.last.clear();
        self.entry.take().filter(|entry| !entry.is_empty()).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(text: &str) -> Vec<Read> {
        let mut blocks = Blocks::default();
        let lines = text.lines().enumerate();
        let mut all: Vec<Read> =
            lines.filter_map(|(at, line)| blocks.line(at as u64 + 1, Some(line))).collect();
        all.extend(blocks.end());
        all
    }

    // MIG-57, MIG-58
    #[test]
    fn mig_57_blocks_of_labels_and_values_are_read() {
        let all = entries(
            "# accounts\nReal-Name: Joe Doe\nPOP-Login: joe\nE-Mail Address: joe@a.example, jd@a.example\nQuota: 10M\n\n\
             -----\nList-Name: staff\nSubscribers:\n  ann@a.example\n  bob@b.example\nno label\n\n",
        );
        assert_eq!(all.len(), 3);
        let joe = all[0].as_ref().unwrap();
        assert_eq!((joe.first(&["uid"]), joe.first(&["cn"])), (Some("joe"), Some("Joe Doe")));
        assert_eq!(joe.all("mail").len(), 2);
        assert_eq!(all[1].as_ref().unwrap_err().0, 12);
        assert_eq!(all[2].as_ref().unwrap().all("member"), ["ann@a.example", "bob@b.example"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_lines_make_the_reader_panic(text in "([a-zé:# -]{0,12}\n){0,12}") {
            let _ = entries(&text);
        }
    }
}
