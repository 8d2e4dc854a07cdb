//! The journal as the next run finds it: whole, torn, of the old form, in use.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn key(name: &str) -> BoxKey {
    BoxKey {
        source: name.into(),
        source_validity: 7,
        target: format!("t/{name}"),
        target_validity: 9,
    }
}

fn known(handle: &MailboxJournal) -> Vec<(u32, u32)> {
    handle.pairs().iter().map(|p| (p.source, p.target)).collect()
}

#[test]
fn what_was_confirmed_is_known_to_the_next_run_with_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/journal");
    let journal = Journal::open(&path).unwrap();
    let mut a = journal.begin(key("a\tb%")).unwrap();
    let mut b = journal.begin(key("b")).unwrap();
    assert!(a.pairs().is_empty());
    // Two mailboxes at once, their lines mixed.
    a.intend(&[1, 2], 10).unwrap();
    b.confirmed(&[(5, 0, "\\Seen")]).unwrap();
    a.confirmed(&[(1, 10, "\\Seen $x"), (2, 11, "")]).unwrap();
    a.sure().unwrap();
    drop((a, b, journal));
    let journal = Journal::open(&path).unwrap();
    let a = journal.begin(key("a\tb%")).unwrap();
    assert_eq!(known(&a), [(1, 10), (2, 11)]);
    assert_eq!(a.doubt(), None);
    assert_eq!(a.flags_of(a.pairs().get(1).unwrap()).unwrap().as_ref(), "$x \\Seen");
    assert_eq!(a.flags_of(a.pairs().get(2).unwrap()).unwrap().as_ref(), "");
    assert_eq!(known(&journal.begin(key("b")).unwrap()), [(5, 0)]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_was_sent_and_not_confirmed_is_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    let mut a = journal.begin(key("a")).unwrap();
    a.intend(&[1, 2, 3], 10).unwrap();
    a.confirmed(&[(2, 11, "")]).unwrap();
    drop((a, journal));
    let journal = Journal::open(&path).unwrap();
    let mut a = journal.begin(key("a")).unwrap();
    assert_eq!(a.doubt(), Some(Doubt { floor: 10, sent: Sent::These(vec![1, 3]) }));
    a.confirmed(&[(1, 10, ""), (3, 12, "")]).unwrap();
    assert_eq!(a.doubt(), None);
}

#[test]
fn a_torn_last_line_is_passed_over_even_if_it_looks_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    let mut a = journal.begin(key("a")).unwrap();
    a.confirmed(&[(1, 10, "")]).unwrap();
    drop((a, journal));
    let mut text = std::fs::read(&path).unwrap();
    // This was to be message 22.
    text.extend_from_slice(b"msg\t1\t2\t1\t-");
    std::fs::write(&path, text).unwrap();
    let journal = Journal::open(&path).unwrap();
    let mut a = journal.begin(key("a")).unwrap();
    assert_eq!(known(&a), [(1, 10)]);
    a.confirmed(&[(3, 11, "")]).unwrap();
    drop((a, journal));
    let journal = Journal::open(&path).unwrap();
    assert_eq!(known(&journal.begin(key("a")).unwrap()), [(1, 10), (3, 11)]);
}

#[test]
fn a_journal_of_the_old_form_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let text = "angarium-move\t1\nbox\ta\t7\tt/a\t9\t5\nmsg\t1\t5\nmsg\t2\t6\n\
                box\ta\t7\tt/a\t9\t5\nmsg\t3\t0\nmsg\t4\t1";
    std::fs::write(&path, text).unwrap();
    for _ in 0..2 {
        let journal = Journal::open(&path).unwrap();
        let a = journal.begin(key("a")).unwrap();
        assert_eq!(known(&a), [(1, 5), (2, 6), (3, 0)]);
        assert_eq!(a.doubt(), Some(Doubt { floor: 5, sent: Sent::Any }));
    }
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("angarium-move\t2\n"));
}

#[test]
fn two_runs_cannot_have_it_open_at_once_and_no_other_file_is_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("another run"), "{error}");
    drop(journal);
    Journal::open(&path).unwrap();
    let letter = folder.path().join("letter");
    std::fs::write(&letter, "Dear postmaster\n").unwrap();
    assert!(Journal::open(&letter).is_err());
    assert_eq!(std::fs::read_to_string(&letter).unwrap(), "Dear postmaster\n");
}

#[test]
fn a_mailbox_numbered_anew_is_a_new_one_and_the_old_pairs_are_handed_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path).unwrap();
    journal.begin(key("a")).unwrap().confirmed(&[(1, 10, "\\Seen")]).unwrap();
    let other = BoxKey { source_validity: 8, ..key("a") };
    let mut a = journal.begin(other.clone()).unwrap();
    assert!(a.pairs().is_empty());
    let former = a.take_former().unwrap();
    assert!(!former.same_source && former.same_target);
    assert_eq!(former.pairs.len(), 1);
    assert!(a.take_former().is_none());
    drop((a, journal));
    let journal = Journal::open(&path).unwrap();
    assert!(journal.begin(other).unwrap().take_former().is_none());
}

#[test]
fn what_is_finished_and_what_is_gone_is_remembered_and_dead_lines_are_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let same = Same { what: "all".into(), uid_next: 9, messages: 2, modseq: 77 };
    {
        let journal = Journal::open(&path).unwrap();
        let mut a = journal.begin(key("a")).unwrap();
        for n in 0..3_000 {
            let flags = if n % 2 == 0 { "\\Seen" } else { "" };
            a.confirmed(&[(1, 10, flags), (2, 11, "")]).unwrap();
        }
        a.confirmed(&[(3, 12, "")]).unwrap();
        a.gone(&[2]).unwrap();
        a.finished(same.clone()).unwrap();
    }
    let before = std::fs::metadata(&path).unwrap().len();
    let journal = Journal::open(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < before / 100);
    assert_eq!(journal.finished(&key("a")), Some((same.clone(), 2)));
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    let mut a = journal.begin(key("a")).unwrap();
    assert_eq!(known(&a), [(1, 10), (3, 12)]);
    assert_eq!(a.same(), Some(&same));
    a.intend(&[9], 13).unwrap();
    drop(a);
    assert_eq!(journal.finished(&key("a")), None, "something is in doubt");
    assert_eq!(journal.without(&std::collections::BTreeSet::from(["b"])), [key("a")]);
    journal.forget(&key("a")).unwrap();
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert!(journal.begin(key("a")).unwrap().pairs().is_empty());
}
