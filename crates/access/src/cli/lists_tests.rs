//! Commands on mailing lists: their exact answers (SYS-12, SYS-18).

use angarium_accounts::Actor;

use super::tests::World;

async fn world() -> (World, Actor) {
    let world = World::new().await;
    world
        .prepare(&[
            "CREATEDOMAIN one.dom",
            "CREATEDOMAIN two.dom",
            "CreateAccount bob@one.dom {Password=x;}",
            "CreateAccount joe@one.dom {Password=x;}",
            "SetAccountAliases joe@one.dom (joseph)",
        ])
        .await;
    (world, Actor::console_in("one.dom"))
}

#[tokio::test]
async fn lists_are_made_renamed_counted_and_removed() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("CreateList news FOR bob", "200 OK"),
                (
                    "CreateList news@one.dom FOR bob",
                    "521 mailing list with this name already exists",
                ),
                ("CreateList bob FOR bob", "520 account with this name already exists"),
                ("CreateAccount news@one.dom", "521 mailing list with this name already exists"),
                ("CreateList other FOR nobody", "513 unknown user account"),
                (
                    "CreateList other FOR x@two.dom",
                    "501 the owner of a list is an account of the same domain",
                ),
                ("CreateList other FOR joseph", "200 OK"),
                ("ListLists one.dom", "200 (news,other)"),
                ("List news subscribe a@b.dom", "200 OK"),
                ("List news feed silently \"A. B. <c@b.dom>\"", "200 OK"),
                ("GetDomainLists one.dom", "200 {news=2;other=0;}"),
                ("GetAccountLists joe", "200 {other=0;}"),
                ("RenameAccount joe INTO jim", "200 OK"),
                ("GetAccountLists jim", "200 {other=0;}"),
                ("RenameList other INTO news", "521 mailing list with this name already exists"),
                ("RenameList other INTO more", "200 OK"),
                ("RenameList other INTO x", "550 Unknown Mailing List"),
                ("RenameList more INTO x@two.dom", "501 a list cannot be moved to another domain"),
                ("FindObjects one.dom (more)", "200 {more={Kind=list;Owner=jim;};}"),
                ("DeleteList more", "200 OK"),
                ("DeleteList more", "550 Unknown Mailing List"),
                ("ListLists", "200 (news)"),
                ("GetList none", "550 Unknown Mailing List"),
            ],
        )
        .await;
}

#[tokio::test]
async fn settings_of_a_list_are_checked_and_unknown_ones_kept() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("CreateList news FOR bob", "200 OK"),
                (
                    "UpdateList news {Postings=\"From Anybody\";wn_own=5;Description=News;}",
                    "200 OK",
                ),
                (
                    "UpdateList news {Postings=sometimes;}",
                    "500 wrong value of the setting Postings: one of: from owner only, moderated, \
                     from subscribers, moderate guests, from anybody is expected",
                ),
                ("UpdateList news {Owner=nobody;}", "513 unknown user account"),
                ("UpdateList news {Owner=joseph;Description=default;}", "200 OK"),
                ("GetAccountLists joe", "200 {news=0;}"),
                (
                    "UpdateList news {Subscribers={};}",
                    "500 subscribers are changed by the command LIST",
                ),
            ],
        )
        .await;
    let list = world.run(&console, "GetList news").await;
    for part in ["Owner=joe;", "Postings=\"from anybody\";", "wn_own=5;", "Distribution=feed;"] {
        assert!(list.contains(part), "{part}: {list}");
    }
}

#[tokio::test]
async fn subscribers_are_told_in_the_forms_of_the_field() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("CreateList news FOR bob", "200 OK"),
                ("List news subscribe \"Ann <Ann@b.dom>\"", "200 OK"),
                ("List news digest c@b.dom", "200 OK"),
                ("List news banned d@b.dom", "200 OK"),
                ("List news subscribe d@b.dom", "501 d@b.dom is banned from this list"),
                ("List news unsubscribe c@b.dom", "200 OK"),
                ("List news unsubscribe c@b.dom", "501 c@b.dom is not subscribed"),
                ("List news null c@b.dom", "200 OK"),
                (
                    "List news feed not-an-address",
                    "500 \"not-an-address\" is not an address name@domain",
                ),
                (
                    "List news gone c@b.dom",
                    "500 subscribe, feed, digest, index, null, banned or unsubscribe is expected",
                ),
                (
                    "List news subscribe confirm x@b.dom",
                    "501 subscribers are not asked to confirm by mail; leave CONFIRM out",
                ),
                ("ListSubscribers news", "200 (ann@b.dom,c@b.dom,d@b.dom)"),
                ("ListSubscribers news FILTER ANN", "200 (ann@b.dom)"),
                ("ListSubscribers news FILTER b.dom 2", "200 (ann@b.dom,c@b.dom)"),
                ("SetPostingMode news FOR ann@b.dom PROHIBITED", "200 OK"),
                ("SetPostingMode news FOR c@b.dom 3", "200 OK"),
                ("SetPostingMode news FOR x@b.dom 3", "501 x@b.dom is not subscribed"),
                ("GetSubscriberInfo news NAME nobody@b.dom", "200 {}"),
            ],
        )
        .await;
    let ann = world.run(&console, "GetSubscriberInfo news NAME ANN@b.dom").await;
    for part in ["RealName=Ann;", "mode=feed;", "posts=prohibited;", "timeSubscribed=#T"] {
        assert!(ann.contains(part), "{part}: {ann}");
    }
    let rows = world.run(&console, "ReadSubscribers news FILTER c@").await;
    assert!(rows.starts_with("200 (#3,({"), "{rows}");
    assert!(rows.contains("Sub=c@b.dom;") && rows.contains("mode=null;"), "{rows}");
}
