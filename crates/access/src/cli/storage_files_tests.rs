//! Commands on the file storage: their exact answers, limits and rights (SYS-18, PWD-17).

use angarium_accounts::Actor;

use super::tests::World;

async fn world() -> (World, Actor) {
    let world = World::new().await;
    world
        .prepare(&[
            "CREATEDOMAIN one.dom",
            "CreateAccount bob@one.dom {Password=x;}",
            "CreateAccount joe@one.dom {Password=x;}",
            "CreateAccount adm@one.dom {Password=x;}",
            "SetAccountRights adm@one.dom (Domain,CanAccessWebSites)",
        ])
        .await;
    (world, Actor::console_in("one.dom"))
}

const HELLO: &str = "[aGVsbG8=]";

#[tokio::test]
async fn files_are_written_listed_read_renamed_and_deleted() {
    let (world, console) = world().await;
    let when = world.run(&console, "GetCurrentTime").await;
    let when = when.strip_prefix("200 ").unwrap_or_default();
    let hello = format!("200 {{hello.txt={{STFileSize=#5;STModified={when};}};private=();}}");
    let read = format!("200 ({HELLO},{when},#5)");
    let part = format!("200 ([bGw=],{when},#5)");
    let none = format!("200 ([],{when},#5)");
    world
        .check(
            &console,
            &[
                ("ListStorageFiles bob", "200 {}"),
                ("GetStorageFileInfo bob", "200 (#0,#0)"),
                (&format!("WriteStorageFile bob FILE hello.txt DATA {HELLO}"), "200 OK"),
                ("WriteStorageFile bob FILE private/", "200 OK"),
                ("ListStorageFiles bob", &hello),
                ("ReadStorageFile bob FILE hello.txt", &read),
                ("ReadStorageFile bob FILE hello.txt OFFSET 2 SIZE 2", &part),
                ("ReadStorageFile bob FILE hello.txt OFFSET 9", &none),
                ("RenameStorageFile bob FILE hello.txt INTO private/a/h.txt", "200 OK"),
                ("ListStorageFiles bob PATH private/", "200 {a=();}"),
                ("ListStorageFiles bob PATH private/none", "501 there is no such directory"),
                ("GetStorageFileInfo bob PATH private", "200 (#5,#1)"),
                ("ReadStorageFile bob FILE hello.txt", "501 there is no such file"),
                ("ReadStorageFile bob FILE private", "501 this is a directory"),
                ("DeleteStorageFile bob FILE private/", "501 the directory is not empty"),
                ("DeleteStorageFile bob FILE private/a/h.txt", "200 OK"),
                ("DeleteStorageFile bob FILE private/a/", "200 OK"),
                ("DeleteStorageFile bob FILE private", "200 OK"),
                ("DeleteStorageFile bob FILE private", "501 there is no such file"),
                ("GetStorageFileInfo bob", "200 (#0,#0)"),
                // Older names of the same.
                (&format!("PutWebFile bob FILE old DATA {HELLO}"), "200 OK"),
                ("GetWebFilesInfo bob", "200 (#5,#1)"),
                ("RenameWebFile bob FILE old INTO new", "200 OK"),
                ("DeleteWebFile bob FILE new", "200 OK"),
                ("ListWebFiles bob", "200 {}"),
                ("ListStorageFiles nobody", "513 unknown user account"),
            ],
        )
        .await;
}

#[tokio::test]
async fn data_goes_where_it_is_told() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                (&format!("WriteStorageFile bob FILE f NEW DATA {HELLO}"), "200 OK"),
                (
                    &format!("WriteStorageFile bob FILE f NEW DATA {HELLO}"),
                    "501 file already exists",
                ),
                ("WriteStorageFile bob FILE f END DATA [IQ==]", "200 OK"),
                ("WriteStorageFile bob FILE f OFFSET BEG DATA [SA==]", "200 OK"),
                ("WriteStorageFile bob FILE f OFFSET 4 DATA [TyE/]", "200 OK"),
                (
                    "WriteStorageFile bob FILE f OFFSET 9 DATA [IQ==]",
                    "501 the offset is past the end of the file",
                ),
                ("WriteStorageFile bob FILE f OFFSET -1 DATA [IQ==]", "500 an offset is expected"),
                ("WriteStorageFile bob FILE f", "500 DATA is expected"),
                ("WriteStorageFile bob FILE f DATA (a)", "500 a datablock is expected"),
                ("WriteStorageFile bob FILE d/ DATA [IQ==]", "501 a directory has no data"),
                ("WriteStorageFile bob FILE e END DATA [IQ==]", "200 OK"),
                ("GetStorageFileInfo bob", "200 (#8,#2)"),
            ],
        )
        .await;
    let read = world.run(&console, "ReadStorageFile bob FILE f").await;
    assert!(read.starts_with("200 ([SGVsbE8hPw==],"), "{read}");
}

#[tokio::test]
async fn bad_names_and_what_is_too_much_are_refused_with_the_limit() {
    let (world, console) = world().await;
    for name in ["../x", "a/../../x", "/etc/passwd", "a//b", ".", "a/./b", "a\\\\b", ""] {
        let line = format!("WriteStorageFile bob FILE \"{name}\" DATA {HELLO}");
        let answer = world.run(&console, &line).await;
        assert!(answer.starts_with("501 "), "{name}: {answer}");
        let line = format!("RenameStorageFile bob FILE x INTO \"{name}\"");
        assert!(world.run(&console, &line).await.starts_with("501 "), "{name}");
    }
    let put = |name: &str, data: &str| format!("WriteStorageFile bob FILE {name} DATA {data}");
    world
        .check(
            &console,
            &[
                (
                    "UpdateAccountSettings bob {MaxWebSize=12;MaxWebFiles=3;MaxFileSize=8;}",
                    "200 OK",
                ),
                (&put("a", HELLO), "200 OK"),
                (
                    &put("b", "[MTIzNDU2Nzg5]"),
                    "540 limit exceeded: a file has at most 8 bytes (MaxFileSize)",
                ),
                (
                    &put("b", "[MTIzNDU2Nzg=]"),
                    "540 limit exceeded: the file storage holds at most 12 bytes (MaxWebSize)",
                ),
                (&put("d/b", HELLO), "200 OK"),
                (
                    &put("c", "[]"),
                    "540 limit exceeded: the file storage holds at most 3 files and folders \
                     (MaxWebFiles)",
                ),
                (
                    "WriteStorageFile bob FILE d/e/",
                    "540 limit exceeded: the file storage holds at most 3 files and folders \
                     (MaxWebFiles)",
                ),
                ("GetStorageFileInfo bob", "200 (#10,#2)"),
                ("UpdateAccountSettings bob {MaxWebFiles=default;}", "200 OK"),
                (&put("c", "[]"), "200 OK"),
            ],
        )
        .await;
}

#[tokio::test]
async fn files_belong_to_their_owner_and_to_administrators_of_sites() {
    let (world, console) = world().await;
    let put = format!("WriteStorageFile bob@one.dom FILE f DATA {HELLO}");
    assert_eq!(world.run(&console, &put).await, "200 OK");
    let [bob, joe, adm] = [
        world.login("bob@one.dom", "x").await,
        world.login("joe@one.dom", "x").await,
        world.login("adm@one.dom", "x").await,
    ];
    let denied = "510 insufficient access rights";
    world.check(&bob, &[("GetStorageFileInfo *", "200 (#5,#1)"), (&put, "200 OK")]).await;
    world.check(&joe, &[("GetStorageFileInfo bob", denied), (&put, denied)]).await;
    world
        .check(
            &adm,
            &[
                ("GetStorageFileInfo bob", "200 (#5,#1)"),
                ("GetStorageFileInfo bob AUTH bob", "200 (#5,#1)"),
                ("GetStorageFileInfo bob AUTH joe", denied),
                ("DeleteStorageFile bob FILE f AUTH joe", denied),
                ("DeleteStorageFile bob FILE f AUTH adm", "200 OK"),
            ],
        )
        .await;
}

#[tokio::test]
async fn sets_of_an_account_are_forgotten_and_a_directory_has_nothing_to_copy() {
    let (world, console) = world().await;
    world
        .check(
            &console,
            &[
                ("RemoveAccountSubset bob SUBSET RepliedAddresses", "200 OK"),
                (
                    "UpdateAccountSettings bob {Dataset={RepliedAddresses={a=b;};More={};};}",
                    "200 OK",
                ),
                ("RemoveAccountSubset bob SUBSET RepliedAddresses", "200 OK"),
                ("GetAccountOneSetting bob Dataset", "200 {More={};}"),
                ("RemoveAccountSubset bob", "500 SUBSET is expected"),
                ("RemoveAccountSubset nobody SUBSET x", "513 unknown user account"),
                ("InsertDirectoryRecords one.dom", "200 OK"),
                ("DeleteDirectoryRecords", "200 OK"),
                ("InsertDirectoryRecords none.dom", "512 unknown secondary domain name"),
            ],
        )
        .await;
}
