//! NOTIFY (RFC 5465).

use super::cursor::{Cursor, Parse};
use super::fetch;
use super::refusal::Fault;
use crate::types::{Command, EventGroup, Events, MailboxFilter, Notify};

/// Most events in one group.
const MAX_EVENTS: usize = 16;

pub(super) fn decode(cursor: &mut Cursor<'_>) -> Parse<Command> {
    cursor.space()?;
    if cursor.eat_word("NONE") {
        return Ok(Command::Notify(Box::new(Notify::None)));
    }
    if !cursor.eat_word("SET") {
        return Err(Fault::bad("SET or NONE expected"));
    }
    cursor.space()?;
    let status = cursor.eat_word("STATUS");
    if status {
        cursor.space()?;
    }
    let mut groups: Vec<EventGroup> = Vec::new();
    loop {
        if groups.len() >= Notify::MAX_GROUPS {
            return Err(Fault::bad("Too many event groups"));
        }
        let group = group(cursor)?;
        if group.filter.is_selected() && groups.iter().any(|g| g.filter.is_selected()) {
            return Err(Fault::bad("The selected mailbox may be named once"));
        }
        groups.push(group);
        if !cursor.eat(b' ') {
            return Ok(Command::Notify(Box::new(Notify::Set { status, groups })));
        }
    }
}

/// `(filter events)`
fn group(cursor: &mut Cursor<'_>) -> Parse<EventGroup> {
    cursor.expect(b'(', "Event group expected")?;
    let filter = filter(cursor)?;
    cursor.space()?;
    let events = if cursor.eat_word("NONE") { Events::default() } else { events(cursor)? };
    cursor.expect(b')', "Event group not closed")?;
    let only_messages =
        !(events.names || events.subscription || events.metadata || events.server_metadata);
    match filter.is_selected() {
        true if !only_messages => {
            Err(Fault::bad("Only events of messages may be asked for the selected mailbox"))
        }
        false if !events.fetch.is_empty() => {
            Err(Fault::bad("Only of the selected mailbox new messages are fetched"))
        }
        _ => Ok(EventGroup { filter, events }),
    }
}

fn filter(cursor: &mut Cursor<'_>) -> Parse<MailboxFilter> {
    Ok(match cursor.upper_atom("Mailbox filter expected")?.as_str() {
        "SELECTED" => MailboxFilter::Selected,
        "SELECTED-DELAYED" => MailboxFilter::SelectedDelayed,
        "INBOXES" => MailboxFilter::Inboxes,
        "PERSONAL" => MailboxFilter::Personal,
        "SUBSCRIBED" => MailboxFilter::Subscribed,
        "SUBTREE" => MailboxFilter::Subtree(mailboxes(cursor)?),
        "MAILBOXES" => MailboxFilter::Mailboxes(mailboxes(cursor)?),
        _ => return Err(Fault::bad("Unknown mailbox filter")),
    })
}

/// A space, then one mailbox or several in brackets.
fn mailboxes(cursor: &mut Cursor<'_>) -> Parse<Vec<String>> {
    cursor.space()?;
    if !cursor.eat(b'(') {
        return Ok(vec![cursor.mailbox()?]);
    }
    let mut all = Vec::new();
    loop {
        if all.len() >= Notify::MAX_MAILBOXES {
            return Err(Fault::no(Some("LIMIT"), "Too many mailboxes"));
        }
        all.push(cursor.mailbox()?);
        if cursor.eat(b')') {
            return Ok(all);
        }
        cursor.space()?;
    }
}

fn events(cursor: &mut Cursor<'_>) -> Parse<Events> {
    cursor.expect(b'(', "List of events expected")?;
    let mut events = Events::default();
    let (mut new, mut expunge) = (false, false);
    for _ in 0..MAX_EVENTS {
        match cursor.upper_atom("Event expected")?.as_str() {
            "MESSAGENEW" => {
                new = true;
                if cursor.rest().starts_with(b" (") {
                    cursor.space()?;
                    events.fetch = fetch::items(cursor)?;
                }
            }
            "MESSAGEEXPUNGE" => expunge = true,
            "FLAGCHANGE" => events.flags = true,
            "MAILBOXNAME" => events.names = true,
            "SUBSCRIPTIONCHANGE" => events.subscription = true,
            "MAILBOXMETADATACHANGE" => events.metadata = true,
            "SERVERMETADATACHANGE" => events.server_metadata = true,
            // AnnotationChange and what was invented since (RFC 5465 section 5).
            _ => return Err(Fault::no(Some(Notify::BAD_EVENT), "This event is not known here")),
        }
        if cursor.eat(b')') {
            if new != expunge || (events.flags && !new) {
                return Err(Fault::bad(
                    "MessageNew and MessageExpunge go together, FlagChange needs both",
                ));
            }
            events.messages = new;
            return Ok(events);
        }
        cursor.space()?;
    }
    Err(Fault::bad("Too many events"))
}
