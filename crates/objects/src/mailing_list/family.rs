//! The addresses that belong to a list beside its own: `list-on`, `list-report`, `owner-list` …
//! (`reference/groups-forwarders-lists.md` section 3.2).

/// What a name of the family is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The list itself: postings.
    Post,
    /// The return path of what was distributed: failures come here.
    Report,
    /// Its owner, and requests to join, leave or change, which the owner sees.
    Owner,
}

/// Endings of names for the owner and for requests.
const TO_OWNER: [&str; 13] = [
    "admin",
    "owner",
    "request",
    "on",
    "subscribe",
    "feed",
    "digest",
    "index",
    "null",
    "off",
    "unsubscribe",
    "help",
    "confirm",
];

/// The list a name may belong to when there is no object of that name, and what for. Whether there
/// is such a list is not known here.
#[must_use]
pub fn split(name: &str) -> Option<(&str, Part)> {
    if let Some(list) = name.strip_prefix("owner-").filter(|list| !list.is_empty()) {
        return Some((list, Part::Owner));
    }
    // `list-confirm-ID` has the identifier behind it.
    let name = match name.rsplit_once("-confirm-") {
        Some((list, id)) if !id.is_empty() => return whole(list, Part::Owner),
        _ => name,
    };
    let (list, ending) = name.rsplit_once('-')?;
    match ending {
        "report" => whole(list, Part::Report),
        other if TO_OWNER.contains(&other) => whole(list, Part::Owner),
        _ => None,
    }
}

fn whole(list: &str, part: Part) -> Option<(&str, Part)> {
    (!list.is_empty()).then_some((list, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_of_a_list_is_recognised() {
        assert_eq!(split("news-report"), Some(("news", Part::Report)));
        assert_eq!(split("my-news-off"), Some(("my-news", Part::Owner)));
        assert_eq!(split("owner-news"), Some(("news", Part::Owner)));
        assert_eq!(split("news-confirm-12ab"), Some(("news", Part::Owner)));
        for other in ["news", "news-", "-report", "owner-", "john-smith", "report"] {
            assert_eq!(split(other), None, "{other}");
        }
    }
}
