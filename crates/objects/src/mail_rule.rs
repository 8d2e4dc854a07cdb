//! The shape of mail Rules as they are stored (`reference/rules.md`): priority, name, conditions,
//! actions, comment. What a condition means and what an action does is not known here; only which
//! actions a user may give himself.

use crate::value::Value;

/// Most Rules of one account, domain or server.
pub const MAX_RULES: usize = 1_000;
/// Longest name of a Rule, in bytes.
pub const MAX_NAME: usize = 255;
/// Most conditions, and most actions, of one Rule.
const MAX_PARTS: usize = 100;
/// Most texts of one condition: name, operator, operand.
const CONDITION: usize = 3;
/// Most texts of one action: name, parameter.
const ACTION: usize = 2;
/// The highest priority; 0 is switched off.
const MAX_PRIORITY: i64 = 10;

/// Actions that stay inside the account.
const FILTERING: &[&str] = &[
    "Store in",
    "Store Encrypted in",
    "Copy Attachments into",
    "Mark",
    "Add Header",
    "Tag Subject",
    "Reject with",
    "Discard",
    "Stop Processing",
    "Remember 'From' in",
    "Write To Log",
];
/// Actions that start programs or ask other servers.
const EXECUTING: &[&str] = &["Execute", "Execute URL", "FingerNotify", "ExternalFilter"];

/// Which actions somebody may put into Rules (the words of the setting `RulesAllowed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// None: no Rules at all.
    No,
    /// Those that file mail away.
    FilterOnly,
    /// All but those that start programs.
    AllButExec,
    /// All.
    Any,
}

impl Allowed {
    /// Reads a value of `RulesAllowed`; what cannot be read allows the least that is useful.
    #[must_use]
    pub fn of(setting: Option<&Value>) -> Self {
        match setting.and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
            Some("no") => Self::No,
            Some("any") => Self::Any,
            Some("all but exec") => Self::AllButExec,
            _ => Self::FilterOnly,
        }
    }

    fn takes(self, action: &str) -> bool {
        let one_of = |all: &[&str]| all.iter().any(|known| known.eq_ignore_ascii_case(action));
        match self {
            Self::No => false,
            Self::FilterOnly => one_of(FILTERING),
            Self::AllButExec => !one_of(EXECUTING),
            Self::Any => true,
        }
    }
}

/// One Rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRule {
    /// 9 is first, 1 last, 0 switched off; 10 is taken too.
    pub priority: u8,
    /// Its name, unique in its set.
    pub name: String,
    conditions: Vec<Value>,
    actions: Vec<Value>,
    comment: Option<String>,
}

fn texts(value: &Value, most: usize) -> bool {
    value.as_array().is_some_and(|all| {
        (1..=most).contains(&all.len())
            && all.iter().all(|one| matches!(one, Value::String(_) | Value::Number(_)))
    })
}

fn parts(value: &Value, most: usize) -> Option<Vec<Value>> {
    let all = value.as_array()?;
    (all.len() <= MAX_PARTS && all.iter().all(|one| texts(one, most))).then(|| all.to_vec())
}

/// A priority as it is written: `1` or `#1`.
fn priority(value: &Value) -> Option<u8> {
    let number = value.as_number().filter(|n| (0..=MAX_PRIORITY).contains(n))?;
    u8::try_from(number).ok()
}

fn rule_name(value: &Value) -> Option<String> {
    let name = match value {
        Value::String(name) => name.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let sane = (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    sane.then_some(name)
}

impl MailRule {
    /// Reads `(priority,name,conditions,actions[,comment])`.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let all = value.as_array()?;
        let comment = match all.get(4) {
            None => None,
            Some(comment) => Some(comment.as_str()?.to_owned()),
        };
        if all.len() > 5 {
            return None;
        }
        Some(Self {
            priority: priority(all.first()?)?,
            name: rule_name(all.get(1)?)?,
            conditions: parts(all.get(2)?, CONDITION)?,
            actions: parts(all.get(3)?, ACTION)?,
            comment,
        })
    }

    /// As it is stored.
    #[must_use]
    pub fn write(&self) -> Value {
        let mut all = vec![
            Value::from(self.priority.to_string()),
            Value::from(self.name.as_str()),
            Value::Array(self.conditions.clone()),
            Value::Array(self.actions.clone()),
        ];
        all.extend(self.comment.as_deref().map(Value::from));
        Value::Array(all)
    }

    /// True when all its actions are allowed.
    #[must_use]
    pub fn is_allowed(&self, allowed: Allowed) -> bool {
        let name = |action: &Value| {
            action.as_array().and_then(|all| all.first()).and_then(Value::as_str).map(str::to_owned)
        };
        allowed != Allowed::No
            && self.actions.iter().all(|action| name(action).is_some_and(|n| allowed.takes(&n)))
    }
}

/// Reads a set of Rules; an absent one is empty.
#[must_use]
pub fn read_rules(value: &Value) -> Option<Vec<MailRule>> {
    let all = match value {
        Value::Null => return Some(Vec::new()),
        other => other.as_array().filter(|all| all.len() <= MAX_RULES)?,
    };
    all.iter().map(MailRule::read).collect()
}

/// A set of Rules as it is stored.
#[must_use]
pub fn write_rules(rules: &[MailRule]) -> Value {
    Value::Array(rules.iter().map(MailRule::write).collect())
}

/// A change of one Rule of a set (UPDATEACCOUNTMAILRULE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleChange {
    /// A whole Rule, in place of the one of its name.
    Put(MailRule),
    /// Another priority for the Rule of this name, which must be there.
    Priority(u8, String),
    /// No Rule of this name any more.
    Delete(String),
}

impl RuleChange {
    /// Reads `(priority,name,…)`; with fewer than four elements only the priority changes.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        match value.as_array()? {
            [number, name] | [number, name, _] => {
                Some(Self::Priority(priority(number)?, rule_name(name)?))
            }
            _ => MailRule::read(value).map(Self::Put),
        }
    }

    /// Applies the change; `false` when the Rule it needs is not there.
    pub fn apply(&self, rules: &mut Vec<MailRule>) -> bool {
        match self {
            Self::Put(new) => match rules.iter_mut().find(|rule| rule.name == new.name) {
                Some(old) => *old = new.clone(),
                None => rules.push(new.clone()),
            },
            Self::Priority(priority, name) => {
                let Some(rule) = rules.iter_mut().find(|rule| rule.name == *name) else {
                    return false;
                };
                rule.priority = *priority;
            }
            Self::Delete(name) => rules.retain(|rule| rule.name != *name),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{line_text, parse_line};

    fn rules(text: &str) -> Option<Vec<MailRule>> {
        read_rules(&parse_line(text).unwrap())
    }

    const VACATION: &str = "((2,\"#Vacation\",((\"Human Generated\",\"---\"),(From,\"not in\",\
        \"#RepliedAddresses\")),((\"Reply with\",text),(\"Remember 'From' in\",RepliedAddresses))),\
        (1,\"#Redirect\",(),((\"Mirror to\",a@b.com),(Discard,\"---\"))))";

    #[test]
    fn the_rules_of_panels_are_read_and_written_as_they_are() {
        let read = rules(VACATION).unwrap();
        assert_eq!(read[1].name, "#Redirect");
        assert_eq!(line_text(&write_rules(&read)), VACATION);
        assert_eq!(rules("()"), Some(Vec::new()));
        assert_eq!(rules("((#3,n,(),(),note))").unwrap()[0].priority, 3);
        for wrong in [
            "x",
            "{a=b;}",
            "((1,n,()))",
            "((11,n,(),()))",
            "((-1,n,(),()))",
            "((1,\"\",(),()))",
            "((1,n,x,()))",
            "((1,n,(()),()))",
            "((1,n,((a,b,c,d)),()))",
            "((1,n,(),((a,b,c))))",
            "((1,n,(),(),c,d))",
        ] {
            assert_eq!(rules(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_user_gives_himself_only_the_actions_he_is_allowed() {
        let read = rules(VACATION).unwrap();
        assert!(!read[0].is_allowed(Allowed::FilterOnly));
        assert!(read[0].is_allowed(Allowed::AllButExec));
        let filing = rules("((1,n,(),((\"store in\",Spam),(Discard))))").unwrap();
        assert!(filing[0].is_allowed(Allowed::FilterOnly));
        assert!(!filing[0].is_allowed(Allowed::No));
        let exec = rules("((1,n,(),((EXECUTE,\"/bin/true\"))))").unwrap();
        assert!(!exec[0].is_allowed(Allowed::AllButExec) && exec[0].is_allowed(Allowed::Any));
        assert_eq!(Allowed::of(Some(&Value::from("All But Exec"))), Allowed::AllButExec);
        assert_eq!(Allowed::of(None), Allowed::FilterOnly);
    }

    #[test]
    fn one_rule_is_changed_by_its_name() {
        let mut all = rules(VACATION).unwrap();
        let change = |text: &str| RuleChange::read(&parse_line(text).unwrap());
        assert!(change("(0,\"#Vacation\")").unwrap().apply(&mut all));
        assert_eq!(all[0].priority, 0);
        assert!(!change("(0,missing)").unwrap().apply(&mut all));
        assert!(change("(5,\"#Redirect\",(),((Discard)))").unwrap().apply(&mut all));
        assert_eq!((all.len(), all[1].priority), (2, 5));
        assert!(change("(5,new,(),())").unwrap().apply(&mut all));
        assert!(RuleChange::Delete("#Vacation".into()).apply(&mut all));
        assert!(RuleChange::Delete("nothing".into()).apply(&mut all));
        assert_eq!(all.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["#Redirect", "new"]);
        assert_eq!(change("(x,n)"), None);
    }
}
