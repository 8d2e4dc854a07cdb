//! What an entry of sendmail's `aliases` becomes here (MIG-65, `reference/groups-forwarders-lists.md`
//! section 4): an alias, a forwarder, a group, a mailing list, a Router record, or nothing, and why. Decides from
//! the entries and from what is known of names; makes nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::mailing_list::MAX_SUBSCRIBERS;
use crate::name;

use super::sendmail::{Entry, MAX_TARGETS, Target};
use super::shown;

/// Most names in a row before an account is reached.
const MAX_CHAIN: usize = 50;

/// What a name of the domain is already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// An account of this name.
    Account,
    /// Another name of the account called so.
    Alias(String),
    /// A forwarder to this address.
    Forwarder(String),
    /// A group of these members.
    Group(Vec<String>),
    /// A mailing list with these subscribers, lower case.
    List(Vec<String>),
}

/// What the plan is made from.
#[derive(Debug, Default)]
pub struct Situation {
    /// The domain's own name first, then its other names.
    pub domains: Vec<String>,
    /// Names of the domain that stand for something.
    pub known: BTreeMap<String, Known>,
    /// Targets that stand in included files, or why they cannot be had.
    pub included: BTreeMap<String, Result<Vec<Target>, String>>,
    /// The Router's records as written, without spaces at their ends.
    pub records: BTreeSet<String>,
    /// Programs become Router records.
    pub programs: bool,
    /// Names that are mailing lists by the word of the file, with the owner where it names one.
    pub lists: BTreeMap<String, Option<String>>,
    /// The account that owns lists whose own owner is no account here; with one, what is included
    /// from a file is a list too.
    pub list_owner: Option<String>,
}

/// What an entry becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Another name of the account called so.
    Alias(String),
    /// A forwarder to an address.
    Forwarder(String),
    /// A group of these members.
    Group(Vec<String>),
    /// A mailing list.
    List {
        /// The account that is to own it; `None` for a list that is there and lacks subscribers.
        owner: Option<String>,
        /// Addresses to be subscribed.
        subscribers: Vec<String>,
    },
    /// An address that the mailing list of this name has by itself.
    Part(String),
    /// A record of the Router.
    Router(String),
    /// It is so already.
    There,
    /// Nothing, for this reason.
    Not(String),
}

/// One entry of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line of the file.
    pub line: u64,
    /// The name.
    pub name: String,
    /// What it becomes.
    pub action: Action,
    /// What is lost or odd about it.
    pub remarks: Vec<String>,
}

/// A target as this server sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    /// A name of the domain; another entry of the file may stand for it.
    Name(String),
    /// An address elsewhere.
    Remote(String),
    Program(String),
    Null,
    Refused,
    /// Cannot be had here, for this reason.
    Lost(String),
}

/// What a name on the right leads to in the end.
enum Lead {
    Account(String),
    /// An object of this name, there or in the plan.
    Object,
    Nothing(String),
}

struct Plan<'a> {
    situation: &'a Situation,
    goals: BTreeMap<&'a str, Vec<Goal>>,
    /// Names for which a file is included.
    including: BTreeSet<&'a str>,
    circular: BTreeSet<&'a str>,
}

/// Decides what becomes of every entry, in their order.
#[must_use]
pub fn plan(entries: &[Entry], situation: &Situation) -> Vec<Step> {
    let (goals, including) = (BTreeMap::new(), BTreeSet::new());
    let mut plan = Plan { situation, goals, including, circular: BTreeSet::new() };
    for entry in entries {
        if entry.targets.iter().any(|target| matches!(target, Target::Include(_))) {
            plan.including.insert(&entry.name);
        }
        let goals = plan.goals_of(entry);
        // The first of several entries of one name counts.
        plan.goals.entry(&entry.name).or_insert(goals);
    }
    plan.circular = plan.circles();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut steps = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut remarks = Vec::new();
        let action = match seen.get(entry.name.as_str()) {
            Some(line) => Action::Not(format!("line {line} has this name already")),
            None => plan.action(&entry.name, &mut remarks),
        };
        seen.entry(&entry.name).or_insert(entry.line);
        steps.push(Step { line: entry.line, name: entry.name.clone(), action, remarks });
    }
    steps
}

impl<'a> Plan<'a> {
    fn domain(&self) -> &str {
        self.situation.domains.first().map_or("", String::as_str)
    }

    fn goals_of(&self, entry: &Entry) -> Vec<Goal> {
        let mut goals = Vec::new();
        for target in &entry.targets {
            self.goal(target, true, &mut goals);
        }
        let mut seen = BTreeSet::new();
        goals.retain(|goal| seen.insert(goal.clone()));
        goals
    }

    fn goal(&self, target: &Target, include: bool, goals: &mut Vec<Goal>) {
        if goals.len() > MAX_TARGETS {
            return;
        }
        goals.push(match target {
            Target::Local(name) | Target::Mailbox(name) => Goal::Name(name.clone()),
            Target::Address(address) => match address.rsplit_once('@') {
                Some((local, domain))
                    if self.is_ours(domain) && name::object_name(local).is_ok() =>
                {
                    Goal::Name(local.to_ascii_lowercase())
                }
                _ => Goal::Remote(address.clone()),
            },
            Target::Program(program) => Goal::Program(program.clone()),
            Target::File(path) if path == "/dev/null" => Goal::Null,
            Target::File(path) => {
                Goal::Lost(format!("mail is not appended to files ({})", shown(path)))
            }
            Target::Refused(_) => Goal::Refused,
            Target::Include(path) => match self.situation.included.get(path) {
                Some(Ok(targets)) if include => {
                    // Files included from there have been read into these already.
                    targets.iter().for_each(|target| self.goal(target, false, goals));
                    return;
                }
                Some(Err(why)) => Goal::Lost(format!("{} is not included: {why}", shown(path))),
                _ => Goal::Lost(format!("{} is not included", shown(path))),
            },
        });
    }

    fn is_ours(&self, domain: &str) -> bool {
        self.situation.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
    }

    /// Other names of the file on the right of an entry. What is an account is the end of every way.
    fn next_names(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let goals = self.goals.get(name).map(Vec::as_slice).unwrap_or_default();
        goals.iter().filter_map(move |goal| match goal {
            Goal::Name(next) => {
                let (next, _) = self.goals.get_key_value(next.as_str())?;
                (*next != name && !self.situation.known.contains_key(*next)).then_some(*next)
            }
            _ => None,
        })
    }

    /// The names from which ways lead back to themselves. What leads nowhere further is taken
    /// away again and again, then what nothing leads to; circles and what lies between remain.
    fn circles(&self) -> BTreeSet<&'a str> {
        let mut forward: BTreeMap<&'a str, BTreeSet<&'a str>> = BTreeMap::new();
        let mut backward = forward.clone();
        for name in self.goals.keys() {
            for next in self.next_names(name) {
                forward.entry(name).or_default().insert(next);
                backward.entry(next).or_default().insert(name);
            }
        }
        let all: BTreeSet<&'a str> = self.goals.keys().copied().collect();
        let left = peeled(all, &forward, &backward);
        peeled(left, &backward, &forward)
    }

    fn lead(&self, first: &str) -> Lead {
        let mut name = first;
        for _ in 0..MAX_CHAIN {
            match self.situation.known.get(name) {
                Some(Known::Account) => return Lead::Account(name.to_owned()),
                Some(Known::Alias(account)) => return Lead::Account(account.clone()),
                Some(_) => return Lead::Object,
                None => {}
            }
            match self.goals.get(name).map(Vec::as_slice) {
                None => return Lead::Nothing(format!("there is no account {}", shown(name))),
                Some([Goal::Name(next)]) => name = next,
                Some([Goal::Lost(why)]) => return Lead::Nothing(why.clone()),
                Some([Goal::Program(_)]) if !self.situation.programs => {
                    return Lead::Nothing(format!("{} leads to a program", shown(name)));
                }
                Some(_) => return Lead::Object,
            }
        }
        Lead::Nothing(format!("more than {MAX_CHAIN} names in a row"))
    }

    fn action(&self, name: &str, remarks: &mut Vec<String>) -> Action {
        if name.contains('@') {
            return Action::Not("a name of this domain is expected, without a domain".to_owned());
        }
        if let Err(error) = name::object_name(name) {
            return Action::Not(error.to_string());
        }
        let goals = self.goals.get(name).map(Vec::as_slice).unwrap_or_default();
        let known = self.situation.known.get(name);
        if known == Some(&Known::Account) {
            let own = |goal: &Goal| matches!(goal, Goal::Name(next) if next == name);
            return if goals.iter().all(own) {
                Action::There
            } else {
                Action::Not(
                    "this is an account; mail to it is sent on by a Rule of the account".to_owned(),
                )
            };
        }
        let wanted = match (self.list(name, goals, remarks), goals) {
            (Some(list), _) => list,
            (None, [one]) => self.single(name, one),
            (None, several) => self.several(name, several, remarks),
        };
        self.unless_taken(name, wanted, known)
    }

    /// The account that owns the list of this name; an error is why the name is no list though it
    /// looks like one, and nothing when it does not.
    fn owner_of(&self, name: &str) -> Option<Result<String, String>> {
        let own = format!("owner-{name}");
        let default = self.situation.list_owner.clone();
        let named = match self.situation.lists.get(name) {
            Some(Some(owner)) => Some(owner.clone()),
            Some(None) => None,
            None if self.goals.contains_key(own.as_str()) => Some(own),
            None => {
                let included = self.including.contains(name);
                return default.filter(|_| included).map(Ok);
            }
        };
        let account = named.as_deref().and_then(|owner| match owner.rsplit_once('@') {
            Some((local, domain)) if self.is_ours(domain) => self.account(local),
            Some(_) => None,
            None => self.account(owner),
        });
        Some(account.or(default).ok_or_else(|| {
            let why = match named {
                Some(owner) => format!("{} is no account here", shown(&owner)),
                None => "its owner is not named".to_owned(),
            };
            format!(
                "a mailing list, but {why}: it becomes a group; --list-owner NAME makes it a list"
            )
        }))
    }

    fn account(&self, name: &str) -> Option<String> {
        match self.lead(&name.to_ascii_lowercase()) {
            Lead::Account(account) => Some(account),
            _ => None,
        }
    }

    /// A mailing list with its subscribers, if the name is one; else it says why not, where that is
    /// worth saying.
    fn list(&self, name: &str, goals: &[Goal], remarks: &mut Vec<String>) -> Option<Action> {
        if let Some(list) = name.strip_prefix("owner-")
            && let (Some(Ok(owner)), Some(of)) = (self.owner_of(list), self.goals.get(list))
            && self.account(name).as_deref() == Some(owner.as_str())
            && self.list(list, of, &mut Vec::new()).is_some()
        {
            return Some(Action::Part(list.to_owned()));
        }
        let owner = match self.owner_of(name)? {
            Ok(owner) => owner,
            Err(why) => {
                remarks.push(why);
                return None;
            }
        };
        if self.circular.contains(name) {
            return None;
        }
        let mut told = Vec::new();
        let (members, _) = self.members(name, goals, &mut told);
        let full = |member: String| match member.contains('@') {
            true => member.to_lowercase(),
            false => format!("{member}@{}", self.domain()),
        };
        let subscribers: BTreeSet<String> = members.into_iter().map(full).collect();
        if subscribers.is_empty() {
            return None;
        }
        if subscribers.len() > MAX_SUBSCRIBERS {
            let why =
                format!("a list has at most {MAX_SUBSCRIBERS} subscribers: it becomes a group");
            remarks.push(why);
            return None;
        }
        remarks.append(&mut told);
        Some(Action::List { owner: Some(owner), subscribers: subscribers.into_iter().collect() })
    }

    fn single(&self, name: &str, goal: &Goal) -> Action {
        let record =
            |target: &str| Action::Router(format!("<{name}@{}> = {target}", self.domain()));
        match goal {
            Goal::Name(next) if next == name => Action::Not("there is no such account".to_owned()),
            Goal::Name(_) if self.circular.contains(name) => {
                Action::Not("it leads back to itself".to_owned())
            }
            Goal::Name(next) => match self.lead(next) {
                Lead::Account(account) => Action::Alias(account),
                Lead::Object => Action::Forwarder(format!("{next}@{}", self.domain())),
                Lead::Nothing(why) => Action::Not(why),
            },
            Goal::Remote(address) => Action::Forwarder(address.clone()),
            Goal::Null => record("null"),
            Goal::Refused => record("error"),
            Goal::Program(_) if !self.situation.programs => Action::Not(
                "it leads to a program; with --programs it becomes a record of the Router"
                    .to_owned(),
            ),
            Goal::Program(program) => match program_address(program) {
                Some(address) => record(&address),
                None => Action::Not("the program cannot be written into the Router".to_owned()),
            },
            Goal::Lost(why) => Action::Not(why.clone()),
        }
    }

    /// The members of goals, with the goals they come from.
    fn members<'g>(
        &self,
        name: &str,
        goals: &'g [Goal],
        remarks: &mut Vec<String>,
    ) -> (Vec<String>, Vec<&'g Goal>) {
        let mut members = Vec::new();
        let mut kept = Vec::new();
        for goal in goals {
            match goal {
                Goal::Name(next) if next == name => {
                    remarks.push("left out: itself, which is no account".to_owned());
                }
                Goal::Name(next) => {
                    if let Err(error) = name::object_name(next) {
                        remarks.push(format!("left out: {}: {error}", shown(next)));
                        continue;
                    }
                    if let Lead::Nothing(why) = self.lead(next) {
                        remarks.push(format!("{} gets nothing: {why}", shown(next)));
                    }
                    members.push(next.clone());
                    kept.push(goal);
                }
                Goal::Remote(address) => {
                    members.push(address.clone());
                    kept.push(goal);
                }
                Goal::Null => {}
                Goal::Refused => remarks.push("left out: a refusal among others".to_owned()),
                Goal::Program(program) => {
                    remarks.push(format!("left out: the program {}", shown(program)));
                }
                Goal::Lost(why) => remarks.push(format!("left out: {why}")),
            }
        }
        (members, kept)
    }

    fn several(&self, name: &str, goals: &[Goal], remarks: &mut Vec<String>) -> Action {
        let (members, kept) = self.members(name, goals, remarks);
        if members.len() > MAX_TARGETS {
            return Action::Not(format!("it has more than {MAX_TARGETS} targets"));
        }
        if self.circular.contains(name) {
            remarks.push("it leads back to itself".to_owned());
        }
        match (members.len(), kept.first()) {
            (0, _) if goals.contains(&Goal::Null) => self.single(name, &Goal::Null),
            (0, _) => Action::Not("nothing of it can be had here".to_owned()),
            (1, Some(only)) => self.single(name, only),
            _ => Action::Group(members),
        }
    }

    /// The action, unless it has been taken already or the name stands for something else.
    fn unless_taken(&self, name: &str, wanted: Action, known: Option<&Known>) -> Action {
        let same = match (&wanted, known) {
            (Action::Not(_), _) => return wanted,
            (Action::Router(record), None) => {
                return if self.situation.records.contains(record) {
                    Action::There
                } else {
                    wanted
                };
            }
            (Action::Part(_), _) => return wanted,
            (Action::List { subscribers, .. }, Some(Known::List(there))) => {
                let lacking: Vec<String> =
                    subscribers.iter().filter(|who| !there.contains(who)).cloned().collect();
                return match lacking.is_empty() {
                    true => Action::There,
                    false => Action::List { owner: None, subscribers: lacking },
                };
            }
            (_, None) => return wanted,
            (Action::Alias(account), Some(Known::Alias(of))) => account == of,
            (Action::Forwarder(to), Some(Known::Forwarder(there))) => {
                to.eq_ignore_ascii_case(there)
            }
            (Action::Group(members), Some(Known::Group(there))) => {
                let folded = |all: &[String]| -> BTreeSet<String> {
                    all.iter().map(|member| member.to_lowercase()).collect()
                };
                folded(members) == folded(there)
            }
            _ => false,
        };
        if same {
            return Action::There;
        }
        Action::Not(match known {
            Some(Known::Alias(of)) => format!("{name} is another name of {of} already"),
            Some(Known::Forwarder(to)) => {
                format!("there is a forwarder {name} already, to {}", shown(to))
            }
            Some(Known::Group(_)) => format!("there is a group {name} of other members already"),
            Some(Known::List(_)) => format!("there is a mailing list {name} already"),
            _ => format!("there is an account {name}"),
        })
    }
}

/// Takes away, again and again, what has no way further.
fn peeled<'a>(
    mut left: BTreeSet<&'a str>,
    forward: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    backward: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> BTreeSet<&'a str> {
    // Ways to what was taken away before do not count.
    let ways = |name: &str| {
        forward.get(name).into_iter().flatten().filter(|next| left.contains(*next)).count()
    };
    let mut open: BTreeMap<&str, usize> = left.iter().map(|name| (*name, ways(name))).collect();
    let mut ends: Vec<&str> = left.iter().copied().filter(|n| open.get(n) == Some(&0)).collect();
    while let Some(end) = ends.pop() {
        left.remove(end);
        for before in backward.get(end).into_iter().flatten().filter(|n| left.contains(*n)) {
            if let Some(count) = open.get_mut(before) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ends.push(before);
                }
            }
        }
    }
    left
}

/// `"program parameters"@pipe`; `None` when the text would not come back out of the Router's table
/// as it went in.
fn program_address(program: &str) -> Option<String> {
    let plain = !program.contains(['"', '\\', ';', '<', '>', '@'])
        && program.is_ascii()
        && !program.contains(char::is_control);
    plain.then(|| format!("\"{program}\"@pipe"))
}

#[cfg(test)]
#[path = "sendmail_plan_tests.rs"]
mod tests;
