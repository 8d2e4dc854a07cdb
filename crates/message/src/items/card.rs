//! One vCard. It must never know who the person is, and fetches no picture.

use super::line::{Line, digits, escaped, fold, logical, made_uid, too_large};
use super::old_card;
use super::{Edition, Item, ItemKind, Items};

/// The object of a card, of which these lines stand between BEGIN and END.
pub(super) fn read(number: u64, inside: &[Line], all: &mut Items) -> Option<Item> {
    if let Some(why) = too_large(inside) {
        all.fault(number, why);
        return None;
    }
    let version = inside.iter().find(|line| line.name() == "VERSION");
    let version = version.map(|line| line.value().trim().to_owned()).unwrap_or_default();
    let old = version.starts_with('2') || version.is_empty();
    // A card inside a card is an agent's, and stays as it is.
    let lines: Vec<Line> = if old {
        inside.iter().filter_map(old_card::converted).collect()
    } else {
        old_card::in_the_clear(inside).into_owned()
    };
    let find =
        |name: &str| lines.iter().find(|line| line.name() == name && !line.plain().is_empty());
    let plain = |name: &str| find(name).map(Line::plain);
    let address = plain("EMAIL");
    let called = plain("FN").or_else(|| find("N").map(name_of)).filter(|name| !name.is_empty());
    let organisation = || plain("ORG").map(|text| text.replace(';', " ").trim().to_owned());
    let title = called.or_else(organisation).or_else(|| address.clone());
    let Some(title) = title.filter(|title| !title.is_empty()) else {
        all.fault(number, "a card without any name");
        return None;
    };
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let uid = plain("UID");
    let uid = uid.map(|uid| uid.strip_prefix("urn:uuid:").unwrap_or(&uid).to_owned());
    let edition = plain("REV").map(|rev| digits(&rev)).unwrap_or_default();
    let mut body = String::from("BEGIN:VCARD\r\n");
    // 3.0 where it says anything else that is not 4.0.
    let version = if version.starts_with('4') { "4.0" } else { "3.0" };
    fold(&mut body, &format!("VERSION:{version}"));
    let made = uid.is_none().then(|| made_uid(&texts));
    if let Some(made) = &made {
        fold(&mut body, &format!("UID:{made}"));
    }
    if find("FN").is_none() {
        fold(&mut body, &format!("FN:{}", escaped(&title)));
    }
    lines
        .iter()
        .filter(|line| line.name() != "VERSION")
        .for_each(|line| fold(&mut body, &line.text));
    body.push_str("END:VCARD\r\n");
    // In the new form, and with what is made up, it may be more.
    let written = logical(&body);
    let inside = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
    if let Some(why) = too_large(inside) {
        all.fault(number, why);
        return None;
    }
    let uid = uid.or(made).unwrap_or_default();
    let edition = Edition { sequence: 0, changed: edition };
    let address = address.filter(|a| super::calendar::mail_address(a).is_some());
    Some(Item { line: number, kind: ItemKind::Contact, uid, title, address, edition, body })
}

/// `Joe Doe` of `Doe;Joe;;;`.
fn name_of(line: &Line) -> String {
    let text = line.value().replace("\\;", " ");
    let mut parts = text.split(';').map(str::trim);
    let (family, given) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{given} {family}").replace('\\', "").trim().to_owned()
}
