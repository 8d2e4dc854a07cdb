//! The list of accounts to move (`reference/migration.md` section 5): its first line names the
//! fields, `Name` and `Password` must be there, `NewName` and `NewPassword` may, everything else is
//! passed over, so that the list may be the one accounts are imported from. Pure.

use angarium_objects::import::shown;

/// Most fields of a line.
const MAX_COLUMNS: usize = 256;

/// One account to move.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Number of its line in the list, from 1.
    pub line: u64,
    /// Login name at the old server.
    pub name: String,
    /// Password there.
    pub password: String,
    /// Login name (or address) at the new server.
    pub new_name: String,
    /// Password there.
    pub new_password: String,
    /// The old server of this row, where a column for it was named.
    pub server: Option<String>,
}

// Passwords never stand in a report, not even in that of a failed test.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({}: {} -> {})", self.line, self.name, self.new_name)
    }
}

/// Where the fields of a list stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    name: usize,
    password: Option<usize>,
    new_name: Option<usize>,
    new_password: Option<usize>,
    server: Option<usize>,
}

impl Columns {
    /// Reads the first line. `passwords`: the list must have them. `server` names a column with
    /// the old server of each account, if there is one.
    ///
    /// # Errors
    /// What is wrong with the line and what to do about it.
    pub(crate) fn read(line: &str, passwords: bool, server: Option<&str>) -> Result<Self, String> {
        let names: Vec<String> = cells(line)
            .map(|cell| unquoted(cell.trim()).unwrap_or_default().trim().to_ascii_lowercase())
            .collect();
        if names.len() > MAX_COLUMNS {
            return Err(format!("the first line has more than {MAX_COLUMNS} fields"));
        }
        let at = |wanted: &str| {
            let wanted = wanted.to_ascii_lowercase();
            let mut found = names.iter().enumerate().filter(|(_, name)| **name == wanted);
            let first = found.next().map(|(at, _)| at);
            if found.next().is_some() {
                return Err(format!("the first line names the field {wanted} twice"));
            }
            Ok(first)
        };
        let needed = |wanted: &str, found: Option<usize>| {
            found.ok_or_else(|| {
                format!(
                    "the first line names no field {wanted}; it reads \"{}\" and must name the \
                     fields, separated by tabs",
                    shown(line)
                )
            })
        };
        let password = at("Password")?;
        if passwords {
            needed("Password", password)?;
        }
        let server = match server {
            Some(name) => Some(needed(name, at(name)?)?),
            None => None,
        };
        Ok(Self {
            name: needed("Name", at("Name")?)?,
            password,
            new_name: at("NewName")?,
            new_password: at("NewPassword")?,
            server,
        })
    }

    /// Reads a line after the first; `None` for one without a name.
    ///
    /// # Errors
    /// The name, and what is wrong with the line.
    pub(crate) fn row(&self, number: u64, line: &str) -> Result<Option<Row>, (String, String)> {
        let cells: Vec<&str> = cells(line).collect();
        let raw = |at: usize| cells.get(at).copied().unwrap_or_default();
        let named = shown(raw(self.name));
        let wrong = |reason: &str| (named.clone(), reason.to_owned());
        // Spaces at the ends of names are slips of the hand; in passwords they may be meant.
        let read = |at: Option<usize>, field: &str| match at {
            None => Ok(None),
            Some(at) => match unquoted(raw(at)) {
                Some(text) if text.contains('\u{fffd}') => Err(wrong(&format!(
                    "{field} holds characters that could not be read: save the list as UTF-8"
                ))),
                Some(text) if text.chars().any(char::is_control) => {
                    Err(wrong(&format!("{field} holds a control character")))
                }
                Some(text) if text.is_empty() => Ok(None),
                Some(text) => Ok(Some(text)),
                None => Err(wrong(&format!("a quotation mark in {field} is not closed"))),
            },
        };
        let trimmed = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let Some(name) = read(Some(self.name), "Name")?.and_then(trimmed) else { return Ok(None) };
        let Some(password) = read(self.password, "Password")?.or_else(|| {
            // A list without the column: the password comes from elsewhere (a master user's).
            self.password.is_none().then(String::new)
        }) else {
            return Err(wrong("it has no Password; is a tab missing?"));
        };
        let new_name =
            read(self.new_name, "NewName")?.and_then(trimmed).unwrap_or_else(|| name.clone());
        let new_password =
            read(self.new_password, "NewPassword")?.unwrap_or_else(|| password.clone());
        let server = read(self.server, "the server's column")?.and_then(trimmed);
        Ok(Some(Row { line: number, name, password, new_name, new_password, server }))
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split('\t')
}

/// A cell without the quotation marks that a spreadsheet puts around it (`"a ""b"""`); `None` when
/// they are not closed. A password may well begin with one: only what both begins and ends with
/// them is quoted.
fn unquoted(cell: &str) -> Option<String> {
    let Some(rest) = cell.strip_prefix('"') else { return Some(cell.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let single = inner.replace("\"\"", "").contains('"');
    (!single).then(|| inner.replace("\"\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(head: &str, line: &str) -> Result<Option<Row>, (String, String)> {
        Columns::read(head, true, None).unwrap().row(2, line)
    }

    fn made(head: &str, line: &str) -> [String; 4] {
        let row = row(head, line).unwrap().unwrap();
        [row.name, row.password, row.new_name, row.new_password]
    }

    #[test]
    fn mig_37_to_39_the_sample_of_the_guide_and_its_columns() {
        let head = "Name\tLimit\tPassword";
        assert_eq!(made(head, "john\t10K\tj27ss#45"), ["john", "j27ss#45", "john", "j27ss#45"]);
        assert_eq!(made(head, "#x\t\t=1+1"), ["#x", "=1+1", "#x", "=1+1"]);
        let head = "newpassword\tNAME\tNewName\tPassword\tOther";
        let line = "n\tjim\tjim@second.example\t p \tx\ty";
        assert_eq!(made(head, line), ["jim", " p ", "jim@second.example", "n"]);
        assert_eq!(made(head, "\tjim\t \tp"), ["jim", "p", "jim", "p"]);
        assert_eq!(row(head, "x\t \ty\tz").unwrap(), None);
        assert_eq!(made("\"Name\"\tPassword", "\"a\"\"b\"\t\"p\"")[0..1], ["a\"b"]);
    }

    #[test]
    fn abu_67_a_broken_line_is_told_and_never_half_taken() {
        let head = "Name\tPassword";
        for (line, why) in [
            ("joe", "no Password"),
            ("joe\t", "no Password"),
            ("joe\t\"open", "not closed"),
            ("jo\u{1}e\tp", "control character"),
            ("j\u{fffd}e\tp", "UTF-8"),
        ] {
            let (name, reason) = row(head, line).unwrap_err();
            assert!(reason.contains(why), "{line}: {reason}");
            assert!(name.starts_with('j') && !reason.contains("open"), "{name}: {reason}");
        }
        for (head, why) in [
            ("Name\tPass", "no field Password"),
            ("Login\tPassword", "no field Name"),
            ("Name\tPassword\tname", "twice"),
            ("", "no field"),
        ] {
            assert!(Columns::read(head, true, None).unwrap_err().contains(why), "{head}");
        }
        assert!(Columns::read("Name", false, None).is_ok());
        assert!(Columns::read("Name\tPassword", true, Some("Server")).is_err());
    }
}
