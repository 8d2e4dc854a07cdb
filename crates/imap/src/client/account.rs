//! What a server tells of an account as a whole: namespaces, quota, rights, annotations, and who
//! the server itself is. Read as tolerantly as everything else.

use bytes::Bytes;

use super::node::{Node, Source, read};
use super::response::{for_people, name_of};

/// Most fields of an ID that are kept (RFC 2971 section 3.3 allows 30).
const MAX_IDENTITY: usize = 30;

/// One namespace of RFC 2342: the prefix of its names and their delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// As every name in it begins, UTF-8; often empty.
    pub prefix: String,
    /// Hierarchy delimiter, if there is one.
    pub delimiter: Option<char>,
}

/// What NAMESPACE tells (RFC 2342 section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The account's own.
    pub personal: Vec<Space>,
    /// Where mailboxes of other users are.
    pub others: Vec<Space>,
    /// Where mailboxes of nobody in particular are.
    pub shared: Vec<Space>,
}

/// One resource of a quota root (RFC 9208 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `STORAGE`, `MESSAGE` and the like, upper case.
    pub name: String,
    /// Used; STORAGE in units of 1,024 octets.
    pub used: u64,
    /// The most that may be used, in the same unit.
    pub limit: u64,
}

/// One untagged response about the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// `* NAMESPACE`
    Namespaces(Namespaces),
    /// `* QUOTA`: root and its resources.
    Quota(String, Vec<Resource>),
    /// `* QUOTAROOT`: mailbox and its roots.
    QuotaRoot(String, Vec<String>),
    /// `* MYRIGHTS`: mailbox and rights.
    MyRights(String, String),
    /// `* METADATA`: mailbox, and entries with their values (`None`: there is none).
    Metadata(String, Vec<(String, Option<Bytes>)>),
    /// `* ID`: fields (lower case) and values, those without a value left out; in a form that may
    /// be printed.
    Id(Vec<(String, String)>),
}

/// Reads the response `name` (upper case) if it is one of these.
pub(super) fn about(name: &str, source: &Source<'_>, from: usize) -> Option<About> {
    let nodes = || read(source, from);
    Some(match name {
        "NAMESPACE" => {
            let nodes = nodes();
            let spaces = |n: usize| nodes.get(n).map(spaces).unwrap_or_default();
            About::Namespaces(Namespaces {
                personal: spaces(0),
                others: spaces(1),
                shared: spaces(2),
            })
        }
        "QUOTA" => {
            let nodes = nodes();
            let root = nodes.first()?.text()?;
            About::Quota(root, nodes.get(1).map(resources).unwrap_or_default())
        }
        "QUOTAROOT" => {
            let nodes = nodes();
            let mailbox = name_of(nodes.first()?.bytes()?);
            let roots = nodes.get(1..).unwrap_or_default().iter().filter_map(Node::text);
            About::QuotaRoot(mailbox, roots.collect())
        }
        "MYRIGHTS" => {
            let nodes = nodes();
            About::MyRights(name_of(nodes.first()?.bytes()?), nodes.get(1)?.text()?)
        }
        "METADATA" => {
            let nodes = nodes();
            let mailbox = name_of(nodes.first()?.bytes()?);
            let pairs = nodes.get(1)?.list()?.chunks(2);
            About::Metadata(mailbox, pairs.filter_map(entry).collect())
        }
        "ID" => {
            let nodes = nodes();
            let pairs = nodes.first()?.list()?.chunks(2);
            let field = |pair: &[Node]| {
                let [name, Node::Text(value)] = pair else { return None };
                Some((for_people(name.bytes()?).to_ascii_lowercase(), for_people(value)))
            };
            About::Id(pairs.filter_map(field).take(MAX_IDENTITY).collect())
        }
        _ => return None,
    })
}

fn spaces(node: &Node) -> Vec<Space> {
    let all = node.list().unwrap_or_default().iter();
    all.filter_map(|one| {
        let parts = one.list()?;
        let delimiter = match parts.get(1)? {
            Node::Text(text) => std::str::from_utf8(text).ok().and_then(|t| t.chars().next()),
            _ => None,
        };
        Some(Space { prefix: name_of(parts.first()?.bytes()?), delimiter })
    })
    .collect()
}

fn resources(node: &Node) -> Vec<Resource> {
    let all = node.list().unwrap_or_default().chunks(3);
    all.filter_map(|three| {
        let [name, used, limit] = three else { return None };
        Some(Resource {
            name: name.text()?.to_ascii_uppercase(),
            used: used.number()?,
            limit: limit.number()?,
        })
    })
    .collect()
}

fn entry(pair: &[Node]) -> Option<(String, Option<Bytes>)> {
    let [name, value] = pair else { return None };
    let value = match value {
        Node::Text(text) => Some(text.clone()),
        _ => None,
    };
    Some((name.text()?.to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Reader, Response, Untagged};
    use super::*;

    fn told(line: &str) -> About {
        let mut reader = Reader::default();
        reader.feed(line.as_bytes());
        reader.feed(b"\r\n");
        match reader.next_event().unwrap() {
            Some(Event::Response(Response::Untagged(Untagged::About(about)))) => about,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn namespaces_of_courier_and_cyrus_are_read() {
        let About::Namespaces(all) = told(
            r##"* NAMESPACE (("INBOX." ".")) (("user." ".")) (("#shared." ".")("" "." "X-P" ("a")))"##,
        ) else {
            panic!()
        };
        assert_eq!(all.personal, [Space { prefix: "INBOX.".into(), delimiter: Some('.') }]);
        assert_eq!(all.others[0].prefix, "user.");
        assert_eq!(all.shared.len(), 2);
        assert_eq!(told("* NAMESPACE NIL NIL NIL"), About::Namespaces(Namespaces::default()));
    }

    #[test]
    fn quota_rights_annotations_and_identity_are_read() {
        let storage = |used, limit| Resource { name: "STORAGE".into(), used, limit };
        assert_eq!(
            told(r#"* QUOTA "" (STORAGE 10 512)"#),
            About::Quota(String::new(), vec![storage(10, 512)])
        );
        assert_eq!(told("* QUOTA root ()"), About::Quota("root".into(), Vec::new()));
        assert_eq!(
            told("* QUOTAROOT &AOk- user.joe x"),
            About::QuotaRoot("é".into(), vec!["user.joe".into(), "x".into()])
        );
        assert_eq!(
            told("* MYRIGHTS INBOX rwiptsldaex"),
            About::MyRights("INBOX".into(), "rwiptsldaex".into())
        );
        assert_eq!(
            told(r#"* METADATA "" (/shared/Comment "words" /private/x NIL)"#),
            About::Metadata(
                String::new(),
                vec![
                    ("/shared/comment".into(), Some(Bytes::from_static(b"words"))),
                    ("/private/x".into(), None)
                ]
            )
        );
        assert_eq!(
            told(r#"* ID ("name" "GImap" "version" NIL)"#),
            About::Id(vec![("name".into(), "GImap".into())])
        );
    }
}
