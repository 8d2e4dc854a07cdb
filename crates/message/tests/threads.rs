//! Threads: the worked examples of RFC 5256, and what must hold of any messages whatever.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use angarium_message::thread::{
    Member, NONE, Placed, ordered_subject, references, refs as by_references,
};
use proptest::prelude::*;

/// One message as a test writes it: identifier, references, subject, reply, date.
#[derive(Clone, Debug)]
struct Mail {
    number: u32,
    id: u32,
    refs: Vec<u32>,
    subject: u32,
    is_reply: bool,
    sent: i64,
}

fn mail(number: u32, refs: &[u32]) -> Mail {
    Mail {
        number,
        id: number,
        refs: refs.to_vec(),
        subject: 0,
        is_reply: false,
        sent: i64::from(number),
    }
}

fn about(number: u32, subject: u32, is_reply: bool) -> Mail {
    Mail { subject, is_reply, ..mail(number, &[]) }
}

fn members(mails: &[Mail]) -> Vec<Member> {
    let member = |m: &Mail| Member {
        number: m.number,
        sent: m.sent,
        arrived: m.sent,
        id: m.id,
        subject: m.subject,
        is_reply: m.is_reply,
    };
    mails.iter().map(member).collect()
}

const IDS: usize = 1000;

fn threaded(mails: &[Mail]) -> Vec<Placed> {
    references(&members(mails), IDS, |at| mails[at].refs.as_slice())
}

/// As THREAD writes it.
fn text(placed: &[Placed]) -> String {
    fn one(placed: &mut std::slice::Iter<'_, Placed>, out: &mut String) {
        let &(number, children) = placed.next().unwrap();
        if let Some(number) = number {
            out.push_str(&number.to_string());
        }
        for _ in 0..children {
            let alone = children == 1;
            if number.is_some() && alone {
                out.push(' ');
            }
            if !alone {
                out.push('(');
            }
            one(placed, out);
            if !alone {
                out.push(')');
            }
        }
    }
    let mut out = String::new();
    let mut placed = placed.iter();
    while !placed.as_slice().is_empty() {
        out.push('(');
        one(&mut placed, &mut out);
        out.push(')');
    }
    out
}

#[test]
fn the_example_of_rfc_5256_is_threaded_as_it_says() {
    // Section 4: 2 stands alone; 3 was answered by 6, and that by 4 and 44.
    let mut mails = vec![
        mail(2, &[]),
        mail(3, &[]),
        mail(4, &[3, 6]),
        mail(6, &[3]),
        mail(7, &[3, 6, 44]),
        mail(23, &[3, 6, 4]),
        mail(44, &[3, 6]),
        mail(96, &[3, 6, 44, 7]),
    ];
    assert_eq!(text(&threaded(&mails)), "(2)(3 6(4 23)(44 7 96))");
    // The second example: without 3 and its like a place is left at the top.
    mails = vec![mail(3, &[100]), mail(5, &[100])];
    assert_eq!(text(&threaded(&mails)), "((3)(5))");
    mails.pop();
    assert_eq!(text(&threaded(&mails)), "(3)", "one child is promoted");
    mails = vec![mail(5, &[100, 101]), mail(6, &[100, 102])];
    assert_eq!(text(&threaded(&mails)), "((5)(6))", "missing messages below are taken out");
    mails = vec![mail(1, &[]), mail(5, &[1, 101]), mail(6, &[1, 101])];
    assert_eq!(text(&threaded(&mails)), "(1(5)(6))");
}

#[test]
fn threads_of_one_subject_become_one() {
    // A reply without references goes below what it answers.
    let mails = [about(1, 7, false), about(2, 7, true), about(3, 0, false)];
    assert_eq!(text(&threaded(&mails)), "(1 2)(3)");
    // The original may come later.
    let mails = [about(1, 7, true), about(2, 7, false)];
    assert_eq!(text(&threaded(&mails)), "(2 1)");
    // Two that are no replies stand beside each other.
    let mails = [about(1, 7, false), about(2, 7, false), about(3, 7, true)];
    assert_eq!(text(&threaded(&mails)), "((1)(2)(3))");
    // A place without a message gathers the others.
    let in_place = |n: u32, place: u32| Mail { refs: vec![place], ..about(n, 7, true) };
    let mails = [in_place(1, 100), in_place(2, 100), about(3, 7, false)];
    assert_eq!(text(&threaded(&mails)), "((1)(2)(3))");
    let mails = [in_place(1, 100), in_place(2, 100), in_place(3, 101), in_place(4, 101)];
    assert_eq!(text(&threaded(&mails)), "((1)(2)(3)(4))");
    // REFS does not look at subjects, and the thread with the youngest comes last.
    let mails = [about(1, 7, false), about(2, 7, false), mail(3, &[1])];
    let found = by_references(&members(&mails), IDS, |at| mails[at].refs.as_slice());
    assert_eq!(text(&found), "(2)(1 3)");
    // Of what arrived within one second the later in the mailbox is the younger.
    let mut at_once = members(&mails);
    at_once.iter_mut().for_each(|m| m.arrived = 5);
    let found = by_references(&at_once, IDS, |at| mails[at].refs.as_slice());
    assert_eq!(text(&found), "(2)(1 3)");
}

#[test]
fn by_subject_alone_the_first_is_parent_of_all() {
    let mails = [about(3, 1, false), about(1, 2, false), about(2, 1, true), about(4, 1, false)];
    assert_eq!(text(&ordered_subject(&members(&mails))), "(1)(2(3)(4))");
    assert_eq!(text(&ordered_subject(&members(&mails[..3]))), "(1)(2 3)");
    assert_eq!(ordered_subject(&[]), []);
}

#[test]
fn doubled_identifiers_and_loops_lose_nothing() {
    let twin = Mail { id: 1, ..mail(2, &[]) };
    assert_eq!(text(&threaded(&[mail(1, &[]), twin, mail(3, &[1])])), "(1 3)(2)");
    assert_eq!(text(&threaded(&[mail(1, &[1])])), "(1)");
    assert_eq!(text(&threaded(&[mail(1, &[2]), mail(2, &[1])])), "(2 1)");
    let none = Mail { id: NONE, ..mail(4, &[1]) };
    assert_eq!(text(&threaded(&[mail(1, &[5]), none])), "(1 4)");
}

#[test]
fn a_chain_of_a_million_is_threaded_at_once() {
    // Work that grew with the square would take hours.
    let count = 1_000_000u32;
    let chain: Vec<u32> = (0..count).collect();
    let members: Vec<Member> = (0..count)
        .map(|n| Member {
            number: n + 1,
            sent: i64::from(count - n),
            arrived: 0,
            id: n,
            subject: 0,
            is_reply: false,
        })
        .collect();
    let before = |at: usize| chain.get(at.saturating_sub(2)..at).unwrap();
    let placed = references(&members, count as usize, before);
    assert_eq!(placed.len(), count as usize);
    assert_eq!(placed[0], (Some(1), 1));
    assert_eq!(placed.last(), Some(&(Some(count), 0)));
}

fn any_mails() -> impl Strategy<Value = Vec<Mail>> {
    let one = (
        prop_oneof![4 => 0u32..30, 1 => Just(NONE)],
        proptest::collection::vec(0u32..40, 0..5),
        0u32..5,
        any::<bool>(),
        0i64..10,
    );
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let mail = |(at, (id, refs, subject, is_reply, sent)): (usize, _)| Mail {
            number: u32::try_from(at).unwrap() + 1,
            id,
            refs,
            subject,
            is_reply,
            sent,
        };
        all.into_iter().enumerate().map(mail).collect()
    })
}

/// Every message once, and as many children as said.
fn check(placed: &[Placed], count: usize) -> Result<(), TestCaseError> {
    let mut numbers: Vec<u32> = placed.iter().filter_map(|p| p.0).collect();
    numbers.sort_unstable();
    prop_assert_eq!(numbers, (1..=u32::try_from(count).unwrap()).collect::<Vec<_>>());
    let mut open = 0u64;
    let mut depth_at_missing = Vec::new();
    let mut stack: Vec<u32> = Vec::new();
    for &(number, children) in placed {
        if number.is_none() {
            depth_at_missing.push(stack.len());
            prop_assert!(children >= 2, "a place without a message has two children at least");
        }
        open += u64::from(children);
        match stack.last_mut() {
            Some(left) => *left -= 1,
            None => open += 1,
        }
        open -= 1;
        stack.push(children);
        while stack.last() == Some(&0) {
            stack.pop();
        }
    }
    prop_assert_eq!(open, 0);
    prop_assert!(stack.is_empty());
    prop_assert!(depth_at_missing.iter().all(|d| *d == 0), "places are only at the top");
    Ok(())
}

proptest! {
    #[test]
    fn every_message_is_in_exactly_one_thread_once(mails in any_mails()) {
        check(&threaded(&mails), mails.len())?;
        let all = members(&mails);
        check(&by_references(&all, IDS, |at| mails[at].refs.as_slice()), mails.len())?;
        check(&ordered_subject(&all), mails.len())?;
    }

    /// Where messages do not contradict each other the order in the mailbox does not matter.
    #[test]
    fn consistent_threads_are_the_same_in_any_order(
        parents in proptest::collection::vec(any::<prop::sample::Index>(), 1..30),
        left_out in proptest::collection::vec(any::<bool>(), 30),
        order in Just((0..30usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut mails: Vec<Mail> = Vec::new();
        for (n, parent) in parents.iter().enumerate() {
            let number = u32::try_from(n).unwrap();
            let mut one = mail(number, &[]);
            if n > 0 && parent.index(4) > 0 {
                let parent = &mails[parent.index(n)];
                one.refs.clone_from(&parent.refs);
                one.refs.push(parent.id);
            }
            mails.push(one);
        }
        let kept: Vec<Mail> = mails.iter().zip(&left_out).filter(|(m, out)| !**out || m.number == 0)
            .map(|(m, _)| m.clone()).collect();
        let shuffled: Vec<Mail> = order.iter().filter_map(|at| kept.get(*at)).cloned().collect();
        prop_assert_eq!(text(&threaded(&kept)), text(&threaded(&shuffled)));
    }
}
