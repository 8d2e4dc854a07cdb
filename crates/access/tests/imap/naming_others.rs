//! Foreign names through the Router, mailbox aliases, groups and identifiers in access lists,
//! administrators, what is inherited, what a template gives a new account.
//! Features: SHR-01 to SHR-07, SHR-09, IMAP-17.

use angarium_accounts::{Actor, Dictionary, NewAccount, Value};

use crate::client::{World, mail};

fn list(names: &[&str]) -> Value {
    Value::Array(names.iter().map(|name| Value::from(*name)).collect())
}

fn pairs(all: &[(&str, Value)]) -> Dictionary {
    all.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// `test.example` as it is, and `other.example` with the account `joe`.
async fn world() -> World {
    let world = World::new().await;
    let (accounts, console) = (&world.context.accounts, Actor::console());
    accounts.create_domain(&console, "other.example", Dictionary::new()).await.unwrap();
    make(&world, "joe@other.example").await;
    world
}

async fn make(world: &World, name: &str) {
    let settings = pairs(&[("Password", Value::from("x"))]);
    let new = NewAccount { name: name.to_owned(), settings, ..NewAccount::default() };
    world.context.accounts.create_account(&Actor::console(), new).await.unwrap();
}

async fn rights(world: &World, account: &str, rights: &[&str]) {
    let all = rights.iter().map(|right| (*right).to_owned()).collect();
    world.context.accounts.set_account_rights(&Actor::console(), account, all).await.unwrap();
}

async fn group(world: &World, name: &str, members: &[&str]) {
    let accounts = &world.context.accounts;
    let settings = pairs(&[("Members", list(members))]);
    if accounts.group(&Actor::console(), name).await.is_ok() {
        accounts.set_group(&Actor::console(), name, settings).await.unwrap();
    } else {
        accounts.create_group(&Actor::console(), name, settings).await.unwrap();
    }
}

async fn aliases(world: &World, account: &str, all: &[(&str, &str)]) -> Result<(), String> {
    let all = all.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect();
    let done = world.context.accounts.set_mailbox_aliases(&Actor::console(), account, all).await;
    done.map_err(|error| error.to_string())
}

// SHR-02, SHR-03
#[tokio::test]
async fn foreign_names_lead_through_the_router_into_any_domain() {
    let world = world().await;
    make(&world, "public").await;
    let (accounts, console) = (&world.context.accounts, Actor::console());
    accounts.set_account_aliases(&console, "ann", vec!["anna".into()]).await.unwrap();
    accounts.create_forwarder(&console, "boss", "ann@test.example").await.unwrap();
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.ok("SETACL News anyone lr").await;
    let mut joe = world.login("joe@other.example").await;
    assert!(joe.no("SELECT ~ann/News").await.contains("[NONEXISTENT]"));
    let mut bob = world.login("bob").await;
    for name in ["~ann/News", "~anna/News", "~boss/News", "~ANN@Test.Example/News"] {
        assert!(bob.ok(&format!("SELECT {name}")).await.contains("[READ-ONLY]"));
    }
    for name in ["~ann@test.example/News", "~anna@test.example/News", "~boss@test.example/News"] {
        joe.ok(&format!("STATUS {name} (MESSAGES)")).await;
    }
    // The tree of an account is a name that is listed, and holds no messages.
    let got = bob.ok("LIST \"\" ~ann").await;
    assert!(got.contains("* LIST (\\NoSelect \\HasChildren) \"/\" ~ann\r\n"), "{got}");
    assert!(bob.no("SELECT ~ann").await.contains("x NO"));
    assert!(!bob.ok("LIST \"\" ~eve").await.contains("* LIST"));
    assert!(bob.ok("LIST ~ann/ %").await.contains("\"/\" ~ann/News\r\n"));
    let mut keeper = world.login("public").await;
    keeper.ok("CREATE news/company").await;
    keeper.ok("SETACL news/company anyone@ lr").await;
    keeper.ok("SETACL news anyone@ l").await;
    assert!(bob.ok("LIST \"\" ~public/%").await.contains("\"/\" ~public/news\r\n"));
    bob.ok("SELECT ~public/news/company").await;
    assert!(joe.no("SELECT ~public@test.example/news/company").await.contains("[NONEXISTENT]"));
}

// SYS-36
#[tokio::test]
async fn sys_36_the_first_public_mailbox_brings_its_owner_along() {
    let world = world().await;
    let (accounts, console) = (&world.context.accounts, Actor::console());
    let rights = |all: &[&str]| all.iter().map(|right| (*right).to_owned()).collect::<Vec<_>>();
    let mut bob = world.login("bob").await;
    // Not made by itself, nor by those who may not, nor for a look, nor under another name.
    assert!(bob.no("CREATE ~public/news").await.starts_with("x NO"));
    accounts.set_account_rights(&console, "ann", rights(&["Users"])).await.unwrap();
    let mut ann = world.login("ann").await;
    ann.no("SELECT ~public/news").await;
    ann.no("CREATE ~public").await;
    ann.no("CREATE ~private/news").await;
    assert!(accounts.find_account("public", "test.example").await.unwrap().is_none());
    ann.ok("CREATE ~public/news").await;
    ann.ok("CREATE ~public/news/company").await;
    ann.ok("SETACL ~public/news anyone@ lr").await;
    bob.ok("SELECT ~public/news").await;
    let made = accounts.find_account("public", "test.example").await.unwrap().unwrap();
    assert_eq!(made.settings.get("UseAppPassword"), Some(&Value::from("NO")));
    assert!(made.rights.is_empty() && !made.settings.contains_key("Password"));
    // In another domain it is another.
    let mut joe = world.login("joe@other.example").await;
    joe.no("SELECT ~public/news").await;
    accounts
        .set_account_rights(
            &console,
            "joe@other.example",
            rights(&["Domain", "CanCreateAccounts", "CanAccessMailboxes"]),
        )
        .await
        .unwrap();
    joe.ok("CREATE ~public/news").await;
    joe.no("CREATE ~public@test.example/more").await;
    assert!(accounts.find_account("public", "other.example").await.unwrap().is_some());
}

// SHR-07
#[tokio::test]
async fn a_mailbox_alias_is_an_own_name_for_a_foreign_mailbox() {
    let world = world().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE announce/old").await;
    ann.ok("CREATE announce").await;
    ann.append("announce", "", &mail(1)).await;
    ann.ok("SETACL announce bob lrsi").await;
    ann.ok("SETACL announce/old bob l").await;
    let mut bob = world.inbox("bob", 1).await;
    bob.ok("CREATE Own").await;
    for (alias, target) in
        [("Own", "~ann/announce"), ("INBOX", "~ann/announce"), ("a/b", "~ann/x"), ("a", "Own")]
    {
        assert!(aliases(&world, "bob", &[(alias, target)]).await.is_err(), "{alias} {target}");
    }
    aliases(&world, "bob", &[("mkt", "~ann/announce"), ("tree", "~ann")]).await.unwrap();
    let got = bob.ok("LIST \"\" *").await;
    assert!(got.contains("* LIST (\\HasChildren) \"/\" mkt\r\n"), "{got}");
    assert!(got.contains("* LIST (\\HasNoChildren) \"/\" mkt/old\r\n"), "{got}");
    assert!(got.contains("* LIST (\\NoSelect \\HasChildren) \"/\" tree\r\n"), "{got}");
    assert!(got.contains("\"/\" tree/announce/old\r\n"), "{got}");
    assert!(bob.ok("LIST \"\" m%").await.contains("\"/\" mkt\r\n"));
    assert!(bob.ok("STATUS mkt (MESSAGES)").await.contains("MESSAGES 1"));
    bob.append("mkt", "", &mail(2)).await;
    bob.ok("SELECT INBOX").await;
    bob.ok("COPY 1 mkt").await;
    assert!(bob.ok("SELECT mkt").await.contains("* 3 EXISTS"));
    assert!(bob.ok("MYRIGHTS mkt").await.contains("* MYRIGHTS mkt lrsi\r\n"));
    assert!(bob.no("SELECT mkt/old").await.contains("[NOPERM]"));
    assert!(bob.no("CREATE mkt").await.contains("[ALREADYEXISTS]"));
    assert!(bob.no("RENAME Own mkt").await.contains("[ALREADYEXISTS]"));
    assert!(bob.no("RENAME mkt Own").await.contains("[ALREADYEXISTS]"));
    bob.ok("SUBSCRIBE mkt").await;
    assert!(bob.ok("LSUB \"\" *").await.contains("\"/\" mkt\r\n"));
    // Another name for the alias, then none: the mailbox stays as it is.
    bob.ok("RENAME mkt sales").await;
    assert!(bob.ok("STATUS sales (MESSAGES)").await.contains("MESSAGES 3"));
    bob.ok("DELETE sales").await;
    assert!(bob.no("SELECT sales").await.contains("[NONEXISTENT]"));
    assert!(ann.ok("STATUS announce (MESSAGES)").await.contains("MESSAGES 3"));
}

// SHR-04, SHR-05
#[tokio::test]
async fn groups_hold_for_members_of_members_and_loops_end() {
    let world = world().await;
    let mut ann = world.login("ann").await;
    for (name, who) in [("A", "#team"), ("B", "#team@test.example"), ("C", "anyone@other.example")]
    {
        ann.ok(&format!("CREATE {name}")).await;
        ann.ok(&format!("SETACL {name} {who} lr")).await;
    }
    let mut bob = world.login("bob").await;
    let mut joe = world.login("joe@other.example").await;
    assert!(bob.no("SELECT ~ann/A").await.contains("[NONEXISTENT]"));
    group(&world, "inner", &["outer", "eve"]).await;
    group(&world, "outer", &["inner", "team"]).await;
    group(&world, "team", &["outer", "nobody"]).await;
    assert!(bob.no("SELECT ~ann/A").await.contains("[NONEXISTENT]"));
    group(&world, "inner", &["outer", "Bob", "joe@other.example"]).await;
    for name in ["A", "B"] {
        bob.ok(&format!("SELECT ~ann/{name}")).await;
        joe.ok(&format!("SELECT ~ann@test.example/{name}")).await;
    }
    joe.ok("SELECT ~ann@test.example/C").await;
    assert!(bob.no("SELECT ~ann/C").await.contains("[NONEXISTENT]"));
    // Nothing is looked up again while nothing changes, whether somebody is a member or not.
    let mut eve = world.login("eve").await;
    eve.no("STATUS ~ann/A (MESSAGES)").await;
    let before = world.plan.all_calls();
    eve.no("STATUS ~ann/A (MESSAGES)").await;
    bob.ok("STATUS ~ann/A (MESSAGES)").await;
    assert_eq!(world.plan.all_calls(), before);
    group(&world, "inner", &["eve"]).await;
    assert!(bob.no("STATUS ~ann/A (MESSAGES)").await.contains("[NONEXISTENT]"));
    eve.ok("SELECT ~ann/A").await;
}

// SHR-04
#[tokio::test]
async fn identifiers_add_and_take_away_and_the_owner_keeps_everything() {
    let world = world().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE News").await;
    ann.ok("SETACL News anyone lrs").await;
    ann.ok("SETACL News -bob s").await;
    ann.ok("SETACL News +eve it").await;
    let mut bob = world.login("bob").await;
    assert!(bob.ok("MYRIGHTS ~ann/News").await.contains("~ann/News lr\r\n"));
    let mut eve = world.login("eve").await;
    // RFC 4314 section 2.1.1: the old letter is told as soon as one of its parts is held.
    assert!(eve.ok("MYRIGHTS ~ann/News").await.contains("~ann/News lrsidt\r\n"));
    for owner in ["ann", "owner", "ann@test.example", "-ann"] {
        assert!(ann.no(&format!("SETACL News {owner} l")).await.contains("[CANNOT]"), "{owner}");
        assert!(ann.no(&format!("DELETEACL News {owner}")).await.contains("[CANNOT]"), "{owner}");
    }
    let got = ann.ok("LISTRIGHTS News owner").await;
    assert!(got.contains("* LISTRIGHTS News owner lrswipcdatexk\r\n"), "{got}");
    let got = ann.ok("LISTRIGHTS News bob").await;
    assert!(got.contains("* LISTRIGHTS News bob \"\" l r s w i p ck d t e x a\r\n"), "{got}");
    // Old letters and new ones, both ways.
    for (given, told) in [("d", "dtex"), ("tex", "dtex"), ("te", "dte"), ("c", "ck"), ("k", "ck")] {
        ann.ok(&format!("SETACL News bob@ lr{given}")).await;
        let expected = format!("bob@ lr{told}\r\n");
        let got = ann.ok("GETACL News").await;
        assert!(got.contains(&expected), "{given}: {got}");
    }
    ann.ok("SETACL News bob@ -k").await;
    assert!(ann.ok("GETACL News").await.contains("bob@ lr\r\n"));
    assert!(ann.bad("SETACL News bob lrz").await.contains("x BAD"));
    // A keeper who is not the owner.
    ann.ok("SETACL News bob lrswipcda").await;
    ann.ok("DELETEACL News -bob").await;
    bob.ok("SETACL ~ann/News eve lr").await;
    assert!(bob.ok("GETACL ~ann/News").await.contains(" eve lr"));
}

// SHR-01
#[tokio::test]
async fn new_mailboxes_inherit_and_rights_taken_away_are_gone_at_once() {
    let world = world().await;
    let mut ann = world.login("ann").await;
    ann.ok("CREATE Team").await;
    ann.ok("SETACL Team bob lrswic").await;
    let mut bob = world.login("bob").await;
    bob.ok("CREATE ~ann/Team/a/b/c").await;
    for name in ["~ann/Team/a", "~ann/Team/a/b", "~ann/Team/a/b/c"] {
        assert!(bob.ok(&format!("MYRIGHTS {name}")).await.contains(" lrswick"), "{name}");
    }
    // In the middle of it later, and where only a directory stands.
    bob.ok("CREATE ~ann/Team/a/b/d").await;
    bob.ok("CREATE ~ann/Team/a/b").await;
    assert!(bob.ok("MYRIGHTS ~ann/Team/a/b").await.contains(" lrswick"));
    ann.ok("SETACL Team/a bob l").await;
    assert!(bob.no("CREATE ~ann/Team/a/x").await.contains("[NOPERM]"));
    // What is there but may not be seen is not told of by its being in the way.
    ann.ok("CREATE Team/Hidden").await;
    ann.ok("DELETEACL Team/Hidden bob").await;
    assert!(bob.no("CREATE ~ann/Team/Hidden").await.contains("[NOPERM]"));
    ann.append("Team", "", &mail(1)).await;
    bob.ok("SELECT ~ann/Team").await;
    ann.ok("SETACL Team bob lr").await;
    assert!(bob.no("STORE 1 +FLAGS (\\Seen)").await.contains("[NOPERM]"));
    assert!(bob.ok("FETCH 1 FLAGS").await.contains("FLAGS ("));
    ann.ok("DELETEACL Team bob").await;
    bob.send("z1 FETCH 1 BODY.PEEK[]\r\n").await;
    let got = bob.until("* BYE").await;
    assert!(!got.contains("FETCH"), "{got}");
}

// SHR-09
#[tokio::test]
async fn administrators_open_what_their_rights_reach_and_nothing_else() {
    let world = world().await;
    make(&world, "dora@other.example").await;
    make(&world, "adam").await;
    let mut joe = world.login("joe@other.example").await;
    joe.append("INBOX", "", &mail(1)).await;
    let mut dora = world.login("dora@other.example").await;
    let mut adam = world.login("adam").await;
    for (some, name) in [(&mut dora, "~joe/INBOX"), (&mut adam, "~joe@other.example/INBOX")] {
        assert!(some.no(&format!("SELECT {name}")).await.contains("[NONEXISTENT]"));
    }
    rights(&world, "dora@other.example", &["Domain", "BasicSettings"]).await;
    assert!(dora.no("SELECT ~joe/INBOX").await.contains("[NONEXISTENT]"));
    rights(&world, "dora@other.example", &["Domain", "CanAccessMailboxes"]).await;
    assert!(dora.ok("SELECT ~joe/inbox").await.contains("[READ-WRITE]"));
    assert!(dora.no("SELECT ~ann@test.example/INBOX").await.contains("[NONEXISTENT]"));
    dora.ok("CREATE ~joe/Made").await;
    dora.ok("DELETE ~joe/Made").await;
    assert!(dora.ok("LIST \"\" ~joe/*").await.contains("~joe/INBOX"));
    rights(&world, "adam", &["Domain", "CanAccessMailboxes"]).await;
    adam.ok("SELECT ~ann/INBOX").await;
    assert!(adam.no("SELECT ~joe@other.example/INBOX").await.contains("[NONEXISTENT]"));
    rights(&world, "adam", &["Users"]).await;
    adam.ok("SELECT ~joe@other.example/INBOX").await;
    // A right taken away ends what was open by it.
    rights(&world, "adam", &[]).await;
    adam.send("z1 SEARCH ALL\r\n").await;
    assert!(!adam.until("* BYE").await.contains("SEARCH"));
}

// SHR-06, SHR-07
#[tokio::test]
async fn a_template_gives_new_accounts_mailboxes_subscriptions_and_aliases() {
    let world = world().await;
    let (accounts, console) = (&world.context.accounts, Actor::console());
    let alias = pairs(&[
        ("company", Value::from("~public/news")),
        ("Lists", Value::from("~public/lists")),
        ("bad/name", Value::from("~public/x")),
    ]);
    let template = pairs(&[
        ("Mailboxes", list(&["Drafts", "Lists/rust", "../x"])),
        ("Subscription", list(&["INBOX", "Drafts", "~public/news"])),
        ("MailboxAliases", Value::Dictionary(alias)),
    ]);
    accounts.set_account_template(&console, "test.example", template).await.unwrap();
    make(&world, "public").await;
    let mut keeper = world.login("public").await;
    keeper.ok("CREATE news").await;
    keeper.ok("SETACL news anyone@ lr").await;
    make(&world, "new").await;
    let mut new = world.login("new").await;
    let got = new.ok("LIST \"\" *").await;
    for name in ["INBOX", "Drafts", "Lists", "Lists/rust", "company"] {
        assert!(got.contains(&format!("\"/\" {name}\r\n")), "{name}: {got}");
    }
    assert!(!got.contains("bad/name"), "{got}");
    let got = new.ok("LSUB \"\" *").await;
    for name in ["INBOX", "Drafts", "~public/news"] {
        assert!(got.contains(&format!("\"/\" {name}\r\n")), "{name}: {got}");
    }
    assert!(new.ok("SELECT company").await.contains("[READ-ONLY]"));
    new.ok("SELECT ~public/news").await;
    new.ok("SELECT Lists/rust").await;
}
