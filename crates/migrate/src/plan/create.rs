//! Making a mailbox at the new server, with its use where the server takes one.

use crate::error::Result;
use crate::lanes::pipeline::line;
use crate::plan::Planned;
use crate::printable::printable;
use crate::session::Session;

/// Longest words of a server shown, characters.
const SHOWN: usize = 200;

/// What follows the name in CREATE, for a mailbox that is made with a use (RFC 6154 section 3).
pub(crate) fn with_use(planned: &Planned) -> String {
    match planned.create_use.filter(|_| planned.selectable) {
        Some(role) => format!(" (USE ({}))", role.attribute()),
        None => String::new(),
    }
}

/// Makes the mailbox unless it is there; the inner error is why it cannot be had.
pub(crate) async fn mailbox(
    target: &mut Session,
    planned: &Planned,
) -> Result<std::result::Result<(), String>> {
    if planned.exists || planned.target.eq_ignore_ascii_case("INBOX") {
        return Ok(Ok(()));
    }
    let mut name = planned.target_wire.clone();
    if !planned.selectable {
        name.push(b'/');
    }
    let with_use = with_use(planned);
    if !with_use.is_empty()
        && let Some(line) = line("CREATE", &name, &with_use)
        && target.command(&line).await?.is_ok()
    {
        return Ok(Ok(()));
    }
    // It may only dislike the use: then without.
    let answer = target.with_names("CREATE", &[&name]).await?;
    if answer.is_ok() || !planned.selectable {
        return Ok(Ok(()));
    }
    // Refused, most likely because it is there: then it can be asked for its state.
    let there = target.with_names("EXAMINE", &[&planned.target_wire]).await?;
    if there.is_ok() {
        // Not left open: its news would come between our answers.
        let _ = target.command(b"CLOSE").await?;
        return Ok(Ok(()));
    }
    let words = printable(&answer.text, SHOWN);
    Ok(Err(format!("the new server would not create it: {words}")))
}
