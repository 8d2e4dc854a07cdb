//! What one session has been told of the mailbox it has open, and the rules each telling must
//! keep. It must never know other sessions.

use std::collections::BTreeSet;

use super::faults::{Fault, fault};

/// Flags without `\Recent`, which is each session's own.
pub(super) type Flags = BTreeSet<String>;

/// What is known of the message at one sequence number.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// UID; 0 while it has not been told.
    pub(super) uid: u32,
    /// Flags as last told.
    pub(super) flags: Option<Flags>,
    /// Largest MODSEQ told; 0 for none.
    pub(super) modseq: u64,
    /// A command on it told nothing, so it should be gone.
    pub(super) missed: bool,
    /// A STORE without `.SILENT` told nothing, so it should be gone.
    pub(super) untold: bool,
    /// Its token has been read.
    pub(super) named: bool,
}

/// A session's view.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) slots: Vec<Slot>,
}

impl View {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// `* n EXISTS`
    pub(super) fn exists(&mut self, count: usize) -> Result<(), Fault> {
        if count < self.slots.len() {
            return Err(fault("exists-shrinks", format!("{} to {count}", self.slots.len())));
        }
        if count > 1_000_000 {
            return Err(fault("number", format!("{count} EXISTS")));
        }
        self.slots.resize_with(count, Slot::default);
        Ok(())
    }

    /// `* n EXPUNGE`: the UID that went.
    pub(super) fn expunge(&mut self, sequence: usize) -> Result<u32, Fault> {
        if sequence == 0 || sequence > self.slots.len() {
            let len = self.slots.len();
            return Err(fault("number", format!("{sequence} EXPUNGE of {len} messages")));
        }
        Ok(self.slots.remove(sequence - 1).uid)
    }

    /// `* VANISHED uid`
    pub(super) fn vanished(&mut self, uid: u32) -> Result<(), Fault> {
        if let Some(at) = self.slots.iter().position(|slot| slot.uid == uid) {
            self.slots.remove(at);
            return Ok(());
        }
        // It may be one of those whose UID has not been told: between the neighbours it fits.
        let after = self.slots.iter().rposition(|slot| slot.uid != 0 && slot.uid < uid);
        let from = after.map_or(0, |at| at + 1);
        if self.slots.get(from).is_some_and(|slot| slot.uid == 0) {
            self.slots.remove(from);
            return Ok(());
        }
        Err(fault("vanished", format!("VANISHED {uid}, which this session does not have")))
    }

    /// `* n FETCH`: the UID when it is known.
    pub(super) fn fetch(
        &mut self,
        sequence: usize,
        uid: Option<u32>,
        flags: Option<&Flags>,
        modseq: Option<u64>,
    ) -> Result<u32, Fault> {
        let len = self.slots.len();
        let Some(at) = sequence.checked_sub(1).filter(|at| *at < len) else {
            return Err(fault("number", format!("{sequence} FETCH of {len} messages")));
        };
        if let Some(uid) = uid {
            let known = self.slots.get(at).map_or(0, |slot| slot.uid);
            if known != 0 && known != uid {
                return Err(fault("uid-changes", format!("{sequence} was {known}, is {uid}")));
            }
            if known == 0 {
                self.learn(at, uid)?;
            }
        }
        let Some(slot) = self.slots.get_mut(at) else { return Ok(0) };
        if let Some(modseq) = modseq {
            if modseq < slot.modseq {
                let text = format!("{sequence} (UID {}): {} to {modseq}", slot.uid, slot.modseq);
                return Err(fault("modseq-falls", text));
            }
            slot.modseq = modseq;
        }
        if let Some(flags) = flags {
            slot.flags = Some(flags.clone());
        }
        Ok(slot.uid)
    }

    fn learn(&mut self, at: usize, uid: u32) -> Result<(), Fault> {
        let (before, after) = self.slots.split_at(at);
        let low = before.iter().rev().map(|s| s.uid).find(|uid| *uid != 0).unwrap_or(0);
        let high = after.iter().skip(1).map(|s| s.uid).find(|uid| *uid != 0);
        if uid <= low || high.is_some_and(|high| uid >= high) {
            let text = format!("{} is UID {uid} between {low} and {high:?}", at + 1);
            return Err(fault("uid-order", text));
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.uid = uid;
        }
        Ok(())
    }

    /// Sequence number of a UID.
    pub(super) fn sequence(&self, uid: u32) -> Option<usize> {
        self.slots.iter().position(|slot| slot.uid == uid).map(|at| at + 1)
    }

    pub(super) fn slot(&mut self, uid: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.uid == uid)
    }

    /// How many slots from the first have UID, flags and token told.
    pub(super) fn known(&self) -> usize {
        self.slots.iter().take_while(|s| s.uid != 0 && s.flags.is_some() && s.named).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(uids: &[u32]) -> View {
        let mut view = View::default();
        view.exists(uids.len()).expect("it grows");
        for (at, uid) in uids.iter().enumerate().filter(|(_, uid)| **uid != 0) {
            view.fetch(at + 1, Some(*uid), None, None).expect("they ascend");
        }
        view
    }

    #[test]
    fn each_rule_of_a_view_is_held() {
        let rule = |fault: Fault| fault.rule;
        assert_eq!(view(&[1, 2]).exists(1).map_err(rule), Err("exists-shrinks"));
        assert_eq!(view(&[1]).expunge(2).map_err(rule), Err("number"));
        assert_eq!(view(&[1]).fetch(2, None, None, None).map_err(rule), Err("number"));
        assert_eq!(view(&[1, 2]).fetch(2, Some(3), None, None).map_err(rule), Err("uid-changes"));
        assert_eq!(view(&[5, 0]).fetch(2, Some(5), None, None).map_err(rule), Err("uid-order"));
        assert_eq!(view(&[0, 5]).fetch(1, Some(6), None, None).map_err(rule), Err("uid-order"));
        assert_eq!(view(&[1, 2]).vanished(3).map_err(rule), Err("vanished"));
        let mut falling = view(&[1]);
        falling.fetch(1, None, None, Some(7)).expect("the first");
        assert_eq!(falling.fetch(1, None, None, Some(6)).map_err(rule), Err("modseq-falls"));
    }

    #[test]
    fn a_vanished_uid_may_be_one_that_was_never_told() {
        let mut view = view(&[1, 0, 0, 9]);
        view.vanished(5).expect("it fits between");
        assert_eq!(view.len(), 3);
        view.vanished(1).expect("it is known");
        assert_eq!(view.sequence(9), Some(2));
    }
}
