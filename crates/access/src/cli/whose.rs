//! Whose a command's dictionary or array is, by the command's name: an account's, a domain's or the
//! server's (`reference/cli.md` sections 4 to 6, 10 and 12).

use angarium_accounts::{OperationError, Whose};

use super::arguments::Arguments;

/// Reads the name a command is about from its arguments; empty for the server's commands. With
/// `domain_may_be_left_out` a domain that is not named is one's own.
pub(super) fn named(
    command: &str,
    arguments: &mut Arguments,
    domain_may_be_left_out: bool,
) -> Result<String, OperationError> {
    match of(command, "") {
        Whose::Account(_) => arguments.text("an account name"),
        Whose::Domain(_) if domain_may_be_left_out => Ok(arguments.optional_domain()),
        Whose::Domain(_) => arguments.text("a domain name"),
        Whose::Server => Ok(String::new()),
    }
}

/// Whose it is, with the name that was read.
pub(super) fn of<'a>(command: &str, name: &'a str) -> Whose<'a> {
    if command.contains("SERVER") {
        Whose::Server
    } else if command.contains("DOMAIN") || command.contains("DEFAULTPREFS") {
        // The preferences of a domain are the default ones of its accounts.
        Whose::Domain(name)
    } else {
        Whose::Account(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_command_tells_whose_it_is() {
        for command in ["GETACCOUNTALERTS", "SETACCOUNTMAILRULES", "GETACCOUNTEFFECTIVEPREFS"] {
            assert_eq!(of(command, "x"), Whose::Account("x"), "{command}");
        }
        for command in ["POSTDOMAINALERT", "SETDOMAINMAILRULES", "UPDATEACCOUNTDEFAULTPREFS"] {
            assert_eq!(of(command, "x"), Whose::Domain("x"), "{command}");
        }
        for command in ["GETSERVERALERTS", "SETSERVERMAILRULES", "GETSERVERACCOUNTPREFS"] {
            assert_eq!(of(command, "x"), Whose::Server, "{command}");
        }
    }
}
