//! What the report says of the old server's numbers.

use serde::Serialize;

/// What became of the old server's numbers in one mailbox.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeptReport {
    /// True: UIDs and UIDVALIDITY are those of the old server. Nothing where it was not asked for,
    /// or the new server cannot.
    pub uids_kept: Option<bool>,
    /// Messages with new UIDs all the same, because others were there before them.
    pub new_uids: u64,
    /// Messages that keep the unique id POP gave them.
    pub pop_ids: Option<u64>,
    /// Messages whose unique id of POP was not found out.
    pub without_pop_id: u64,
    /// Why numbers are not kept.
    pub why: Option<String>,
}

/// Lines for people: one on all mailboxes that keep their numbers, one for each that does not.
#[must_use]
pub fn lines<'a>(mailboxes: impl Iterator<Item = (&'a str, &'a KeptReport)>) -> String {
    let (mut kept, mut out) = (0, String::new());
    for (name, report) in mailboxes {
        kept += u64::from(report.uids_kept == Some(true));
        if let Some(why) = &report.why {
            out.push_str(&format!("new numbers in {name}: {why}\n"));
        }
        if report.new_uids > 0 {
            out.push_str(&format!(
                "{} messages of {name} have new UIDs: others came before them\n",
                report.new_uids
            ));
        }
        if report.without_pop_id > 0 {
            out.push_str(&format!(
                "{} messages of {name} have new ids in POP: theirs were not found out\n",
                report.without_pop_id
            ));
        }
    }
    if kept > 0 {
        out.insert_str(0, &format!("{kept} mailboxes keep their UIDs and UIDVALIDITY\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_which_mailboxes_have_new_numbers_and_why() {
        let kept = KeptReport { uids_kept: Some(true), ..KeptReport::default() };
        let late = KeptReport { new_uids: 2, without_pop_id: 3, ..kept.clone() };
        let not = KeptReport {
            uids_kept: Some(false),
            why: Some("the new mailbox held messages before".into()),
            ..KeptReport::default()
        };
        let none = KeptReport::default();
        let all = [("INBOX", &kept), ("a", &late), ("b", &not), ("c", &none)];
        assert_eq!(
            lines(all.into_iter()),
            "2 mailboxes keep their UIDs and UIDVALIDITY\n\
             2 messages of a have new UIDs: others came before them\n\
             3 messages of a have new ids in POP: theirs were not found out\n\
             new numbers in b: the new mailbox held messages before\n"
        );
        assert_eq!(lines([("c", &none)].into_iter()), "");
    }
}
