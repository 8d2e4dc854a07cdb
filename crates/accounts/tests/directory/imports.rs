//! Rows of an account list become accounts: whole or not at all, in their order, by those who may,
//! and again without a change.

use angarium_accounts::{AccountKind, Imported, OperationError};
use angarium_objects::import::account_list::{AccountRow, Header};

use crate::world::{World, dictionary, names};

fn rows(list: &str) -> Vec<AccountRow> {
    let mut lines = list.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = Header::read(&lines.next().unwrap()).unwrap();
    lines.map(|cells| header.row(&cells).unwrap()).collect()
}

async fn import(w: &World, list: &str) -> Vec<Result<Imported, OperationError>> {
    let answers = w.accounts.import_accounts(&w.console, rows(list), false).await.unwrap();
    answers.into_iter().map(|(_, outcome)| outcome).collect()
}

const LIST: &str = "Name\tPassword\tUnixPassword\tRealName\tMaxAccountSize\tAliases\tMailboxes\tType\n\
    ann@second.dom\tann-secret\t\tAnn Poe\t10K\tan,a.poe\tWork/2026,Sent\t\n\
    bob@second.dom\t\t{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\t\t31M\t\t\ttextmailbox\n";

// SYS-35, PWD-07
#[tokio::test]
async fn sys_35_a_row_becomes_an_account_with_all_that_belongs_to_it() {
    let w = World::new().await;
    assert_eq!(import(&w, LIST).await, [Ok(Imported::Made), Ok(Imported::Made)]);
    for name in ["ann@second.dom", "an@second.dom", "a.poe@second.dom"] {
        w.login(name, "ann-secret").await.unwrap();
    }
    w.login("bob@second.dom", "secret").await.unwrap();
    let ann = w.accounts.find_account("ann@second.dom", "").await.unwrap().unwrap();
    assert_eq!((ann.kind, &ann.aliases), (AccountKind::MultiMailbox, &names(&["a.poe", "an"])));
    assert_eq!(ann.settings["MaxAccountSize"], "10K".into());
    let bob = w.accounts.find_account("bob@second.dom", "").await.unwrap().unwrap();
    assert_eq!(bob.kind, AccountKind::TextMailbox);
    let forms = w.accounts.password_forms(&w.console, "second.dom").await.unwrap();
    assert_eq!((forms.accounts, forms.waiting()), (4, 0), "bob's hash has given way at his login");
}

#[tokio::test]
async fn sys_35_the_same_list_again_changes_nothing_and_another_tells_what_differs() {
    let w = World::new().await;
    import(&w, LIST).await;
    w.login("bob@second.dom", "secret").await.unwrap();
    let record = async |name: &str| w.accounts.find_account(name, "second.dom").await.unwrap();
    let before = [record("ann").await, record("bob").await];
    assert_eq!(import(&w, LIST).await, [Ok(Imported::There), Ok(Imported::There)]);
    let other = LIST.replace("10K", "20K").replace("a.poe", "poe").replace("textmailbox", "");
    let differs = |points: &[&str]| Ok(Imported::Differs(names(points)));
    let expected = [differs(&["alias poe", "MaxAccountSize"]), differs(&["Type"])];
    assert_eq!(import(&w, &other).await, expected);
    assert_eq!([record("ann").await, record("bob").await], before);
}

// ABU-67
#[tokio::test]
async fn abu_67_a_row_that_fails_leaves_nothing_and_the_others_stand() {
    let w = World::new().await;
    w.accounts.create_forwarder(&w.console, "info@second.dom", "x@isp.dom").await.unwrap();
    let list = "Name\tAliases\tMailboxes\tMaxAccountSize\tType\n\
        one@second.dom\tx1,joe\t\t\t\n\
        two@second.dom\tx2,info\tWork\t\t\n\
        three@second.dom\tx3\t.hidden\t\t\n\
        four@second.dom\tx4\t\tvery much\t\n\
        five@second.dom\tx5\t\t\tcalendar\n\
        six@nowhere.dom\tx6\t\t\t\n\
        se ven@second.dom\tx7\t\t\t\n\
        eight@second.dom\tx8\tWork\t1M\t\n\
        nine@second.dom\tx8\t\t\t\n\
        x8@second.dom\t\t\t\t\n";
    let codes = |outcomes: Vec<Result<Imported, OperationError>>| -> Vec<u16> {
        outcomes.iter().map(|o| o.as_ref().map_or_else(OperationError::code, |_| 200)).collect()
    };
    let checked = w.accounts.import_accounts(&w.console, rows(list), true).await.unwrap();
    let checked = codes(checked.into_iter().map(|(_, outcome)| outcome).collect());
    // What two rows take from each other is seen only when one of them is made.
    assert_eq!(checked, [520, 524, 500, 500, 500, 512, 500, 200, 200, 200]);
    assert!(w.accounts.find_account("eight@second.dom", "").await.unwrap().is_none());
    let made = codes(import(&w, list).await);
    assert_eq!(made, [520, 524, 500, 500, 500, 512, 500, 200, 522, 522]);
    let found = ["one", "two", "three", "four", "five", "x1", "x2", "x3", "x4", "x5"];
    let found = w.accounts.find_objects(&w.console, "second.dom", &names(&found)).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    let asked = names(&["eight", "X8", "info"]);
    let all = w.accounts.find_objects(&w.console, "second.dom", &asked).await.unwrap();
    let expected = "{eight={Kind=account;};info={Address=x@isp.dom;Kind=forwarder;};\
                    x8={Account=eight;Kind=alias;};}";
    assert_eq!(all, dictionary(expected));
}

#[tokio::test]
async fn of_two_rows_with_one_name_the_first_counts_however_many_there_are() {
    let w = World::new().await;
    let mut list = "Name\tRealName\tAliases\n".to_owned();
    for n in 0..300 {
        list.push_str(&format!("u{n}@second.dom\tfirst\ta{n}\nu{n}@second.dom\tsecond\tb{n}\n"));
    }
    let outcomes = import(&w, &list).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        match at % 2 {
            0 => assert_eq!(*outcome, Ok(Imported::Made), "{at}"),
            _ => assert!(matches!(outcome, Ok(Imported::Differs(_))), "{at}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn the_limit_of_accounts_holds_also_for_rows_made_together() {
    let w = World::new().await;
    let limit = dictionary("{AccountsLimit=12;}");
    w.accounts.update_domain_settings(&w.console, "second.dom", limit).await.unwrap();
    let mut list = "Name\n".to_owned();
    (0..40).for_each(|n| list.push_str(&format!("u{n}@second.dom\n")));
    let outcomes = import(&w, &list).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    assert!(outcomes[..10].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(outcomes[10].as_ref().unwrap_err().code(), 540);
}

#[tokio::test]
async fn an_import_takes_the_rights_that_each_row_needs() {
    let w = World::new().await;
    let denied = async |actor: &str, list: &str| {
        let actor = w.actor(actor).await;
        let mut answers = w.accounts.import_accounts(&actor, rows(list), false).await.unwrap();
        answers.remove(0)
    };
    let (_, plain) = denied("joe@second.dom", "Name\nnew@second.dom").await;
    assert_eq!(plain.unwrap_err().code(), 510);
    let (_, other) = denied("dora@second.dom", "Name\nnew@third.dom").await;
    assert_eq!(other.unwrap_err().code(), 510);
    let (_, special) = denied("dora@second.dom", "Name\tType\nnew\ttextmailbox").await;
    assert_eq!(special.unwrap_err().code(), 510);
    // Settings beyond the rights are left out and told.
    let list = "Name\tMaxAccountSize\tServiceClass\tAliases\nnew\t1M\tgold\tn";
    let (row, made) = denied("dora@second.dom", list).await;
    assert_eq!(made, Ok(Imported::Made));
    assert_eq!(row.warnings, ["ServiceClass is not taken: insufficient access rights"]);
    let new = w.accounts.find_account("n@second.dom", "").await.unwrap().unwrap();
    assert_eq!(new.settings.keys().collect::<Vec<_>>(), ["MaxAccountSize"]);
    for actor in ["joe@second.dom", "dora@second.dom"] {
        let actor = w.actor(actor).await;
        let forms = w.accounts.password_forms(&actor, "third.dom").await;
        assert_eq!(forms.unwrap_err().code(), 510);
        let found = w.accounts.find_objects(&actor, "third.dom", &names(&["x"])).await;
        assert_eq!(found.unwrap_err().code(), 510);
    }
}

#[tokio::test]
async fn a_hash_that_never_matches_is_told_and_kept() {
    let w = World::new().await;
    let list = "Name\tUnixPassword\nu@second.dom\tYIdhkjeHDKbYsji\nv@second.dom\t$2x$05$abc";
    let answers = w.accounts.import_accounts(&w.console, rows(list), false).await.unwrap();
    for (row, outcome) in &answers {
        assert_eq!(*outcome, Ok(Imported::Made));
        assert!(row.warnings[0].contains("never matches"), "{:?}", row.warnings);
    }
    assert!(w.login("u@second.dom", "YIdhkjeHDKbYsji").await.is_err());
    let forms = w.accounts.password_forms(&w.console, "second.dom").await.unwrap();
    assert_eq!((forms.never, forms.own), (2, 2));
}
