//! What becomes of the mailboxes of servers of the usual kinds.

use angarium_imap::client::{Namespaces, Space};

use super::*;
use crate::names::map::NameMap;

fn item(attributes: &str, delimiter: char, name: &str) -> ListItem {
    let mut wire_name = Vec::new();
    angarium_imap::mailbox_name::encode(name, &mut wire_name);
    ListItem {
        attributes: attributes.split_whitespace().map(Into::into).collect(),
        delimiter: Some(delimiter),
        wire_name,
        name: name.into(),
    }
}

fn spaces(prefix: &str, delimiter: char) -> Vec<Space> {
    vec![Space { prefix: prefix.into(), delimiter: Some(delimiter) }]
}

fn ours() -> TargetSide {
    TargetSide { delimiter: '/', takes_uses: true, ..TargetSide::default() }
}

fn choice() -> Choice {
    Choice { pattern: "*".into(), subscriptions: true, ..Choice::default() }
}

fn pairs(plan: &Plan) -> Vec<(&str, &str)> {
    plan.mailboxes.iter().map(|p| (p.source.as_str(), p.target.as_str())).collect()
}

fn left(plan: &Plan) -> Vec<&str> {
    plan.skipped.iter().map(|l| l.name.as_str()).collect()
}

fn courier() -> SourceSide {
    SourceSide {
        listed: vec![
            item("", '.', "INBOX"),
            item("", '.', "INBOX.Gesendete Objekte"),
            item("", '.', "INBOX.Entwürfe.alt"),
            item("\\Noselect", '.', "INBOX.Entwürfe"),
            item("", '.', "shared.news"),
            item("", '.', "user.ann.x"),
        ],
        subscribed: vec![item("", '.', "INBOX.Gesendete Objekte"), item("", '.', "INBOX.gone")],
        namespaces: Namespaces {
            personal: spaces("INBOX.", '.'),
            others: spaces("user.", '.'),
            shared: spaces("shared.", '.'),
        },
        gmail: false,
    }
}

#[test]
fn courier_and_cyrus_lose_their_namespace_and_keep_what_is_not_theirs() {
    let plan = plan(&courier(), &ours(), &choice());
    assert_eq!(
        pairs(&plan),
        [
            ("INBOX.Entwürfe", "Entwürfe"),
            ("INBOX.Entwürfe.alt", "Entwürfe/alt"),
            ("INBOX.Gesendete Objekte", "Gesendete Objekte"),
            ("INBOX", "INBOX"),
        ]
    );
    assert_eq!(left(&plan), ["shared.news", "user.ann.x"]);
    assert_eq!(plan.mailboxes[2].create_use, Some(SpecialUse::Sent));
    assert_eq!(plan.subscribed, [b"Gesendete Objekte".to_vec(), b"gone".to_vec()]);
    let all = plan_of(&courier(), &ours(), Choice { others: true, ..choice() });
    assert_eq!(all.mailboxes.len(), 6);
    let listed = plan_of(&courier(), &ours(), Choice { no_namespace: true, ..choice() });
    assert!(pairs(&listed).contains(&("INBOX.Gesendete Objekte", "INBOX/Gesendete Objekte")));
}

fn plan_of(source: &SourceSide, target: &TargetSide, choice: Choice) -> Plan {
    plan(source, target, &choice)
}

#[test]
fn automap_goes_where_the_new_server_keeps_a_use_and_says_so_when_it_is_off() {
    let mut target = ours();
    target.listed = vec![item("", '/', "INBOX"), item("\\Sent", '/', "Sent Items")];
    let source = SourceSide {
        listed: vec![item("", '/', "Sent"), item("", '/', "Sent/2024"), item("", '/', "Sentences")],
        ..SourceSide::default()
    };
    let off = plan(&source, &target, &choice());
    assert_eq!(pairs(&off)[0], ("Sent", "Sent"));
    assert!(off.mailboxes[0].why[0].contains("--automap"));
    assert_eq!(off.mailboxes[0].create_use, None);
    let on = plan_of(&source, &target, Choice { automap: true, ..choice() });
    let wanted =
        [("Sent", "Sent Items"), ("Sent/2024", "Sent Items/2024"), ("Sentences", "Sentences")];
    assert_eq!(pairs(&on), wanted);
    assert!(on.mailboxes[0].exists);
}

#[test]
fn a_target_with_another_delimiter_and_a_namespace() {
    let target = TargetSide {
        delimiter: '.',
        namespaces: Namespaces { personal: spaces("INBOX.", '.'), ..Namespaces::default() },
        ..TargetSide::default()
    };
    let source = SourceSide {
        listed: vec![
            item("", '/', "INBOX"),
            item("", '/', "a.b/c"),
            item("", '/', "INBOX/d"),
            item("", '/', "é"),
        ],
        ..SourceSide::default()
    };
    let plan = plan(&source, &target, &choice());
    let wires: Vec<String> =
        plan.mailboxes.iter().map(|p| String::from_utf8(p.target_wire.clone()).unwrap()).collect();
    assert_eq!(wires, ["INBOX", "INBOX.d", "INBOX.a_b.c", "INBOX.&AOk-"]);
}

#[test]
fn two_names_that_become_one_are_told() {
    let source = SourceSide {
        listed: vec![item("", '/', "a.mbox"), item("", '/', "a-mbox")],
        ..SourceSide::default()
    };
    let plan = plan(&source, &ours(), &choice());
    assert!(plan.mailboxes.iter().all(|p| p.merged && p.target == "a-mbox"));
    assert!(plan.remarks[0].contains("--renameMailbox"), "{:?}", plan.remarks);
}

#[test]
fn mig_18_words_of_the_user_may_be_patterns_and_slips_are_told() {
    let source = SourceSide {
        listed: vec![item("", '.', "Müll"), item("", '.', "Listen.a"), item("", '.', "Inbox")],
        ..SourceSide::default()
    };
    let skip = ["M&APw-ll", "Listen/*", "inbox", "Trahs"].map(String::from).into();
    let mut choice = Choice { skip, ..choice() };
    choice.rules.renamed.insert("nowhere".into(), "x".into());
    let plan = plan(&source, &ours(), &choice);
    assert_eq!(plan.mailboxes.len(), 0);
    assert_eq!(plan.remarks.len(), 2, "{:?}", plan.remarks);
    assert!(plan.remarks[0].contains("Trahs"));
}

fn gmail() -> SourceSide {
    SourceSide {
        listed: vec![
            item("", '/', "INBOX"),
            item("\\Noselect", '/', "[Gmail]"),
            item("\\All", '/', "[Gmail]/Alle Nachrichten"),
            item("\\Drafts", '/', "[Gmail]/Entwürfe"),
            item("\\Sent", '/', "[Gmail]/Gesendet"),
            item("\\Flagged", '/', "[Gmail]/Markiert"),
            item("\\Important", '/', "[Gmail]/Wichtig"),
            item("\\Junk", '/', "[Gmail]/Spam"),
            item("\\Trash", '/', "[Gmail]/Papierkorb"),
            item("", '/', "Kunden/Ärger"),
        ],
        gmail: true,
        ..SourceSide::default()
    }
}

#[test]
fn gmail_has_all_mail_once_and_labels_as_mailboxes_or_keywords() {
    let plan = plan(&gmail(), &ours(), &choice());
    assert_eq!(
        pairs(&plan),
        [
            ("[Gmail]/Alle Nachrichten", "Archive"),
            ("[Gmail]/Entwürfe", "Drafts"),
            ("INBOX", "INBOX"),
            ("[Gmail]/Spam", "Junk"),
            ("Kunden/Ärger", "Kunden/Ärger"),
            ("[Gmail]/Gesendet", "Sent"),
            ("[Gmail]/Papierkorb", "Trash"),
        ]
    );
    assert_eq!(plan.skipped.len(), 3);
    let elsewhere = plan.mailboxes[0].labels.elsewhere.clone().unwrap();
    assert!(elsewhere.contains("kunden/ärger") && elsewhere.contains("\\inbox"));
    assert_eq!(plan.mailboxes[0].create_use, Some(SpecialUse::Archive));
    assert!(plan.mailboxes[1].labels.is_none());

    let keywords = Choice { labels: Some(GmailLabels::Keywords), ..choice() };
    let plan = plan_of(&gmail(), &ours(), keywords.clone());
    assert!(left(&plan).contains(&"Kunden/Ärger"));
    let elsewhere = plan.mailboxes[0].labels.elsewhere.clone().unwrap();
    assert!(!elsewhere.contains("kunden/ärger"));
    assert!(plan.mailboxes.iter().all(|p| p.labels.keywords));

    // Without "All Mail" labels must stay mailboxes.
    let mut hidden = gmail();
    hidden.listed.remove(2);
    let plan = plan_of(&hidden, &ours(), keywords);
    assert!(pairs(&plan).contains(&("Kunden/Ärger", "Kunden/Ärger")));
    assert_eq!(plan.remarks.len(), 1);
}

#[test]
fn exchange_leaves_out_what_is_no_mail_unless_it_is_named() {
    let source = SourceSide {
        listed: vec![item("", '/', "Calendar"), item("", '/', "Sync Issues/Conflicts")],
        ..SourceSide::default()
    };
    let mut choice = Choice { preset: Some(Preset::Office365), ..choice() };
    assert_eq!(plan(&source, &ours(), &choice).mailboxes.len(), 0);
    choice.rules.map = NameMap::parse("Calendar\tOld calendar\n").unwrap();
    assert_eq!(pairs(&plan(&source, &ours(), &choice)), [("Calendar", "Old calendar")]);
}
