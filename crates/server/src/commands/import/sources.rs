//! The files of other servers as one stream of entries: LDIF, tables, blocks of fields, registries,
//! each told by its product and its first line. Reads and hands on; what an entry becomes is decided
//! in `objects::import`.

use std::io;
use std::path::Path;

use angarium_objects::import::blocks::Blocks;
use angarium_objects::import::directory::Reading;
use angarium_objects::import::entry::{Entry, attribute_of};
use angarium_objects::import::imail::Imail;
use angarium_objects::import::ldif::{Change, Ldif};
use angarium_objects::import::newcomer::Newcomer;
use angarium_objects::import::registry::Registry;
use angarium_objects::import::table::{self, Table};
use angarium_objects::import::{directory, shown};

use super::lines::{Line, Lines};

/// Most lines before the one that names the columns.
const PREAMBLE: usize = 1_000;

/// Where a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// Netscape, iPlanet, OpenLDAP, Active Directory.
    Ldif,
    PostOffice,
    Imail,
    /// SIMS and CommuniGate for MacOS.
    Sims,
    Exchange,
    /// Any table with columns named in the first line.
    Table,
}

/// What a file is, by its first line.
enum Form {
    Ldif(Ldif),
    Table(Box<Columns>),
    Blocks(Blocks),
    Registry(Registry, Imail),
}

struct Columns {
    table: Table,
    tabs: bool,
    attributes: Vec<String>,
}

/// One thing of the file.
pub(super) enum Item {
    /// An entry, which becomes what the newcomers say.
    Entry(Box<Entry>, Vec<Newcomer>),
    /// What a registry holds.
    Newcomer(Newcomer),
    /// A part that cannot be read: line and reason.
    Fault(u64, String),
}

/// A file that is being read.
pub(super) struct Source {
    lines: Lines,
    form: Form,
    reading: Reading,
    /// Lines looked at to find the form.
    looked_at: Vec<Line>,
    ended: bool,
    /// Read and not handed on yet.
    ready: Vec<Item>,
}

impl Source {
    /// Opens a file and finds its form.
    pub(super) fn open(
        path: &Path,
        product: Product,
        domain: Option<&str>,
        charset: Option<&str>,
    ) -> io::Result<Self> {
        // Programs of the Macintosh wrote its own charset.
        let charset = match (product, charset) {
            (Product::Sims, None) if !is_utf8(path)? => Some("macintosh"),
            (_, charset) => charset,
        };
        let mut lines = Lines::open_in(path, charset)?;
        let named = |why: &str| io::Error::other(format!("{}: {why}", path.display()));
        let (mut looked_at, mut first) = (Vec::new(), None);
        while let Some((number, line)) = lines.next()? {
            let Some(text) = &line else { return Err(named("the first line is too long")) };
            let says = !table::is_preamble(text) && !text.trim_start().starts_with(['#', ';']);
            if says {
                first = Some(text.clone());
            }
            looked_at.push((number, line));
            if says || looked_at.len() > PREAMBLE {
                break;
            }
        }
        let first = first.ok_or_else(|| named("nothing was found in it"))?;
        let (form, all_people) = form(product, &first, domain).map_err(|why| named(&why))?;
        if matches!(form, Form::Table(_)) {
            // The line that names the columns is no row.
            looked_at.clear();
        }
        let reading = Reading {
            domain: domain.map(str::to_lowercase),
            quota_unit: if product == Product::Sims { 1 << 10 } else { 1 },
            all_people,
            bare_crypt: false,
        };
        looked_at.reverse();
        Ok(Self { lines, form, reading, looked_at, ended: false, ready: Vec::new() })
    }

    /// About how many lines the file has.
    pub(super) fn expected(&self) -> u64 {
        self.lines.expected
    }

    /// What is to be said of the file's encoding.
    pub(super) fn remark(&self) -> Option<&'static str> {
        self.lines.remark()
    }

    /// The next thing; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Item>> {
        while self.ready.is_empty() && !self.ended {
            let line = match self.looked_at.pop() {
                Some(line) => Some(line),
                None => self.lines.next()?,
            };
            self.take(line);
        }
        Ok(self.ready.pop())
    }

    /// Takes a line, or the end.
    fn take(&mut self, line: Option<Line>) {
        self.ended = line.is_none();
        let line = line.as_ref().map(|(number, text)| (*number, text.as_deref()));
        let entry = |entry: Entry, reading: &Reading| {
            let newcomers = directory::newcomers(&entry, reading);
            Item::Entry(Box::new(entry), newcomers)
        };
        let items: Vec<Item> = match &mut self.form {
            Form::Ldif(ldif) => {
                let read = match line {
                    Some((number, text)) => ldif.line(number, text),
                    None => ldif.end(),
                };
                let item = read.map(|read| match read {
                    Ok(record) if record.change == Change::Add => {
                        entry(record.entry, &self.reading)
                    }
                    Ok(record) => Item::Newcomer(Newcomer::LeftOut(
                        record.entry.line,
                        record.entry.dn,
                        "it changes an entry that is not in the file".to_owned(),
                    )),
                    Err((line, why)) => Item::Fault(line, why),
                });
                item.into_iter().collect()
            }
            Form::Table(columns) => {
                let row = match line {
                    Some((number, text)) => columns.table.line(number, text),
                    None => columns.table.end(),
                };
                let item = row.map(|(number, cells)| {
                    match cells.and_then(|cells| columns.entry(number, &cells)) {
                        Ok(row) => entry(row, &self.reading),
                        Err(why) => Item::Fault(number, why),
                    }
                });
                item.into_iter().collect()
            }
            Form::Blocks(blocks) => {
                let read = match line {
                    Some((number, text)) => blocks.line(number, text),
                    None => blocks.end(),
                };
                let item = read.map(|read| match read {
                    Ok(block) => entry(block, &self.reading),
                    Err((line, why)) => Item::Fault(line, why),
                });
                item.into_iter().collect()
            }
            Form::Registry(registry, imail) => {
                let read = match line {
                    Some((number, text)) => registry.line(number, text),
                    None => registry.end(),
                };
                match read {
                    Some(Ok(key)) => imail.key(&key).into_iter().map(Item::Newcomer).collect(),
                    Some(Err((line, why))) => vec![Item::Fault(line, why)],
                    None => Vec::new(),
                }
            }
        };
        self.ready.extend(items.into_iter().rev());
    }
}

fn is_utf8(path: &Path) -> io::Result<bool> {
    Ok(Lines::open(path)?.remark().is_none())
}

fn form(product: Product, first: &str, domain: Option<&str>) -> Result<(Form, bool), String> {
    let lower = first.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let is_ldif = ["dn:", "version:", "control:"].iter().any(|start| lower.starts_with(start));
    let is_registry = ["regedit", "windows registry", "[hkey"].iter().any(|s| lower.starts_with(s));
    let tabbed = first.contains('\t');
    let labelled = !tabbed && first.split_once(':').is_some_and(|(l, _)| !l.contains([',', ';']));
    Ok(match product {
        Product::Ldif if !is_ldif => {
            return Err("this is no LDIF: it does not begin with dn: or version:".to_owned());
        }
        Product::Ldif | Product::Exchange if is_ldif => (Form::Ldif(Ldif::default()), false),
        Product::Imail if is_registry => {
            let mut imail = Imail::default();
            imail.domain = domain.map(str::to_lowercase);
            (Form::Registry(Registry::default(), imail), true)
        }
        Product::PostOffice if labelled => (Form::Blocks(Blocks::default()), true),
        _ => {
            let (columns, kinds) = columns(first)?;
            (Form::Table(Box::new(columns)), product != Product::Exchange || !kinds)
        }
    })
}

/// The columns of a table, and whether one of them says what kind of object a row is.
fn columns(first: &str) -> Result<(Columns, bool), String> {
    let separator = table::separator_of(first);
    let mut table = Table::new(separator);
    let Some((_, Ok(cells))) = table.line(1, Some(first)) else {
        return Err("the first line does not name the columns".to_owned());
    };
    let tabs = separator == '\t';
    let mut attributes: Vec<String> = Vec::with_capacity(cells.len());
    for cell in &cells {
        let attribute = attribute_of(&if tabs { table::tab_cell(cell) } else { cell.clone() });
        if !attribute.is_empty() && attribute != "mail" && attributes.contains(&attribute) {
            return Err(format!("the first line names the column {} twice", shown(cell)));
        }
        attributes.push(attribute);
    }
    let names = ["uid", "mail", "samaccountname", "proxyaddresses", "mailnickname", "listname"];
    if !attributes.iter().any(|attribute| names.contains(&attribute.as_str())) {
        return Err("the first line must name the columns, a login name or an address among them \
                    (such as User, Login, Account, Mail)"
            .to_owned());
    }
    let kinds = attributes.iter().any(|a| a == "objectclass" || a == "recipienttypedetails");
    Ok((Columns { table, tabs, attributes }, kinds))
}

impl Columns {
    fn entry(&self, number: u64, cells: &[String]) -> Result<Entry, String> {
        let mut entry = Entry::new(number, "");
        for (at, cell) in cells.iter().enumerate() {
            let Some(attribute) = self.attributes.get(at) else {
                if cell.trim().is_empty() {
                    continue;
                }
                return Err("the row has more cells than the first line names".to_owned());
            };
            let secret = attribute == "clearpassword" || attribute == "unixpassword";
            let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            if cell.contains(control) {
                return Err(format!(
                    "the column {}: it holds a control character",
                    shown(attribute)
                ));
            }
            if attribute.is_empty() {
                continue;
            }
            let text =
                if self.tabs && !secret { table::tab_cell(cell) } else { cell.trim().to_owned() };
            if attribute == "member" && are_names(&text) {
                // Names hold commas: only other signs stand between them.
                text.split([';', '|', '\n']).for_each(|one| entry.add(attribute, one.trim()));
            } else {
                entry.add_cell(attribute, &text);
            }
        }
        if let Some(dn) = entry.first(&["dn", "distinguishedname"]) {
            entry.dn = dn.to_owned();
        }
        Ok(entry)
    }
}

/// True for members that are called by their names, not by addresses alone.
fn are_names(cell: &str) -> bool {
    cell.split([',', ';', '|', '\n']).any(|one| !one.trim().is_empty() && !one.contains('@'))
}
