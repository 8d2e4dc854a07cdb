//! Every command on another's mailbox against every single missing right (ABU-25): which answer
//! is due, and that a mailbox one may not see answers octet for octet as one that does not exist,
//! with as many calls to the store.
//!
//! To add a command: a line in [`COMMANDS`]. `THERE` stands for the foreign mailbox, `MAIL` for a
//! message to be appended.

use crate::client::{Client, World, mail};

/// All rights that can be given one by one.
const LETTERS: &str = "lrswipckdtexa";

/// How a command is given.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// With the own INBOX selected, naming the mailbox.
    Outside,
    /// With the mailbox selected.
    Inside,
    /// As `Outside`; a success takes the mailbox away, so that it is made anew.
    Removing,
}
use Where::{Inside, Outside, Removing};

/// A command and what it needs, beside `l`: one letter for each right without which it is
/// refused. `only` says what a success must hold.
struct Row {
    way: Where,
    command: &'static str,
    needs: &'static str,
    only: &'static str,
}

const fn row(way: Where, command: &'static str, needs: &'static str, only: &'static str) -> Row {
    Row { way, command, needs, only }
}

const COMMANDS: &[Row] = &[
    row(Outside, "SELECT THERE", "r", "* 1 EXISTS"),
    row(Outside, "EXAMINE THERE", "r", "[READ-ONLY]"),
    row(Outside, "STATUS THERE (MESSAGES UNSEEN SIZE)", "r", "MESSAGES 1"),
    row(Outside, "STATUS THERE (OLDEST UNSEENMEDIA DELETED-STORAGE)", "r", "* STATUS"),
    row(Outside, "APPEND THERE MAIL", "i", "[APPENDUID"),
    row(Outside, "COPY 1 THERE", "i", "[COPYUID"),
    row(Outside, "UID COPY 1:* THERE", "i", "[COPYUID"),
    row(Outside, "MOVE 1 THERE", "i", "[COPYUID"),
    row(Outside, "CREATE THERE/Below", "c", ""),
    row(Removing, "DELETE THERE", "x", ""),
    row(Removing, "RENAME THERE ~ann/Shelf/Other", "x", ""),
    row(Outside, "GETACL THERE", "a", "* ACL"),
    row(Outside, "SETACL THERE eve l", "a", ""),
    row(Outside, "DELETEACL THERE eve", "a", ""),
    row(Outside, "LISTRIGHTS THERE eve", "a", "* LISTRIGHTS"),
    row(Outside, "MYRIGHTS THERE", "", "* MYRIGHTS"),
    row(Outside, "GETQUOTAROOT THERE", "", "* QUOTAROOT"),
    row(Outside, "UID MOVE 1:* THERE", "i", "[COPYUID"),
    row(Outside, "REPLACE 1 THERE MAIL", "i", "[APPENDUID"),
    // Beside `l` any one of `rswip` does.
    row(Outside, "GETMETADATA THERE /private/comment", "", "* METADATA THERE"),
    row(Outside, "SETMETADATA THERE (/private/comment \"x\")", "", ""),
    row(Outside, "SETMETADATA THERE (/shared/comment \"x\")", "w", ""),
    row(Outside, "SETMETADATA THERE (/shared/vendor/angarium/class \"IPF.Note\")", "a", ""),
    row(Inside, "SORT (DATE) UTF-8 ALL", "r", "* SORT 1"),
    row(Inside, "THREAD REFS UTF-8 ALL", "r", "* THREAD (1)"),
    row(Inside, "FETCH 1 (FLAGS BODY.PEEK[])", "r", "Text of 1."),
    row(Inside, "SEARCH ALL", "r", "* SEARCH 1"),
    row(Inside, "SEARCH RETURN (COUNT) ALL", "r", "COUNT 1"),
    row(Inside, "STORE 1 +FLAGS (\\Seen)", "rs", "\\Seen"),
    row(Inside, "STORE 1 +FLAGS (\\Flagged)", "rw", "\\Flagged"),
    row(Inside, "STORE 1 +FLAGS (Word)", "rw", "Word"),
    row(Inside, "STORE 1 +FLAGS (\\Deleted)", "rt", "\\Deleted"),
    row(Inside, "EXPUNGE", "re", ""),
    row(Inside, "UID EXPUNGE 1", "re", ""),
    row(Inside, "COPY 1 INBOX", "r", "[COPYUID"),
    row(Inside, "MOVE 1 INBOX", "rte", "[COPYUID"),
];

/// Commands that name mailboxes by pattern: what they hold when it may be seen and read, and what
/// is missing when it may be seen only.
const LISTS: &[(&str, &str, &str)] = &[
    ("LIST \"\" THERE", "* LIST (\\HasNoChildren) \"/\" THERE", ""),
    ("LIST \"\" ~ann/Shelf/% RETURN (STATUS (MESSAGES))", "* STATUS THERE", "* STATUS THERE"),
    ("LIST (MESSAGES) \"\" ~ann/Shelf/*", "\\MESSAGES(1)", "\\MESSAGES("),
    ("LIST \"\" ~ann/Shelf/* RETURN (MYRIGHTS)", "* MYRIGHTS THERE", ""),
    ("LIST (SUBSCRIBED) \"\" * RETURN (STATUS (UNSEEN))", "* STATUS THERE", "* STATUS THERE"),
];

const SECRET: &str = "~ann/Shelf/Secret";
const NOWHERE: &str = "~ann/Shelf/Nowher";

/// The rights without one letter, as SETACL takes them; old letters go with their parts.
fn without(letter: char) -> String {
    let tied: &[char] = match letter {
        'c' | 'k' => &['c', 'k'],
        't' | 'e' | 'x' => &['d'],
        'd' => &['d', 't', 'e', 'x'],
        _ => &[],
    };
    LETTERS.chars().filter(|l| *l != letter && !tied.contains(l)).collect()
}

/// True when a command that needs this letter must fail.
fn lacks(needs: &str, letter: char) -> bool {
    match letter {
        'l' => true,
        'k' => needs.contains('c'),
        'd' => needs.contains(['t', 'e', 'x']),
        _ => needs.contains(letter),
    }
}

struct Scene {
    world: World,
    ann: Client,
    bob: Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let mut ann = world.login("ann").await;
        ann.ok("CREATE Shelf").await;
        ann.ok("SETACL Shelf bob lc").await;
        let mut bob = world.inbox("bob", 1).await;
        bob.ok(&format!("SUBSCRIBE {SECRET}")).await;
        Self { world, ann, bob }
    }

    /// Makes the mailbox with one message and these rights for bob, whose INBOX is selected.
    async fn set(&mut self, rights: &str) {
        self.bob.ok("SELECT INBOX").await;
        for name in ["Shelf/Secret/Below", "Shelf/Secret", "Shelf/Other"] {
            self.ann.run(&format!("DELETE {name}")).await;
        }
        self.ann.ok("CREATE Shelf/Secret").await;
        self.ann.append("Shelf/Secret", "", &mail(1)).await;
        self.ann.ok("DELETEACL Shelf/Secret bob").await;
        if !rights.is_empty() {
            self.ann.ok(&format!("SETACL Shelf/Secret bob {rights}")).await;
        }
        let here = self.bob.run("STATUS INBOX (MESSAGES)").await;
        if here.contains("MESSAGES 0") {
            self.bob.append("INBOX", "", &mail(2)).await;
            self.bob.ok("SELECT INBOX").await;
        }
    }

    async fn run(&mut self, command: &str, name: &str) -> String {
        let text = mail(5);
        let literal = format!("{{{}+}}\r\n{text}", text.len());
        let command = command.replace("THERE", name).replace("MAIL", &literal);
        self.bob.run(&command).await.replace(name, "THERE")
    }

    /// As `run`, with the calls it cost.
    async fn cost(&mut self, command: &str, name: &str) -> (String, u64) {
        let before = self.world.plan.all_calls();
        let got = self.run(command, name).await;
        (got, self.world.plan.all_calls() - before)
    }
}

fn is_ok(answer: &str) -> bool {
    answer.contains("\r\nx OK") || answer.starts_with("x OK")
}

// ABU-25, SHR-01
#[tokio::test]
async fn every_command_against_every_missing_right_answers_as_the_table_says() {
    let mut scene = Scene::new().await;
    let everything = std::iter::once(None).chain(LETTERS.chars().map(Some));
    for missing in everything {
        let rights = missing.map_or(LETTERS.to_owned(), without);
        for row in COMMANDS {
            scene.set(&rights).await;
            let case = format!("{} with {rights}", row.command);
            let refused = missing.is_some_and(|letter| lacks(row.needs, letter));
            if row.way == Inside {
                let selected = scene.run("SELECT THERE", SECRET).await;
                if !is_ok(&selected) {
                    assert!(refused, "{case}: {selected}");
                    continue;
                }
            }
            let got = scene.run(row.command, SECRET).await;
            if !refused {
                assert!(is_ok(&got) && got.contains(row.only), "{case}: {got}");
                continue;
            }
            let code = if missing == Some('l') && row.way != Inside {
                // CREATE below something that is not there is not told from one not allowed.
                if row.command.starts_with("CREATE") { "[NOPERM]" } else { "[NONEXISTENT]" }
            } else {
                "[NOPERM]"
            };
            let trying = ["[TRYCREATE]", code].iter().any(|code| got.contains(code));
            assert!(got.contains("x NO") && trying, "{case}: {got}");
            assert!(code != "[NOPERM]" || got.contains(code), "{case}: {got}");
        }
    }
}

// ABU-25
#[tokio::test]
async fn a_mailbox_that_may_not_be_seen_answers_as_one_that_does_not_exist() {
    let mut scene = Scene::new().await;
    // All rights but the one to see it, and no rights at all.
    for rights in [without('l'), String::new()] {
        // What may be made below `Shelf` may be made, whatever stands beside it.
        let asked = COMMANDS.iter().filter(|row| row.way != Inside && row.needs != "c");
        for row in asked {
            scene.set(&rights).await;
            // Both are asked once before, so that nothing is looked up for the first time.
            for name in [SECRET, NOWHERE] {
                scene.run("MYRIGHTS THERE", name).await;
            }
            let (there, cost) = scene.cost(row.command, SECRET).await;
            scene.bob.ok("SELECT INBOX").await;
            let (nowhere, none) = scene.cost(row.command, NOWHERE).await;
            assert_eq!(there, nowhere, "{} with {rights:?}", row.command);
            assert_eq!(cost, none, "{} with {rights:?}", row.command);
        }
        scene.set(&rights).await;
        for (command, ..) in LISTS.iter().filter(|(command, ..)| command.contains("THERE")) {
            let (there, cost) = scene.cost(command, SECRET).await;
            let (nowhere, none) = scene.cost(command, NOWHERE).await;
            assert_eq!((there.as_str(), cost), (nowhere.as_str(), none), "{command}");
        }
        for (command, shown, _) in LISTS {
            let got = scene.run(command, SECRET).await;
            assert!(is_ok(&got) && !got.contains(shown), "{command} with {rights:?}: {got}");
        }
    }
    // An account that does not exist has no mailboxes, in the same words.
    let ghost = |name: &str| format!("STATUS {name} (MESSAGES)");
    let there = scene.bob.no(&ghost(SECRET)).await;
    assert_eq!(there, scene.bob.no(&ghost("~nobody/Secret")).await);
}

// ABU-25
#[tokio::test]
async fn a_mailbox_that_may_only_be_seen_tells_its_name_and_nothing_more() {
    let mut scene = Scene::new().await;
    scene.set("lr").await;
    for (command, shown, _) in LISTS {
        let got = scene.run(command, SECRET).await;
        assert!(got.contains(shown), "{command}: {got}");
    }
    scene.set("l").await;
    for (command, _, withheld) in LISTS {
        let got = scene.run(command, SECRET).await;
        assert!(is_ok(&got) && got.contains("THERE"), "{command}: {got}");
        assert!(withheld.is_empty() || !got.contains(withheld), "{command}: {got}");
    }
}
