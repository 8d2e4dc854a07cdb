//! `passwd`, `shadow` and `master.passwd` of Unix systems (MIG-67): one line, one user. Reads lines
//! and decides which users are people with mail and which belong to the system; the password of a
//! locked user is no password.

use std::collections::BTreeSet;

/// Most users whose `shadow` lines are kept at a time.
pub const MAX_SHADOW: usize = 2_000_000;

/// One user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// What stands in the field of the password.
    pub password: String,
    /// User number.
    pub uid: u64,
    /// The whole GECOS field.
    pub gecos: String,
    /// Login program.
    pub shell: String,
}

/// Reads a line of `passwd` (7 fields) or of `master.passwd` (10 fields); `None` for a line that
/// says nothing: empty, a comment, or an entry of a directory service (`+`, `-`).
///
/// # Errors
/// What is wrong with the line.
pub fn user(line: &str) -> Result<Option<User>, String> {
    if line.trim().is_empty() || line.starts_with(['#', '+', '-']) {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split(':').collect();
    let (gecos, shell) = match fields.len() {
        7 => (4, 6),
        10 => (7, 9),
        other => return Err(format!("7 fields are expected (10 in master.passwd), not {other}")),
    };
    let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
    let uid = field(2).parse().map_err(|_| "the user's number is not a number".to_owned())?;
    let name = field(0);
    if name.is_empty() {
        return Err("there is no name".to_owned());
    }
    Ok(Some(User { name, password: field(1), uid, gecos: field(gecos), shell: field(shell) }))
}

/// Name and password field of a line of `shadow` or of any file of that beginning; `None` for a
/// line that says nothing.
#[must_use]
pub fn shadow(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split(':');
    let (name, password) = (fields.next()?, fields.next()?);
    let says = !name.is_empty() && !name.starts_with(['#', '+', '-']);
    says.then_some((name, password))
}

impl User {
    /// The person's name: the part of the GECOS field before the first comma, where `&` stands for
    /// the login name with a capital.
    #[must_use]
    pub fn real_name(&self) -> String {
        let first = self.gecos.split(',').next().unwrap_or_default().trim();
        let mut capital = self.name.clone();
        if let Some(head) = capital.get_mut(..1) {
            head.make_ascii_uppercase();
        }
        first.replace('&', &capital)
    }
}

/// What the field of the password is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A hash.
    Hash(&'a str),
    /// The hash stands in `shadow`.
    Elsewhere,
    /// Nobody logs in with a password: locked, never set, or empty.
    None(&'static str),
}

/// Reads the field of the password.
#[must_use]
pub fn field(text: &str) -> Field<'_> {
    match text {
        "" => Field::None("no password was set"),
        "x" => Field::Elsewhere,
        "*" | "!" | "!!" | "!*" | "*LK*" | "NP" | "*NP*" | "LK" => {
            Field::None("it has no password")
        }
        _ if text.starts_with(['!', '*']) => Field::None("the password is locked"),
        hash => Field::Hash(hash),
    }
}

/// Which users become accounts.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Least user number.
    pub least_uid: u64,
    /// Greatest user number.
    pub greatest_uid: u64,
    /// Also users whose login program lets nobody in (`nologin`, `false`).
    pub any_shell: bool,
    /// Only these names, whatever their numbers and shells; all when empty.
    pub only: BTreeSet<String>,
    /// Not these names.
    pub skip: BTreeSet<String>,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            least_uid: 1_000,
            greatest_uid: 60_000,
            any_shell: false,
            only: BTreeSet::new(),
            skip: BTreeSet::new(),
        }
    }
}

impl Choice {
    /// Why a user is left out; `None` when it becomes an account.
    #[must_use]
    pub fn leaves_out(&self, user: &User) -> Option<String> {
        if self.skip.contains(&user.name) {
            return Some("it is to be left out".to_owned());
        }
        if !self.only.is_empty() {
            let wanted = self.only.contains(&user.name);
            return (!wanted).then(|| "it is not among those named".to_owned());
        }
        if !(self.least_uid..=self.greatest_uid).contains(&user.uid) {
            return Some(format!("a user of the system (number {})", user.uid));
        }
        let program = user.shell.rsplit('/').next().unwrap_or_default();
        if !self.any_shell && matches!(program, "nologin" | "false" | "sync" | "halt" | "shutdown")
        {
            return Some(format!("its login program lets nobody in ({program})"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // MIG-67
    #[test]
    fn mig_67_lines_of_passwd_and_master_passwd_are_read() {
        let joe =
            user("joe:x:1001:100:Joe Doe,Room 7,555-1234,:/home/joe:/bin/sh").unwrap().unwrap();
        assert_eq!(
            (joe.name.as_str(), joe.uid, joe.real_name().as_str()),
            ("joe", 1001, "Joe Doe")
        );
        let ann = "ann:$1$salt$hash:1002:100:staff:0:0:& Poe:/home/ann:/bin/csh";
        let ann = user(ann).unwrap().unwrap();
        assert_eq!((ann.real_name().as_str(), ann.password.as_str()), ("Ann Poe", "$1$salt$hash"));
        for nothing in ["", "  ", "# x", "+::::::", "+@staff::::::", "-bad::::::"] {
            assert_eq!(user(nothing), Ok(None), "{nothing}");
        }
        for wrong in [
            "joe",
            "joe:x:abc:1:::",
            ":x:1:1:::",
            "joe:x:1:1:::::",
            "a:b:99999999999999999999:1:::",
        ] {
            assert!(user(wrong).is_err(), "{wrong}");
        }
        assert_eq!(shadow("joe:$6$a$b:19000:0:99999:7:::"), Some(("joe", "$6$a$b")));
        assert_eq!(shadow("joe"), None);
        assert_eq!(shadow("+:x"), None);
    }

    #[test]
    fn mig_67_a_locked_user_has_no_password() {
        assert_eq!(field("abNANd1rDfiNc"), Field::Hash("abNANd1rDfiNc"));
        assert_eq!(field("x"), Field::Elsewhere);
        for none in ["", "*", "!", "!!", "*LK*", "NP", "!$6$a$b", "*LOCKED*$6$a"] {
            assert!(matches!(field(none), Field::None(_)), "{none}");
        }
    }

    #[test]
    fn mig_67_people_are_told_from_the_system() {
        let mut choice = Choice::default();
        let of = |uid: u64, shell: &str| User {
            name: "u".into(),
            uid,
            shell: shell.into(),
            ..User::default()
        };
        assert_eq!(choice.leaves_out(&of(1000, "/bin/bash")), None);
        assert!(choice.leaves_out(&of(999, "/bin/bash")).is_some());
        assert!(choice.leaves_out(&of(65534, "/bin/bash")).is_some());
        assert!(choice.leaves_out(&of(1000, "/usr/sbin/nologin")).is_some());
        choice.any_shell = true;
        assert_eq!(choice.leaves_out(&of(1000, "/usr/sbin/nologin")), None);
        choice.only.insert("u".into());
        assert_eq!(choice.leaves_out(&of(3, "/bin/false")), None);
        choice.skip.insert("u".into());
        assert!(choice.leaves_out(&of(1000, "")).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_line_makes_the_readers_panic(line in ".{0,60}", fields in "[a-z&é:,0-9]{0,40}") {
            for line in [line, fields] {
                if let Ok(Some(user)) = user(&line) {
                    let _ = user.real_name();
                }
                let _ = (shadow(&line), field(&line));
            }
        }
    }
}
