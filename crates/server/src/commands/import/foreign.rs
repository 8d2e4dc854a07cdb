//! Users, groups and forwarders of other servers brought in, or written as an account list: reads
//! the file, finds out what members of groups are called here, hands the accounts to the server in
//! rows, and lets the addresses become what aliases become.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;

use angarium_message::address;
use angarium_objects::import::directory::contact_references;
use angarium_objects::import::newcomer::{Address, FIELDS, Newcomer, Person, folded_reference};
use angarium_objects::import::sendmail::{Entry, MAX_ENTRIES, MAX_TARGETS, Target};
use angarium_objects::import::sendmail_plan::Known;
use angarium_objects::name;
use clap::Args;

use super::accounts::{Feeder, Row};
use super::aliases::{self, Faults, How};
use super::list_files::{Books, ListFiles};
use super::report::{Outcome, Report};
use super::sources::{Item, Product, Source};
use super::{Common, Telling};
use crate::administration::Administrator;
use crate::arguments::Base;
use crate::commands::REFUSED;
use crate::commands::output::put;

/// Most names that members of groups may be meant by.
const MAX_REFERENCES: usize = 5_000_000;

/// Arguments of `import ldif` and the like.
#[derive(Debug, Args)]
pub(crate) struct ForeignFile {
    /// The file.
    pub(crate) file: PathBuf,
    /// Put everything into this domain, whatever the domain of the addresses (default: the domain
    /// of each address; names without one go into the main domain).
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// Show what would become of every object; change nothing.
    #[arg(long, visible_aliases = ["dry-run", "check-only"])]
    pub(crate) plan: bool,
    /// Write an account list to this new file, and groups and forwarders beside it, instead of
    /// bringing anything in.
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    pub(crate) to_list: Option<PathBuf>,
    /// Write an address book of all people and contacts to this new file, as LDIF, or as vCards
    /// where its name ends in .vcf.
    #[arg(long, value_name = "FILE")]
    pub(crate) address_book: Option<PathBuf>,
    /// The charset of a file that is neither UTF-8 nor UTF-16, such as windows-1252 or macintosh.
    #[arg(long, value_name = "NAME")]
    pub(crate) charset: Option<String>,
    /// Account that owns mailing lists whose owner is no account here.
    #[arg(long, value_name = "NAME")]
    pub(crate) list_owner: Option<String>,
    #[command(flatten)]
    pub(crate) telling: Telling,
}

/// What members of groups and targets may be called, and what they are called here.
#[derive(Default)]
struct References {
    /// By hash of the folded reference: the name here, once it is known.
    wanted: HashMap<u64, Option<Box<str>>>,
}

fn hashed(reference: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    folded_reference(reference).hash(&mut hasher);
    hasher.finish()
}

impl References {
    fn want(&mut self, references: &[String]) {
        for reference in references {
            if self.wanted.len() < MAX_REFERENCES {
                self.wanted.entry(hashed(reference)).or_default();
            }
        }
    }

    fn found(&mut self, references: &[String], name: &str) {
        for reference in references {
            if let Some(place) = self.wanted.get_mut(&hashed(reference)) {
                // The first of several of one name counts.
                place.get_or_insert_with(|| name.into());
            }
        }
    }

    /// What a member is called here; a name of a directory that nobody has is lost.
    fn resolved(&self, member: &str) -> Result<String, String> {
        match self.wanted.get(&hashed(member)) {
            Some(Some(name)) => Ok(name.to_string()),
            _ if member.contains('@') && !member.contains(',') => Ok(member.to_owned()),
            _ if name::object_name(member).is_ok() => Ok(member.to_ascii_lowercase()),
            _ => Err(format!("{} is not in the file", angarium_objects::import::shown(member))),
        }
    }

    fn all(&self, members: &[String], remarks: &mut Vec<String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for member in members {
            match self.resolved(member) {
                Ok(name) if all.len() <= MAX_TARGETS => all.push(name),
                Ok(_) => {}
                Err(why) => remarks.push(format!("left out: {why}")),
            }
        }
        all
    }
}

/// What was found beside accounts.
#[derive(Default)]
struct Found {
    references: References,
    addresses: Vec<Address>,
    /// Accounts, by full name, for a plan in which they are not made.
    accounts: Vec<String>,
}

pub(in crate::commands) fn run(
    base: &Base,
    product: Product,
    file: &ForeignFile,
) -> io::Result<u8> {
    let open =
        || Source::open(&file.file, product, file.domain.as_deref(), file.charset.as_deref());
    let mut found = first_look(open()?, file)?;
    if !found.references.wanted.is_empty() {
        second_look(open()?, &mut found)?;
    }
    let source = open()?;
    if let Some(path) = &file.to_list {
        let mut list = ListFiles::create(path)?;
        return to_list(base, source, file, &found, &mut list);
    }
    let telling = Telling { each: file.telling.each || file.plan, ..file.telling };
    let mut report = Report::new(base, telling, file.plan, source.expected());
    source.remark().into_iter().for_each(|remark| report.remark(remark));
    let common = Common { domain: file.domain.clone(), check_only: file.plan };
    let fields = FIELDS.map(str::to_owned).to_vec();
    let feeder = Feeder::new(base, fields, &common, report)?;
    let (code, mut server) = accounts(source, &found, feeder)?;
    let addresses = addresses(base, file, found, &mut server)?;
    Ok(code.max(addresses))
}

/// Finds groups and forwarders, what their members are called, and who belongs into an address book.
fn first_look(mut source: Source, file: &ForeignFile) -> io::Result<Found> {
    let mut found = Found::default();
    let mut book = file.address_book.as_deref().map(Books::create).transpose()?;
    let mut members = 0;
    while let Some(item) = source.next()? {
        let newcomers = match item {
            Item::Entry(entry, newcomers) => {
                if let Some(book) = &mut book {
                    book.add(&entry)?;
                }
                newcomers
            }
            Item::Newcomer(newcomer) => vec![newcomer],
            Item::Fault(..) => continue,
        };
        for newcomer in newcomers {
            match newcomer {
                Newcomer::Account(person) => {
                    found.references.want(&person.forward);
                    for address in &person.elsewhere {
                        found.addresses.push(Address {
                            line: person.line,
                            name: address.to_lowercase(),
                            members: vec![person.name.clone()],
                            ..Address::default()
                        });
                    }
                    if file.plan && found.accounts.len() < MAX_ENTRIES {
                        found.accounts.push(person.name.clone());
                        let domain = person.name.split_once('@').map(|(_, domain)| domain);
                        let full = |alias: &String| match domain {
                            Some(domain) => format!("{alias}@{domain}"),
                            None => alias.clone(),
                        };
                        found.accounts.extend(person.aliases.iter().map(full));
                    }
                }
                Newcomer::Address(mut address) => {
                    address.members.iter_mut().for_each(bare);
                    address.list.iter_mut().flatten().for_each(bare);
                    found.references.want(&address.members);
                    let owner: Vec<String> = address.list.iter().flatten().cloned().collect();
                    found.references.want(&owner);
                    members += address.members.len();
                    found.addresses.push(address);
                }
                _ => {}
            }
        }
        if found.addresses.len() > MAX_ENTRIES || members > MAX_REFERENCES {
            let text =
                format!("more than {MAX_ENTRIES} groups and forwarders, or too many members");
            return Err(io::Error::other(text));
        }
    }
    if let Some(book) = book {
        put(&book.finish()?);
    }
    Ok(found)
}

/// `joe@a.example` of `"Joe Doe" <joe@a.example>`.
fn bare(member: &mut String) {
    if member.contains('<') {
        let found = address::mailboxes(member.as_bytes()).into_iter().next();
        if let Some(found) = found.filter(|found| !found.domain.is_empty()) {
            *member = found.address();
        }
    }
}

/// Finds what those who are meant are called here.
fn second_look(mut source: Source, found: &mut Found) -> io::Result<()> {
    while let Some(item) = source.next()? {
        let newcomers = match item {
            Item::Entry(entry, newcomers) => {
                let out = newcomers.iter().all(|one| matches!(one, Newcomer::LeftOut(..)));
                if let Some((references, target)) = contact_references(&entry).filter(|_| out) {
                    found.references.found(&references, &target);
                }
                newcomers
            }
            Item::Newcomer(newcomer) => vec![newcomer],
            Item::Fault(..) => continue,
        };
        for newcomer in newcomers {
            match newcomer {
                Newcomer::Account(person) => {
                    found.references.found(&person.references, &person.name);
                }
                Newcomer::Address(address) => {
                    found.references.found(&address.references, &address.name);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The row of a person.
fn row(person: Person, found: &Found) -> Row {
    let mut warnings = person.remarks.clone();
    let forward = found.references.all(&person.forward, &mut warnings);
    let cells = person.cells(&forward);
    Row { number: person.line, name: person.name, cells, name_at: Some(0), warnings }
}

fn accounts(
    mut source: Source,
    found: &Found,
    mut feeder: Feeder,
) -> io::Result<(u8, Administrator)> {
    while let Some(item) = source.next()? {
        let newcomers = match item {
            Item::Entry(_, newcomers) => newcomers,
            Item::Newcomer(newcomer) => vec![newcomer],
            Item::Fault(line, why) => vec![Newcomer::Failed(line, String::new(), why)],
        };
        for newcomer in newcomers {
            match newcomer {
                Newcomer::Account(person) => feeder.push(row(*person, found))?,
                Newcomer::Address(_) => {}
                Newcomer::LeftOut(line, name, why) => {
                    feeder.told(line, &name, Outcome::LeftOut(why))?;
                }
                Newcomer::Failed(line, name, why) => {
                    feeder.told(line, &name, Outcome::failed(&why))?;
                }
            }
        }
    }
    feeder.finish()
}

/// Groups and forwarders as entries of aliases, domain by domain, with what is to be said of each.
type ByDomain = BTreeMap<String, Vec<(Entry, Vec<String>)>>;

/// Mailing lists among them, by domain and name, with the names of their owners here.
type Lists = BTreeMap<String, BTreeMap<String, Option<String>>>;

fn lists_of(addresses: &[Address], references: &References) -> Lists {
    let mut lists = Lists::new();
    for address in addresses {
        let Some(owner) = &address.list else { continue };
        let (name, domain) = match address.name.rsplit_once('@') {
            Some((name, domain)) => (name.to_owned(), domain.to_owned()),
            None => (address.name.clone(), String::new()),
        };
        let owner = owner.as_ref().and_then(|owner| references.resolved(owner).ok());
        lists.entry(domain).or_default().insert(name, owner);
    }
    lists
}

fn by_domain(addresses: Vec<Address>, references: &References) -> ByDomain {
    let mut domains = ByDomain::new();
    for address in addresses {
        let mut remarks = address.remarks;
        let members = references.all(&address.members, &mut remarks);
        let (name, domain) = match address.name.rsplit_once('@') {
            Some((name, domain)) => (name.to_owned(), domain.to_owned()),
            None => (address.name, String::new()),
        };
        let target = |member: String| match member.contains('@') {
            true => Target::Address(member),
            false => Target::Local(member),
        };
        let targets = members.into_iter().map(target).collect();
        let entry = Entry { line: address.line, name, targets };
        domains.entry(domain).or_default().push((entry, remarks));
    }
    domains
}

fn addresses(
    base: &Base,
    file: &ForeignFile,
    found: Found,
    server: &mut Administrator,
) -> io::Result<u8> {
    let mut code = 0;
    let mut lists = lists_of(&found.addresses, &found.references);
    for (domain, entries) in by_domain(found.addresses, &found.references) {
        let (entries, remarks): (Vec<Entry>, Vec<Vec<String>>) = entries.into_iter().unzip();
        let named = (!domain.is_empty()).then_some(domain.as_str());
        if let Some(domain) = named
            && !is_here(server, domain)?
        {
            let why = format!("the domain {domain} is not here");
            let faults: Faults = entries
                .iter()
                .map(|entry| (entry.line, format!("{}@{domain}: not made: {why}", entry.name)))
                .collect();
            code = code.max(aliases::show(base, file.plan, &[], &[], &faults, None));
            continue;
        }
        let here = |name: &String| match name.rsplit_once('@') {
            Some((local, of)) if of == domain => Some((local.to_owned(), Known::Account)),
            None if domain.is_empty() => Some((name.clone(), Known::Account)),
            _ => None,
        };
        let promised = found.accounts.iter().filter_map(here).collect();
        let how = How {
            domain: named,
            check_only: file.plan,
            programs: false,
            root: None,
            promised,
            lists: lists.remove(&domain).unwrap_or_default(),
            list_owner: file.list_owner.as_deref(),
        };
        let (mut steps, outcomes) = aliases::bring(server, &entries, how)?;
        for (step, told) in steps.iter_mut().zip(remarks) {
            step.remarks.extend(told);
        }
        code = code.max(aliases::show(base, file.plan, &steps, &outcomes, &Faults::new(), None));
    }
    Ok(code)
}

fn is_here(server: &mut Administrator, domain: &str) -> io::Result<bool> {
    use crate::administration::{Answer, parameter};
    let answer = server.execute(&format!("GetDomainAliases {}", parameter(domain)))?;
    Ok(matches!(answer, Answer::Done(_)))
}

/// Writes an account list, and the aliases of each domain.
fn to_list(
    base: &Base,
    mut source: Source,
    file: &ForeignFile,
    found: &Found,
    list: &mut ListFiles,
) -> io::Result<u8> {
    let mut report = Report::new(base, file.telling, false, source.expected());
    source.remark().into_iter().for_each(|remark| report.remark(remark));
    let mut failed = false;
    while let Some(item) = source.next()? {
        let newcomers = match item {
            Item::Entry(_, newcomers) => newcomers,
            Item::Newcomer(newcomer) => vec![newcomer],
            Item::Fault(line, why) => vec![Newcomer::Failed(line, String::new(), why)],
        };
        for newcomer in newcomers {
            match newcomer {
                Newcomer::Account(person) => {
                    let row = row(*person, found);
                    list.row(&row.cells)?;
                    report.row(row.number, &row.name, &Outcome::Written, &row.warnings);
                }
                Newcomer::Address(_) => {}
                Newcomer::LeftOut(line, name, why) => {
                    report.row(line, &name, &Outcome::LeftOut(why), &[]);
                }
                Newcomer::Failed(line, name, why) => {
                    failed = true;
                    report.row(line, &name, &Outcome::failed(&why), &[]);
                }
            }
        }
    }
    let mut lists = lists_of(&found.addresses, &found.references);
    for (domain, mut entries) in by_domain(found.addresses.clone(), &found.references) {
        // In a file of aliases this says that the name is a mailing list, and whose.
        for (name, owner) in lists.remove(&domain).unwrap_or_default() {
            let Some(owner) = owner else { continue };
            let target = match owner.contains('@') {
                true => Target::Address(owner),
                false => Target::Local(owner),
            };
            let entry = Entry { line: 0, name: format!("owner-{name}"), targets: vec![target] };
            entries.push((entry, Vec::new()));
        }
        list.aliases(&domain, &entries)?;
    }
    list.finish()?;
    report.end();
    Ok(if failed { REFUSED } else { 0 })
}
