//! Two spellings of every option: that of the guides (`--skipMailbox`) and that of today
//! (`--skip-mailbox`). Pure.

use clap::Command;

/// The command with the spelling of today added to each option that has capitals.
#[must_use]
pub fn modern(command: Command) -> Command {
    command.mut_args(|argument| {
        let Some(alias) = argument.get_long().and_then(kebab) else { return argument };
        let taken = argument.get_all_aliases().unwrap_or_default().iter().any(|a| *a == alias);
        // A program's options are put together once or twice and live as long as it does.
        if taken { argument } else { argument.visible_alias(&*alias.leak()) }
    })
}

/// Parses a program's words in either spelling.
///
/// # Errors
/// What clap says, help and version among it.
pub fn parse<T: clap::Parser, W>(words: impl IntoIterator<Item = W>) -> Result<T, clap::Error>
where
    W: Into<std::ffi::OsString> + Clone,
{
    let mut command = modern(T::command());
    let matches = command.try_get_matches_from_mut(words)?;
    T::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

/// `skipMailbox` as `skip-mailbox`; `None` where nothing changes.
fn kebab(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len() + 4);
    let mut before_is_small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before_is_small {
            out.push('-');
        }
        before_is_small = !c.is_ascii_uppercase();
        out.push(c.to_ascii_lowercase());
    }
    (out != name).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_the_spelling_of_today() {
        for (old, new) in [
            ("skipMailbox", Some("skip-mailbox")),
            ("noACL", Some("no-acl")),
            ("fetchRFC822", Some("fetch-rfc822")),
            ("IMAP", Some("imap")),
            ("ssl1", None),
            ("masterStyle1", Some("master-style1")),
        ] {
            assert_eq!(kebab(old).as_deref(), new);
        }
        let line =
            ["x", "--skip-mailbox", "a", "--no-acl", "--by-one", "a", "b", "-", "c", "d", "-"];
        let arguments: crate::move_imap_mail::Arguments = parse(line).unwrap();
        assert!(arguments.selection.no_acl && arguments.pace.by_one);
        assert_eq!(arguments.selection.skip_mailbox, ["a"]);
    }
}
