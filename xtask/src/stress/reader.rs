//! The client's own small reader of what an IMAP server says: one whole response in, its meaning
//! out. Made without a look at the server's crates on purpose, so that a mistake there is not
//! made twice. It must never know the commands that were sent.

/// A value inside a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// NIL.
    Nil,
    /// An atom, a quoted string or a literal.
    Text(Vec<u8>),
    /// What stands between parentheses.
    List(Vec<Node>),
}

impl Node {
    /// Its text, for anything but a list.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil => "NIL".to_owned(),
            Self::List(_) => String::new(),
        }
    }

    /// Its octets, for text.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Its members, for a list.
    pub(super) fn members(&self) -> &[Self] {
        match self {
            Self::List(members) => members,
            _ => &[],
        }
    }
}

/// How a command ended, or what kind of remark it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// OK
    Ok,
    /// NO
    No,
    /// BAD
    Bad,
    /// BYE
    Bye,
    /// PREAUTH
    PreAuth,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// `+ …`
    Continue,
    /// The end of a command.
    Tagged { tag: String, condition: Condition, code: Vec<String>, text: String },
    /// `* OK`, `* NO` … with the words of its response code.
    Remark { condition: Condition, code: Vec<String>, text: String },
    /// `* n EXISTS`
    Exists(usize),
    /// `* n EXPUNGE`
    Expunge(usize),
    /// `* VANISHED`
    Vanished { earlier: bool, uids: Vec<u32> },
    /// `* n FETCH`
    Fetch { sequence: usize, items: Vec<(String, Node)> },
    /// `* SEARCH`
    Search(Vec<u32>),
    /// `* ESEARCH`: the tag, whether UIDs, the items.
    Esearch { tag: String, uid: bool, items: Vec<(String, String)> },
    /// `* STATUS`: the items.
    Status(Vec<(String, u64)>),
    /// `* CAPABILITY`
    Capability(Vec<String>),
    /// Anything else.
    Other,
}

/// Most numbers a set may name before it is called nonsense.
const MOST_IN_A_SET: u32 = 1_000_000;

/// The numbers of a set, in its order; `None` for nonsense.
pub(super) fn numbers(set: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first.abs_diff(last) > MOST_IN_A_SET {
            return None;
        }
        all.extend(first.min(last)..=first.max(last));
    }
    Some(all)
}

/// Reads one whole response with its line end and its literals; `None` for nonsense.
pub(super) fn response(bytes: &[u8]) -> Option<Response> {
    let bytes = bytes.strip_suffix(b"\r\n")?;
    if bytes.starts_with(b"+") {
        return Some(Response::Continue);
    }
    let mut cursor = Cursor { bytes, at: 0 };
    let tag = cursor.word();
    if tag.is_empty() {
        return None;
    }
    cursor.space()?;
    if tag != "*" {
        let (condition, code, text) = cursor.condition()?;
        return Some(Response::Tagged { tag, condition, code, text });
    }
    let start = cursor.at;
    let word = cursor.word().to_ascii_uppercase();
    if let Ok(number) = word.parse::<usize>() {
        cursor.space()?;
        return match cursor.word().to_ascii_uppercase().as_str() {
            "EXISTS" => Some(Response::Exists(number)),
            "EXPUNGE" => Some(Response::Expunge(number)),
            "FETCH" => {
                cursor.space()?;
                let Node::List(list) = cursor.node()? else { return None };
                let mut items = Vec::new();
                for pair in list.chunks(2) {
                    let [name, value] = pair else { return None };
                    items.push((name.text().to_ascii_uppercase(), value.clone()));
                }
                Some(Response::Fetch { sequence: number, items })
            }
            "RECENT" => Some(Response::Other),
            _ => None,
        };
    }
    match word.as_str() {
        "OK" | "NO" | "BAD" | "BYE" | "PREAUTH" => {
            cursor.at = start;
            let (condition, code, text) = cursor.condition()?;
            Some(Response::Remark { condition, code, text })
        }
        "CAPABILITY" => Some(Response::Capability(
            cursor.rest().split_whitespace().map(str::to_owned).collect(),
        )),
        "SEARCH" => {
            let rest = cursor.rest();
            // `(MODSEQ n)` may follow.
            let plain = rest.split('(').next().unwrap_or_default();
            let found: Result<Vec<u32>, _> = plain.split_whitespace().map(str::parse).collect();
            Some(Response::Search(found.ok()?))
        }
        "VANISHED" => {
            let rest = cursor.rest();
            let rest = rest.trim();
            let (earlier, set) = match rest.strip_prefix("(EARLIER) ") {
                Some(set) => (true, set),
                None => (false, rest),
            };
            Some(Response::Vanished { earlier, uids: numbers(set)? })
        }
        "ESEARCH" => cursor.esearch(),
        "STATUS" => cursor.status(),
        _ => Some(Response::Other),
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) -> Option<()> {
        (self.peek()? == b' ').then(|| self.at += 1)
    }

    /// Octets up to a space or the end.
    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|b| b != b' ') {
            self.at += 1;
        }
        String::from_utf8_lossy(self.bytes.get(start..self.at).unwrap_or_default()).into_owned()
    }

    fn rest(&mut self) -> String {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        String::from_utf8_lossy(rest).into_owned()
    }

    fn condition(&mut self) -> Option<(Condition, Vec<String>, String)> {
        let condition = match self.word().to_ascii_uppercase().as_str() {
            "OK" => Condition::Ok,
            "NO" => Condition::No,
            "BAD" => Condition::Bad,
            "BYE" => Condition::Bye,
            "PREAUTH" => Condition::PreAuth,
            _ => return None,
        };
        let rest = self.rest();
        let rest = rest.trim_start();
        let mut code = Vec::new();
        if let Some(inner) = rest.strip_prefix('[') {
            let (words, _) = inner.split_once(']')?;
            code = words.split_whitespace().map(str::to_owned).collect();
            if let Some(first) = code.first_mut() {
                first.make_ascii_uppercase();
            }
        }
        Some((condition, code, rest.to_owned()))
    }

    fn esearch(&mut self) -> Option<Response> {
        let (mut tag, mut uid, mut items) = (String::new(), false, Vec::new());
        while self.space().is_some() {
            match self.node()? {
                Node::List(correlator) => tag = correlator.get(1)?.text(),
                name => {
                    let name = name.text().to_ascii_uppercase();
                    if name == "UID" {
                        uid = true;
                        continue;
                    }
                    self.space()?;
                    items.push((name, self.node()?.text()));
                }
            }
        }
        Some(Response::Esearch { tag, uid, items })
    }

    fn status(&mut self) -> Option<Response> {
        self.space()?;
        self.node()?;
        self.space()?;
        let Node::List(list) = self.node()? else { return None };
        let pairs = list.chunks(2).filter_map(|pair| {
            Some((pair.first()?.text().to_ascii_uppercase(), pair.get(1)?.text().parse().ok()?))
        });
        Some(Response::Status(pairs.collect()))
    }

    fn node(&mut self) -> Option<Node> {
        match self.peek()? {
            b'(' => {
                self.at += 1;
                let mut members = Vec::new();
                loop {
                    match self.peek()? {
                        b')' => {
                            self.at += 1;
                            return Some(Node::List(members));
                        }
                        b' ' => self.at += 1,
                        _ => members.push(self.node()?),
                    }
                }
            }
            b'"' => self.quoted(),
            b'{' => self.literal(),
            b'~' if self.bytes.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.literal()
            }
            _ => self.atom(),
        }
    }

    fn quoted(&mut self) -> Option<Node> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(Node::Text(text)),
                b'\\' => {
                    text.push(self.peek()?);
                    self.at += 1;
                }
                other => text.push(other),
            }
        }
    }

    fn literal(&mut self) -> Option<Node> {
        let rest = self.bytes.get(self.at + 1..)?;
        let close = rest.iter().position(|b| *b == b'}')?;
        let length: usize = std::str::from_utf8(rest.get(..close)?).ok()?.parse().ok()?;
        let start = self.at + 1 + close + 3;
        let text = self.bytes.get(start..start.checked_add(length)?)?.to_vec();
        self.at = start + length;
        Some(Node::Text(text))
    }

    /// An atom; spaces and parentheses between brackets belong to it.
    fn atom(&mut self) -> Option<Node> {
        let start = self.at;
        let mut brackets = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b' ' | b'(' | b')' if brackets == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        let text = self.bytes.get(start..self.at).filter(|text| !text.is_empty())?;
        if text.eq_ignore_ascii_case(b"NIL") {
            return Some(Node::Nil);
        }
        Some(Node::Text(text.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_are_meant() {
        assert_eq!(response(b"* 3 EXISTS\r\n"), Some(Response::Exists(3)));
        assert_eq!(
            response(b"* VANISHED (EARLIER) 1:3,9\r\n"),
            Some(Response::Vanished { earlier: true, uids: vec![1, 2, 3, 9] })
        );
        assert_eq!(response(b"* SEARCH 2 4 (MODSEQ 7)\r\n"), Some(Response::Search(vec![2, 4])));
        assert_eq!(
            response(b"* ESEARCH (TAG \"a1\") UID COUNT 2 ALL 4,7\r\n"),
            Some(Response::Esearch {
                tag: "a1".to_owned(),
                uid: true,
                items: vec![("COUNT".into(), "2".into()), ("ALL".into(), "4,7".into())],
            })
        );
        let Some(Response::Tagged { tag, condition, code, .. }) =
            response(b"a1 OK [COPYUID 7 1:2 8:9] done\r\n")
        else {
            panic!("it is tagged");
        };
        assert_eq!((tag.as_str(), condition), ("a1", Condition::Ok));
        assert_eq!(code, ["COPYUID", "7", "1:2", "8:9"]);
        assert_eq!(response(b"* 3 FETCH (FLAGS\r\n"), None);
        assert_eq!(response(b"* 3 NONSENSE\r\n"), None);
    }

    #[test]
    fn literals_and_brackets_stand_in_a_fetch() {
        let bytes =
            b"* 2 FETCH (BODY[HEADER.FIELDS (X-A)] {4}\r\na)\r\n FLAGS (\\Seen k) UID 9)\r\n";
        let Some(Response::Fetch { sequence, items }) = response(bytes) else {
            panic!("it is a FETCH");
        };
        assert_eq!(sequence, 2);
        assert_eq!(items[0].0, "BODY[HEADER.FIELDS (X-A)]");
        assert_eq!(items[0].1.bytes(), Some(&b"a)\r\n"[..]));
        assert_eq!(items[1].1.members().len(), 2);
        assert_eq!(items[2].1.text(), "9");
    }
}
