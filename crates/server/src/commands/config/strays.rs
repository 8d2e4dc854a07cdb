//! What a server has that a whole configuration does not name: told, or removed in an order in which
//! nothing leans on what is gone: lists, groups, forwarders, accounts, domains, then what is
//! server-wide. What is refused is told and stays.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use angarium_accounts::{Dictionary, Value};
use angarium_objects::configuration::{Gatherer, MAX_STANZA, Stanza, kind};
use angarium_objects::text;

use super::Removing;
use super::apply::{Deed, Pass, Tally, hash};
use super::export::{pages, title};
use crate::administration::{Administrator, Answer};
use crate::arguments::Base;
use crate::base::BaseDirectory;
use crate::commands::output::put;
use crate::configuration_lines::AT_ONCE;

/// The kinds in the order in which they go; others go last.
const ORDER: [&str; 5] = [kind::LIST, kind::GROUP, kind::FORWARDER, kind::ACCOUNT, kind::DOMAIN];

/// True for a file that begins as a whole configuration.
pub(super) fn is_whole(file: &Path) -> io::Result<bool> {
    let mut read = BufReader::new(File::open(file)?);
    let mut gatherer = Gatherer::default();
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_STANZA).unwrap_or(u64::MAX);
    loop {
        line.clear();
        if io::Read::take(&mut read, limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        match gatherer.line(&line) {
            Ok(None) => {}
            Ok(Some((_, stanza))) => return Ok(stanza.kind == kind::HEAD),
            // Told where the whole file is read.
            Err(_) => return Ok(false),
        }
    }
}

/// Calls `each` for every object of the server that was not seen in the file.
fn strays(to: &mut Administrator, tally: &Tally, mut each: impl FnMut(&str)) -> io::Result<()> {
    let done = pages(to, "Names", |stanza| {
        let title = title(stanza);
        // The server settings are there without anybody having set them.
        if title != kind::SERVER && !tally.seen.contains(&hash(title)) {
            each(stanza);
        }
        Ok(())
    })?;
    done.map_err(|(code, text)| io::Error::other(format!("{text} ({code})")))
}

/// Tells what only this server has, and how much that is.
pub(super) fn tell_strays(base: &Base, to: &mut Administrator, tally: &Tally) -> io::Result<u64> {
    let mut count = 0;
    if tally.whole {
        strays(to, tally, |stanza| {
            count += 1;
            let title = title(stanza);
            if base.json {
                put(&serde_json::json!({ "object": title, "step": "OnlyHere" }).to_string());
            } else {
                put(&format!("? {title} is not in the file"));
            }
        })?;
    }
    Ok(count)
}

/// Kind and name of an object by its text.
fn read(text: &str) -> Option<Stanza> {
    let mut gatherer = Gatherer::default();
    text.split('\n').find_map(|line| gatherer.line(line.as_bytes()).ok().flatten()).map(|(_, s)| s)
}

/// Removes what only this server has, or tells what would go.
pub(super) fn remove(
    base: &Base,
    directory: &BaseDirectory,
    to: &mut Administrator,
    (deed, removing): (Deed, Removing),
    tally: Tally,
) -> io::Result<Tally> {
    let mut found: Vec<(usize, Stanza)> = Vec::new();
    strays(to, &tally, |stanza| {
        let Some(stanza) = read(stanza) else { return };
        let place = ORDER.iter().position(|kind| *kind == stanza.kind).unwrap_or(ORDER.len());
        found.push((place, stanza));
    })?;
    found.sort_by(|(one, a), (two, b)| one.cmp(two).then_with(|| a.name.cmp(&b.name)));
    let mut words = vec![Value::from("Emptied")];
    if deed == Deed::Compare {
        words.push(Value::from("Dry"));
    }
    if removing.with_mail {
        words.push(Value::from("WithMail"));
    }
    let words = text::line_text(&Value::Array(words));
    let mut pass = Pass::new(base, directory, to, deed, tally);
    // Domains in which an account stays, and so they.
    let mut inhabited: HashSet<String> = HashSet::new();
    for batch in found.chunk_by(|(one, _), (two, _)| one == two) {
        for some in batch.chunks(AT_ONCE) {
            let some: Vec<&Stanza> = some.iter().map(|(_, stanza)| stanza).collect();
            let (stay, go): (Vec<&Stanza>, Vec<&Stanza>) = some
                .into_iter()
                .partition(|one| one.kind == kind::DOMAIN && inhabited.contains(&one.name));
            for domain in stay {
                pass.stays(domain, "an account stays in it");
            }
            for (stanza, answer) in answers(&mut pass, &go, &words)? {
                if !pass.removed(stanza, &answer)
                    && let Some((_, domain)) = stanza.name.rsplit_once('@')
                {
                    inhabited.insert(domain.to_owned());
                }
            }
        }
    }
    Ok(pass.tally)
}

fn answers<'s>(
    pass: &mut Pass<'_>,
    all: &[&'s Stanza],
    words: &str,
) -> io::Result<Vec<(&'s Stanza, Dictionary)>> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let names = all.iter().map(|one| {
        Value::Array(vec![Value::from(one.kind.as_str()), Value::from(one.name.as_str())])
    });
    let names = text::line_text(&Value::Array(names.collect()));
    let told = match pass.to.execute(&format!("CONFIGURATION REMOVE {names} {words}"))? {
        Answer::Done(Some(Value::Array(told))) if told.len() == all.len() => told,
        Answer::Done(_) => return Err(io::Error::other("the server answered for other objects")),
        Answer::Failed(code, text) => return Err(io::Error::other(format!("{text} ({code})"))),
    };
    let told = told.into_iter().map(|one| one.as_dictionary().cloned().unwrap_or_default());
    Ok(all.iter().copied().zip(told).collect())
}
