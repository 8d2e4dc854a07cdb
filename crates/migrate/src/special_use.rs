//! What a mailbox is for (RFC 6154): as servers tell, and by the names the field's programs give
//! where they do not. Pure.

use serde::Serialize;

/// A use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpecialUse {
    /// Every message of the account, a view.
    All,
    /// Put away.
    Archive,
    /// Not sent yet.
    Drafts,
    /// Every flagged message, a view.
    Flagged,
    /// Messages that matter (RFC 8457), a view.
    Important,
    /// Unwanted.
    Junk,
    /// Sent.
    Sent,
    /// To be deleted.
    Trash,
}

impl SpecialUse {
    /// The attribute of LIST and CREATE.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Important => "\\Important",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// The use an attribute names, those of the older XLIST included.
    #[must_use]
    pub fn of_attribute(attribute: &str) -> Option<Self> {
        Some(match attribute.to_ascii_lowercase().as_str() {
            "\\all" | "\\allmail" => Self::All,
            "\\archive" => Self::Archive,
            "\\drafts" => Self::Drafts,
            "\\flagged" | "\\starred" => Self::Flagged,
            "\\important" => Self::Important,
            "\\junk" | "\\spam" => Self::Junk,
            "\\sent" => Self::Sent,
            "\\trash" => Self::Trash,
            _ => return None,
        })
    }

    /// The use a mailbox at the top level has by its name, in the languages of the usual
    /// programs. Only to be asked where the server tells of no mailbox for that use.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let table: [(Self, &[&str]); 5] = [
            (Self::Sent, SENT),
            (Self::Drafts, DRAFTS),
            (Self::Trash, TRASH),
            (Self::Junk, JUNK),
            (Self::Archive, ARCHIVE),
        ];
        table.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(role, _)| *role)
    }

    /// True for views of messages that are in other mailboxes as well.
    #[must_use]
    pub fn is_view(self) -> bool {
        matches!(self, Self::All | Self::Flagged | Self::Important)
    }
}

const SENT: &[&str] = &[
    "sent",
    "sent items",
    "sent messages",
    "sent mail",
    "sent-mail",
    "gesendet",
    "gesendete objekte",
    "gesendete elemente",
    "gesendete nachrichten",
    "envoyés",
    "éléments envoyés",
    "messages envoyés",
    "objets envoyés",
    "enviados",
    "elementos enviados",
    "mensajes enviados",
    "itens enviados",
    "mensagens enviadas",
    "posta inviata",
    "inviata",
    "inviati",
    "elementi inviati",
    "verzonden",
    "verzonden items",
    "verzonden berichten",
    "skickat",
    "skickade",
    "sendt",
    "sendt post",
    "sendte elementer",
    "lähetetyt",
    "wysłane",
    "elementy wysłane",
    "odeslané",
    "odeslaná pošta",
    "odoslané",
    "elküldött",
    "elküldött elemek",
    "trimise",
    "отправленные",
    "отправленные элементы",
    "надіслані",
    "изпратени",
    "gönderilmiş öğeler",
    "gönderilmiş",
    "gönderilenler",
    "απεσταλμένα",
    "送信済み",
    "送信済みアイテム",
    "送信済みメール",
    "已发送",
    "已发送邮件",
    "寄件備份",
    "보낸 편지함",
    "보낸편지함",
];

const DRAFTS: &[&str] = &[
    "drafts",
    "draft",
    "entwürfe",
    "entwurf",
    "brouillons",
    "borradores",
    "borrador",
    "rascunhos",
    "bozze",
    "concepten",
    "utkast",
    "kladder",
    "luonnokset",
    "kopie robocze",
    "wersje robocze",
    "szkice",
    "koncepty",
    "rozepsané",
    "piszkozatok",
    "ciorne",
    "черновики",
    "чернетки",
    "чернови",
    "taslaklar",
    "πρόχειρα",
    "下書き",
    "草稿",
    "草稿箱",
    "임시 보관함",
    "임시보관함",
];

const TRASH: &[&str] = &[
    "trash",
    "deleted",
    "deleted items",
    "deleted messages",
    "bin",
    "papierkorb",
    "gelöscht",
    "gelöschte objekte",
    "gelöschte elemente",
    "corbeille",
    "éléments supprimés",
    "messages supprimés",
    "papelera",
    "elementos eliminados",
    "lixeira",
    "lixo",
    "itens excluídos",
    "cestino",
    "posta eliminata",
    "elementi eliminati",
    "prullenbak",
    "verwijderde items",
    "papperskorgen",
    "borttaget",
    "papirkurv",
    "papirkurven",
    "slettede elementer",
    "slettet post",
    "roskakori",
    "poistetut",
    "kosz",
    "elementy usunięte",
    "koš",
    "odstraněná pošta",
    "kôš",
    "kuka",
    "törölt elemek",
    "coș de gunoi",
    "elemente șterse",
    "корзина",
    "удаленные",
    "удалённые",
    "удаленные элементы",
    "кошик",
    "кошче",
    "çöp kutusu",
    "silinmiş öğeler",
    "κάδος απορριμμάτων",
    "ゴミ箱",
    "ごみ箱",
    "削除済みアイテム",
    "已删除邮件",
    "已删除",
    "垃圾桶",
    "지운 편지함",
    "휴지통",
];

const JUNK: &[&str] = &[
    "junk",
    "junk e-mail",
    "junk email",
    "junk mail",
    "spam",
    "bulk mail",
    "spamverdacht",
    "unerwünscht",
    "unerwünschte werbung",
    "junk-e-mail",
    "indésirables",
    "courrier indésirable",
    "pourriel",
    "pourriels",
    "correo no deseado",
    "correo basura",
    "lixo eletrônico",
    "lixo eletrónico",
    "posta indesiderata",
    "ongewenst",
    "ongewenste e-mail",
    "ongewenste mail",
    "skräppost",
    "søppelpost",
    "uønsket mail",
    "uønsket e-post",
    "roskaposti",
    "wiadomości-śmieci",
    "nevyžádaná pošta",
    "nevyžiadaná pošta",
    "levélszemét",
    "нежелательная почта",
    "спам",
    "önemsiz e-posta",
    "gereksiz",
    "ανεπιθύμητα",
    "迷惑メール",
    "垃圾邮件",
    "垃圾郵件",
    "스팸",
    "정크 메일",
    "스팸 메일함",
];

const ARCHIVE: &[&str] = &[
    "archive",
    "archives",
    "archiv",
    "archivo",
    "archivos",
    "arquivo",
    "arquivo morto",
    "archivio",
    "archief",
    "arkiv",
    "arkisto",
    "archiwum",
    "archív",
    "archívum",
    "arhivă",
    "архив",
    "архів",
    "arşiv",
    "αρχείο",
    "アーカイブ",
    "存档",
    "归档",
    "封存",
    "보관",
    "보관함",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_both_kinds_and_names_of_many_languages() {
        assert_eq!(SpecialUse::of_attribute("\\SENT"), Some(SpecialUse::Sent));
        assert_eq!(SpecialUse::of_attribute("\\AllMail"), Some(SpecialUse::All));
        assert_eq!(SpecialUse::of_attribute("\\HasChildren"), None);
        for (name, role) in [
            ("Gesendete Objekte", SpecialUse::Sent),
            ("ENTWÜRFE", SpecialUse::Drafts),
            ("Corbeille", SpecialUse::Trash),
            ("Нежелательная почта", SpecialUse::Junk),
            ("Archivio", SpecialUse::Archive),
            ("送信済みアイテム", SpecialUse::Sent),
        ] {
            assert_eq!(SpecialUse::of_name(name), Some(role), "{name}");
        }
        assert_eq!(SpecialUse::of_name("Sentences"), None);
    }

    #[test]
    fn no_name_has_two_uses() {
        let all = [SENT, DRAFTS, TRASH, JUNK, ARCHIVE].concat();
        let mut one = all.clone();
        one.sort_unstable();
        one.dedup();
        assert_eq!(one.len(), all.len());
        assert!(all.iter().all(|name| name.to_lowercase() == **name));
    }
}
