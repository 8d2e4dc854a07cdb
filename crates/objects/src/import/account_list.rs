//! The account list of the field (`reference/accounts-and-domains.md` section 12): a table whose
//! first line names the fields. Reads the first line into columns and each other line into an
//! account; knows nothing of what exists.

use crate::settings::{Kind, Scope};
use crate::value::{Dictionary, Value};

use super::cells::{unquoted, value};
use super::shown;

/// Most columns of a list.
pub const MAX_COLUMNS: usize = 256;
/// Most names in one cell.
const MAX_NAMES: usize = 1_000;

/// Columns that mean something elsewhere: of the copy programs, or objects that lists do not make.
const PASSED_OVER: &[(&str, &str)] = &[
    ("forwarders", "forwarders are not made from a list of accounts"),
    ("groups", "groups are not joined from a list of accounts"),
    ("limit", ""),
    ("lists", "mailing lists are not joined from a list of accounts"),
    ("newname", ""),
    ("newpassword", ""),
    ("password type", ""),
    ("storage", "there are no storage mount points"),
    ("telnums", "telephone numbers are not kept yet"),
];

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Password,
    UnixPassword,
    Kind,
    Aliases,
    Mailboxes,
    /// A setting; the text of one that takes any text is never read as an object.
    Setting {
        key: String,
        text: bool,
    },
    PassedOver,
}

/// The first line of a list.
#[derive(Clone, Debug)]
pub struct Header {
    columns: Vec<(String, Column)>,
    remarks: Vec<String>,
}

/// How an account gets its password.
#[derive(Clone, PartialEq, Eq)]
pub enum RowPassword {
    /// Clear text.
    Clear(String),
    /// A hash from elsewhere, without the mark byte.
    Hash(String),
}

// A password never stands in a report, not even in that of a failed test.
impl std::fmt::Debug for RowPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Clear(…)",
            Self::Hash(_) => "Hash(…)",
        })
    }
}

/// One account of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRow {
    /// Name, with or without a domain.
    pub name: String,
    /// Its password, if the list has one.
    pub password: Option<RowPassword>,
    /// Type word as written.
    pub kind: Option<String>,
    /// Other names as written.
    pub aliases: Vec<String>,
    /// Mailboxes to make as written.
    pub mailboxes: Vec<String>,
    /// Settings, `Password` not among them.
    pub settings: Dictionary,
    /// What is odd about the line and does not keep it from being taken.
    pub warnings: Vec<String>,
}

impl Header {
    /// Reads the names of the fields, in any case.
    ///
    /// # Errors
    /// What is wrong with the line: no field `Name`, one twice, too many.
    pub fn read<S: AsRef<str>>(cells: &[S]) -> Result<Self, String> {
        if cells.len() > MAX_COLUMNS {
            return Err(format!("the first line has more than {MAX_COLUMNS} fields"));
        }
        let mut header = Self { columns: Vec::with_capacity(cells.len()), remarks: Vec::new() };
        for cell in cells {
            let name = unquoted(cell.as_ref().trim()).unwrap_or_default().trim().to_owned();
            let taken = header.columns.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name));
            if taken && !name.is_empty() {
                return Err(format!("the first line names the field {} twice", shown(&name)));
            }
            let column = header.column(&name);
            header.columns.push((name, column));
        }
        if !header.columns.iter().any(|(_, column)| *column == Column::Name) {
            return Err("the first line must name the fields, Name among them, with tabs between \
                        them"
                .to_owned());
        }
        Ok(header)
    }

    fn column(&mut self, name: &str) -> Column {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            // A tab at the end of the line makes a field without a name.
            "" => return Column::PassedOver,
            "name" => return Column::Name,
            "password" => return Column::Password,
            "unixpassword" => return Column::UnixPassword,
            "type" => return Column::Kind,
            "aliases" => return Column::Aliases,
            "mailboxes" => return Column::Mailboxes,
            _ => {}
        }
        if let Some((_, why)) = PASSED_OVER.iter().find(|(known, _)| *known == lower) {
            if !why.is_empty() {
                self.remarks.push(format!("the field {} is passed over: {why}", shown(name)));
            }
            return Column::PassedOver;
        }
        let declared = Scope::Account.lists().iter().flat_map(|all| all.iter());
        if let Some(setting) = declared.into_iter().find(|s| s.key.eq_ignore_ascii_case(name)) {
            let text = matches!(setting.kind, Kind::Text(_));
            return Column::Setting { key: setting.key.to_owned(), text };
        }
        let plain = name.len() <= crate::settings::MAX_KEY
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if !plain {
            let name = shown(name);
            self.remarks
                .push(format!("the field {name} is passed over: this is no setting's name"));
            return Column::PassedOver;
        }
        self.remarks.push(format!(
            "the field {name} is no setting that this server knows; its values are kept under this name"
        ));
        Column::Setting { key: name.to_owned(), text: false }
    }

    /// What is to be said once about the fields: those passed over and those nobody knows.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Reads a line. An empty cell says nothing.
    ///
    /// # Errors
    /// What is wrong with the line, naming the field.
    pub fn row<S: AsRef<str>>(&self, cells: &[S]) -> Result<AccountRow, String> {
        let mut row = AccountRow::default();
        let mut hash = None;
        for (at, cell) in cells.iter().enumerate() {
            let cell = cell.as_ref();
            let Some((name, column)) = self.columns.get(at) else {
                if cell.trim().is_empty() {
                    continue;
                }
                return Err("the line has more fields than the first line names".to_owned());
            };
            let wrong = |why: &str| format!("the field {}: {why}", shown(name));
            if *column == Column::PassedOver {
                continue;
            }
            // A hash may come with its mark already.
            let marked = cell.strip_prefix(crate::password::HASH_MARK);
            let cell = marked.filter(|_| *column == Column::UnixPassword).unwrap_or(cell);
            if cell.contains(char::is_control) {
                return Err(wrong("it holds a control character"));
            }
            let trimmed = cell.trim();
            if trimmed.is_empty() {
                continue;
            }
            let names = || -> Result<Vec<String>, String> {
                let inner = unquoted(trimmed).map_err(wrong)?;
                let all = inner.split(',').map(str::trim).filter(|n| !n.is_empty());
                let all: Vec<String> = all.map(str::to_owned).collect();
                if all.len() > MAX_NAMES {
                    return Err(wrong(&format!("more than {MAX_NAMES} names")));
                }
                Ok(all)
            };
            match column {
                Column::Name => row.name = unquoted(trimmed).map_err(wrong)?.trim().to_owned(),
                Column::Kind => row.kind = Some(unquoted(trimmed).map_err(wrong)?),
                Column::Aliases => row.aliases = names()?,
                Column::Mailboxes => row.mailboxes = names()?,
                Column::UnixPassword => hash = Some(trimmed.to_owned()),
                Column::Password => {
                    if trimmed.len() > 1 && trimmed.starts_with('"') && trimmed.ends_with('"') {
                        let text = "the password is taken with its quotation marks".to_owned();
                        row.warnings.push(text);
                    }
                    if trimmed != cell {
                        let text = "spaces around the password do not belong to it".to_owned();
                        row.warnings.push(text);
                    }
                    row.password = Some(RowPassword::Clear(trimmed.to_owned()));
                }
                Column::Setting { key, text } => {
                    let value = if *text {
                        Value::String(unquoted(trimmed).map_err(wrong)?)
                    } else {
                        value(trimmed).map_err(wrong)?
                    };
                    row.settings.insert(key.clone(), value);
                }
                Column::PassedOver => {}
            }
        }
        if row.name.is_empty() {
            return Err("the field Name is empty".to_owned());
        }
        if let Some(hash) = hash {
            if row.password.is_some() {
                row.warnings.push("UnixPassword is taken, Password is not".to_owned());
            }
            row.password = Some(RowPassword::Hash(hash));
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(line: &str) -> Result<Header, String> {
        Header::read(&line.split('\t').collect::<Vec<_>>())
    }

    fn row(first: &str, line: &str) -> Result<AccountRow, String> {
        header(first)?.row(&line.split('\t').collect::<Vec<_>>())
    }

    // SYS-35, SYS-13
    #[test]
    fn sys_35_columns_are_taken_by_name_in_any_case() {
        let taken = row(
            "Name\tPASSWORD\trealNAME\tmaxaccountsize\tLimit\tAliases\tMailboxes\tType",
            "joe\tsecret\tJoe Doe\t31M\t10K\ta, b\tWork,Work/2026\ttextmailbox",
        )
        .unwrap();
        assert_eq!(taken.name, "joe");
        assert_eq!(taken.password, Some(RowPassword::Clear("secret".into())));
        assert_eq!(taken.settings["RealName"], "Joe Doe".into());
        assert_eq!(taken.settings["MaxAccountSize"], "31M".into());
        assert!(!taken.settings.contains_key("Limit"));
        assert_eq!(taken.aliases, ["a", "b"]);
        assert_eq!(taken.mailboxes, ["Work", "Work/2026"]);
        assert_eq!(taken.kind.as_deref(), Some("textmailbox"));
        assert!(row("Name\tPassword", "\tx").unwrap_err().contains("Name is empty"));
    }

    // PWD-07
    #[test]
    fn pwd_07_a_unix_password_is_a_hash_and_wins() {
        let taken = row("Name\tUnixPassword\tPassword", "joe\t{SHA}5en6\tclear").unwrap();
        assert_eq!(taken.password, Some(RowPassword::Hash("{SHA}5en6".into())));
        assert_eq!(taken.warnings, ["UnixPassword is taken, Password is not"]);
        let marked = row("Name\tUnixPassword", "joe\t\u{2}abNANd1rDfiNc").unwrap();
        assert_eq!(marked.password, Some(RowPassword::Hash("abNANd1rDfiNc".into())));
        assert!(!format!("{marked:?}").contains("abNAN"));
    }

    #[test]
    fn empty_cells_and_missing_ones_say_nothing() {
        let taken = row("Name\tRealName\tPassword\tMaxAccountSize", "joe\t \t").unwrap();
        assert!(taken.settings.is_empty() && taken.password.is_none());
        assert!(row("Name\t", "joe\t").is_ok());
        assert!(row("Name", "joe\t\t \t").is_ok());
        assert!(row("Name", "joe\tmore").unwrap_err().contains("more fields"));
    }

    #[test]
    fn fields_nobody_knows_are_kept_and_told_once() {
        let known = header("Name\tServiceClass\tLimit\tNewName").unwrap();
        assert!(known.remarks().is_empty());
        let odd = header("Name\tcostCenter\tStorage\t(kind)\tGroups").unwrap();
        assert_eq!(odd.remarks().len(), 4, "{:?}", odd.remarks());
        let taken = odd.row(&["joe", "47", "/mnt", "crypt", "staff"]).unwrap();
        assert_eq!(
            taken.settings.into_iter().collect::<Vec<_>>(),
            [("costCenter".into(), "47".into())]
        );
    }

    // ABU-67
    #[test]
    fn abu_67_a_hostile_table_gets_a_reason_for_each_line() {
        assert!(header("Name\tname").unwrap_err().contains("twice"));
        assert!(header("Login\tPassword").unwrap_err().contains("Name"));
        assert!(header(&"x\t".repeat(300)).unwrap_err().contains("more than 256"));
        let first = "Name\tRealName\tPassword";
        for (line, reason) in [
            ("joe\t\"Doe, Joe\tx", "RealName: a quotation mark is not closed"),
            ("jo\u{0}e\tDoe\tx", "Name: it holds a control character"),
            ("joe\tDo\u{1b}[2Je\tx", "RealName: it holds a control character"),
            ("joe\tDoe\t\u{2}x", "Password: it holds a control character"),
            ("\"\"\tDoe\tx", "Name is empty"),
            ("joe\tDoe\tx\ty", "more fields"),
        ] {
            assert!(row(first, line).unwrap_err().contains(reason), "{line:?}");
        }
        let formula = row(first, "joe\t=cmd|' /C calc'!A0\t\"x\"").unwrap();
        assert_eq!(formula.settings["RealName"], "=cmd|' /C calc'!A0".into());
        assert_eq!(formula.warnings.len(), 1);
        let names = row("Name\tAliases", &format!("joe\t{}", "a,".repeat(2000)));
        assert!(names.unwrap_err().contains("more than 1000"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_table_makes_the_reader_panic(first in ".{0,40}", line in ".{0,80}") {
            if let Ok(header) = header(&format!("Name\tAliases\t{first}")) {
                let _ = header.row(&line.split('\t').collect::<Vec<_>>());
            }
            let _ = row(&first, &line);
        }
    }
}
