//! Users of a Unix system become accounts (MIG-67): `passwd` with `shadow`, or `master.passwd`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use angarium_objects::import::passwd::{self, Choice, Field, MAX_SHADOW};

use super::PasswdFile;
use super::accounts::{Feeder, Row};
use super::lines::Lines;
use super::report::{Outcome, Report};
use crate::arguments::Base;

pub(in crate::commands) fn run(base: &Base, file: &PasswdFile) -> io::Result<u8> {
    let hashes = match &file.shadow {
        Some(shadow) => hashes(shadow)?,
        None => HashMap::new(),
    };
    let choice = Choice {
        least_uid: file.least_uid,
        greatest_uid: file.greatest_uid,
        any_shell: file.any_shell,
        only: file.only.iter().cloned().collect(),
        skip: file.skip.iter().cloned().collect(),
    };
    let mut lines = Lines::open(&file.file)?;
    let mut report = Report::new(base, file.telling, file.common.check_only, lines.expected);
    lines.remark().into_iter().for_each(|remark| report.remark(remark));
    let password = if file.os_passwords { "UseSysPassword" } else { "UnixPassword" };
    let fields = ["Name", "RealName", password].map(str::to_owned).to_vec();
    let mut feeder = Feeder::new(base, fields, &file.common, report)?;
    while let Some((number, line)) = lines.next()? {
        let Some(line) = line else {
            feeder.told(number, "", Outcome::failed("the line is too long"))?;
            continue;
        };
        let user = match passwd::user(&line) {
            Ok(Some(user)) => user,
            Ok(None) => continue,
            Err(why) => {
                let name = line.split(':').next().unwrap_or_default();
                feeder.told(number, name, Outcome::failed(&why))?;
                continue;
            }
        };
        if let Some(why) = choice.leaves_out(&user) {
            feeder.told(number, &user.name, Outcome::LeftOut(why))?;
            continue;
        }
        let mut warnings = Vec::new();
        let password = if file.os_passwords {
            "YES".to_owned()
        } else {
            hash(&user.password, hashes.get(&user.name), &mut warnings)
        };
        let real_name = user.real_name();
        let cells = vec![user.name.clone(), real_name, password];
        feeder.push(Row { number, name: user.name, cells, name_at: Some(0), warnings })?;
    }
    feeder.end()
}

/// The hash of a user, empty when there is none.
fn hash(field: &str, shadow: Option<&String>, warnings: &mut Vec<String>) -> String {
    let found = match (passwd::field(field), shadow) {
        (Field::Elsewhere, Some(shadow)) => passwd::field(shadow),
        (found, _) => found,
    };
    match found {
        Field::Hash(hash) => return hash.to_owned(),
        Field::Elsewhere => {
            warnings.push("without a password: its hash stands in shadow".to_owned());
        }
        Field::None(why) => warnings.push(format!("without a password: {why}")),
    }
    String::new()
}

/// The fields of the passwords in `shadow`, by name.
fn hashes(path: &Path) -> io::Result<HashMap<String, String>> {
    let mut lines = Lines::open(path)?;
    let mut all = HashMap::new();
    while let Some((_, line)) = lines.next()? {
        if let Some((name, field)) = line.as_deref().and_then(passwd::shadow) {
            if all.len() >= MAX_SHADOW {
                let text = format!("{}: more than {MAX_SHADOW} lines", path.display());
                return Err(io::Error::other(text));
            }
            all.insert(name.to_owned(), field.to_owned());
        }
    }
    Ok(all)
}
