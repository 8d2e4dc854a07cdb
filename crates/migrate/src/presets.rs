//! What is known of the large services beforehand: which mailboxes there are no mail, which are
//! views, how names are mapped, and how fast one may read. Pure.

use crate::options::pace::Pace;
use crate::special_use::SpecialUse;

/// A kind of old server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// Gmail and Google Workspace.
    Gmail,
    /// Exchange on the premises.
    Exchange,
    /// Exchange Online (Office 365, Microsoft 365, Outlook.com).
    Office365,
    /// Yahoo Mail and AOL.
    Yahoo,
    /// iCloud Mail.
    Icloud,
}

/// What becomes of Gmail's labels (`--gmailLabels`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum GmailLabels {
    /// Each label is a mailbox; what has none is in the archive. A message with two labels comes
    /// into both mailboxes, as every mail program shows it.
    #[default]
    Mailboxes,
    /// Every message comes once; its labels become keywords.
    Keywords,
}

/// How fast a service lets itself be read; `None`: no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections of one account at once.
    pub connections: Option<usize>,
    /// Octets a day.
    pub daily_octets: Option<u64>,
}

/// Mailboxes of Exchange that hold items of other kinds, in the languages they are usually
/// named in: copied as messages they would be of no use to anybody.
const EXCHANGE_NO_MAIL: &[&str] = &[
    "calendar",
    "kalender",
    "calendrier",
    "calendario",
    "agenda",
    "kalendarz",
    "календарь",
    "予定表",
    "日历",
    "contacts",
    "kontakte",
    "contactos",
    "contatti",
    "contactpersonen",
    "kontakter",
    "kontakty",
    "контакты",
    "連絡先",
    "联系人",
    "suggested contacts",
    "recipient cache",
    "externalcontacts",
    "gal contacts",
    "personmetadata",
    "tasks",
    "aufgaben",
    "tâches",
    "tareas",
    "attività",
    "taken",
    "zadania",
    "задачи",
    "journal",
    "diario",
    "outbox",
    "postausgang",
    "boîte d'envoi",
    "bandeja de salida",
    "posta in uscita",
    "postvak uit",
    "исходящие",
    "sync issues",
    "synchronisierungsprobleme",
    "problèmes de synchronisation",
    "problemas de sincronización",
    "problemi di sincronizzazione",
    "synchronisatieproblemen",
    "ошибки синхронизации",
    "conversation action settings",
    "quick step settings",
    "working set",
    "news feed",
    "yammer root",
    "files",
    "social activity notifications",
];

impl Preset {
    /// The preset that fits what a server announces, if one does.
    #[must_use]
    pub fn of_capabilities(has: impl Fn(&str) -> bool) -> Option<Self> {
        has("X-GM-EXT-1").then_some(Self::Gmail)
    }

    /// Why the mailbox of this name (`/` between levels) is left out, if it is.
    #[must_use]
    pub fn leaves_out(self, name: &str) -> Option<&'static str> {
        match self {
            Self::Exchange | Self::Office365 => {
                let top = name.split('/').next().unwrap_or(name).to_lowercase();
                EXCHANGE_NO_MAIL
                    .contains(&top.as_str())
                    .then_some("Exchange keeps no mail in it (--preset)")
            }
            Self::Gmail | Self::Yahoo | Self::Icloud => None,
        }
    }

    /// The name at the new server of a mailbox with this use, where that has none for it yet.
    #[must_use]
    pub fn name_of(self, role: SpecialUse) -> &'static str {
        match role {
            SpecialUse::Sent => "Sent",
            SpecialUse::Drafts => "Drafts",
            SpecialUse::Trash => "Trash",
            SpecialUse::Junk => "Junk",
            SpecialUse::All | SpecialUse::Archive => "Archive",
            SpecialUse::Flagged => "Starred",
            SpecialUse::Important => "Important",
        }
    }

    /// How fast it may be read.
    #[must_use]
    pub fn limits(self) -> Limits {
        let connections = |n| Limits { connections: Some(n), daily_octets: None };
        match self {
            // Google allows 15 connections and 2,500 MB a day; people keep working beside a move.
            Self::Gmail => Limits { connections: Some(8), daily_octets: Some(2_400 * 1024 * 1024) },
            Self::Office365 | Self::Exchange => connections(8),
            Self::Yahoo => connections(5),
            Self::Icloud => connections(4),
        }
    }

    /// Makes a run keep to the limits, where the command line says nothing narrower.
    pub fn tame(self, pace: &mut Pace) {
        let limits = self.limits();
        if let Some(most) = limits.connections {
            pace.connections = pace.connections.min(most);
        }
        pace.daily_bytes = pace.daily_bytes.or(limits.daily_octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_keeps_other_things_in_mailboxes_in_many_languages() {
        for name in
            ["Calendar", "Kalender/Feiertage", "Contacts", "TÂCHES", "Sync Issues/Conflicts"]
        {
            assert!(Preset::Office365.leaves_out(name).is_some(), "{name}");
            assert!(Preset::Gmail.leaves_out(name).is_none(), "{name}");
        }
        for name in ["INBOX", "Calendars", "Sent Items", "Notes", "Work/Calendar"] {
            assert!(Preset::Exchange.leaves_out(name).is_none(), "{name}");
        }
        assert_eq!(Preset::of_capabilities(|c| c == "X-GM-EXT-1"), Some(Preset::Gmail));
        assert_eq!(Preset::of_capabilities(|_| false), None);
    }
}
