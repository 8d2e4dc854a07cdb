//! Tests of the plan: every use of `aliases` that the guides name, and the ways it goes wrong.

use super::super::sendmail::entry;
use super::*;
use proptest::prelude::*;

fn entries(file: &str) -> Vec<Entry> {
    let lines = file.lines().enumerate();
    lines.filter_map(|(at, line)| entry(at as u64 + 1, line).unwrap()).collect()
}

fn situation() -> Situation {
    let known = [
        ("john", Known::Account),
        ("ann", Known::Account),
        ("johnny", Known::Alias("john".into())),
        ("old", Known::Forwarder("old@isp.example".into())),
        ("team", Known::Group(vec!["ann".into(), "John".into()])),
    ];
    Situation {
        domains: vec!["here.example".into(), "also.example".into()],
        known: known.into_iter().map(|(name, known)| (name.to_owned(), known)).collect(),
        records: BTreeSet::from(["<gone@here.example> = null".to_owned()]),
        ..Situation::default()
    }
}

fn planned(file: &str) -> Vec<Step> {
    plan(&entries(file), &situation())
}

fn one(file: &str) -> Action {
    planned(file).swap_remove(0).action
}

fn alias(account: &str) -> Action {
    Action::Alias(account.into())
}

fn forwarder(to: &str) -> Action {
    Action::Forwarder(to.into())
}

fn group(members: &[&str]) -> Action {
    Action::Group(members.iter().map(|&m| m.to_owned()).collect())
}

fn router(record: &str) -> Action {
    Action::Router(record.into())
}

fn refused(action: &Action, reason: &str) {
    assert!(matches!(action, Action::Not(why) if why.contains(reason)), "{action:?}: {reason}");
}

// MIG-65
#[test]
fn mig_65_each_use_of_an_alias_becomes_its_object() {
    assert_eq!(one("j.smith: john"), alias("john"));
    assert_eq!(one("j.smith: JOHN@also.example"), alias("john"));
    assert_eq!(one("j.smith: \\john"), alias("john"));
    assert_eq!(one("jo: johnny"), alias("john"));
    assert_eq!(one("susan: susan@isp.example"), forwarder("susan@isp.example"));
    assert_eq!(one("all: team"), forwarder("team@here.example"));
    assert_eq!(one("sales: john, ann, x@isp.example"), group(&["john", "ann", "x@isp.example"]));
    assert_eq!(one("sales: john, John@here.example"), alias("john"));
    assert_eq!(one("dump: /dev/null"), router("<dump@here.example> = null"));
    assert_eq!(one("left: :error:she has left"), router("<left@here.example> = error"));
    assert_eq!(one("copy: /dev/null, john"), alias("john"));
    assert_eq!(one("none: /dev/null, :error:no"), router("<none@here.example> = null"));
    refused(&one("keep: /var/mail/keep"), "not appended");
    refused(&one("nobody: bob"), "no account bob");
    refused(&one("bob: bob"), "no such account");
    refused(&one("a@b.example: john"), "without a domain");
    refused(&one("a+b: john"), "latin letters");
}

#[test]
fn mig_65_a_chain_of_names_ends_where_its_last_name_does() {
    let steps =
        planned("a: b\nb: c\nc: john\nd: e\ne: x@isp.example\nf: g\ng: john, ann\nh: bob\ni: h");
    let actions: Vec<&Action> = steps.iter().map(|step| &step.action).collect();
    assert_eq!(actions[..3], [&alias("john"); 3]);
    assert_eq!(*actions[3], forwarder("e@here.example"));
    assert_eq!(*actions[5], forwarder("g@here.example"));
    assert_eq!(*actions[6], group(&["john", "ann"]));
    refused(actions[7], "no account bob");
    refused(actions[8], "no account bob");
}

#[test]
fn mig_65_circles_are_told_and_hurt_nobody_else() {
    let steps =
        planned("a: b\nb: c\nc: a\nd: a\ng: h, john\nh: g, ann\nok: john\nself: self, john");
    for step in &steps[..3] {
        refused(&step.action, "leads back to itself");
    }
    refused(&steps[3].action, "in a row");
    assert_eq!(steps[4].action, group(&["h", "john"]));
    assert_eq!(steps[4].remarks, ["it leads back to itself"]);
    assert_eq!(steps[6].action, alias("john"));
    assert!(steps[6].remarks.is_empty());
    assert_eq!(steps[7].action, alias("john"));
    assert_eq!(steps[7].remarks.len(), 1);
}

#[test]
fn mig_65_what_is_so_already_stays_and_what_is_taken_is_told() {
    for there in [
        "johnny: john",
        "old: OLD@isp.example",
        "team: john, ann",
        "gone: /dev/null",
        "ann: ann",
        "john: \\john",
    ] {
        assert_eq!(one(there), Action::There, "{there}");
    }
    refused(&one("johnny: ann"), "another name of john");
    refused(&one("old: new@isp.example"), "to old@isp.example");
    refused(&one("team: john, ann, x@isp.example"), "other members");
    refused(&one("team: /dev/null"), "other members");
    refused(&one("john: \\john, john@isp.example"), "Rule");
    let twice = planned("a: john\nA: ann");
    assert_eq!(twice[0].action, alias("john"));
    refused(&twice[1].action, "line 1 has this name");
}

#[test]
fn mig_65_programs_need_to_be_asked_for() {
    let file = "prog: \"|/usr/bin/filter -x\"\nmany: john, ann, |/bin/x\nodd: |/bin/sh -c \"a;b\"";
    let steps = planned(file);
    refused(&steps[0].action, "--programs");
    assert_eq!(steps[1].action, group(&["john", "ann"]));
    assert_eq!(steps[1].remarks, ["left out: the program /bin/x"]);
    let with = plan(&entries(file), &Situation { programs: true, ..situation() });
    assert_eq!(with[0].action, router("<prog@here.example> = \"/usr/bin/filter -x\"@pipe"));
    refused(&with[2].action, "cannot be written");
}

#[test]
fn mig_65_included_files_bring_members_and_lists_are_recognised() {
    let mut situation = situation();
    let targets = ["ann", "x@isp.example", "ann"].map(|text| match text.contains('@') {
        true => Target::Address(text.into()),
        false => Target::Local(text.into()),
    });
    situation.included.insert("/etc/mail/staff".into(), Ok(targets.to_vec()));
    situation.included.insert("/etc/shadow".into(), Err("it cannot be read".into()));
    let file = "staff: :include:/etc/mail/staff, john\nowner-staff: ann\nbad: :include:/etc/shadow\n\
                worse: john, ann, :include:/nowhere";
    let steps = plan(&entries(file), &situation);
    let subscribers = ["ann@here.example", "john@here.example", "x@isp.example"];
    let subscribers = subscribers.map(str::to_owned).to_vec();
    let list = |owner: Option<&str>, subscribers: &[String]| Action::List {
        owner: owner.map(str::to_owned),
        subscribers: subscribers.to_vec(),
    };
    assert_eq!(steps[0].action, list(Some("ann"), &subscribers));
    assert_eq!(steps[1].action, Action::Part("staff".into()));
    refused(&steps[2].action, "it cannot be read");
    assert_eq!(steps[3].action, group(&["john", "ann"]));
    assert_eq!(steps[3].remarks, ["left out: /nowhere is not included"]);
    // An owner who is elsewhere owns no list here, unless somebody is named who does.
    let file = "staff: :include:/etc/mail/staff, john\nowner-staff: boss@isp.example\n\
                all: :include:/etc/mail/staff";
    let steps = plan(&entries(file), &situation);
    assert_eq!(steps[0].action, group(&["ann", "x@isp.example", "john"]));
    assert!(steps[0].remarks[0].contains("--list-owner"), "{:?}", steps[0].remarks);
    assert_eq!(steps[1].action, forwarder("boss@isp.example"));
    assert_eq!(steps[2].action, group(&["ann", "x@isp.example"]));
    situation.list_owner = Some("john".into());
    let steps = plan(&entries(file), &situation);
    assert_eq!(steps[0].action, list(Some("john"), &subscribers));
    assert_eq!(steps[1].action, forwarder("boss@isp.example"));
    assert!(matches!(&steps[2].action, Action::List { .. }));
    // A second run subscribes who came since, and nobody twice.
    for (there, wanted) in [
        (subscribers.clone(), Action::There),
        (subscribers[..2].to_vec(), list(None, &subscribers[2..])),
    ] {
        situation.known.insert("staff".into(), Known::List(there));
        assert_eq!(plan(&entries(file), &situation)[0].action, wanted);
    }
    // What the file of another product says is a list is one, whoever is in it.
    situation.lists.insert("news".into(), Some("ann@here.example".into()));
    situation.lists.insert("empty".into(), None);
    let steps = plan(&entries("news: x@isp.example\nempty: john"), &situation);
    assert_eq!(steps[0].action, list(Some("ann"), &subscribers[2..]));
    assert_eq!(steps[1].action, list(Some("john"), &subscribers[1..2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_file_makes_the_plan_panic_or_run_away(
        pairs in proptest::collection::vec(("[a-f]", "[a-f](, ?[a-f]){0,3}"), 0..12),
    ) {
        let file: String = pairs.iter().map(|(name, to)| format!("{name}: {to}\n")).collect();
        let steps = planned(&file);
        prop_assert_eq!(steps.len(), pairs.len());
    }
}
