//! Responses as trees: atoms, strings and lists, read tolerantly from one response's text and its
//! literals. What a tree means is decided in `response`.

use bytes::Bytes;

/// Deepest nesting of lists read; BODYSTRUCTURE of hostile mail nests, nothing else does.
pub const MAX_DEPTH: usize = 200;
/// Most nodes in one response.
pub const MAX_NODES: usize = 2_000_000;

/// One piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An atom, brackets with what is inside them included (`BODY[HEADER.FIELDS (TO)]`).
    Atom(Bytes),
    /// A quoted string, unescaped, or a literal.
    Text(Bytes),
    /// A list.
    List(Vec<Node>),
}

impl Node {
    /// The bytes of an atom or text.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Atom(b) | Self::Text(b) => Some(b),
            Self::List(_) => None,
        }
    }

    /// The text of an atom or text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.bytes().map(|b| String::from_utf8_lossy(b).into_owned())
    }

    /// The elements of a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Node]> {
        match self {
            Self::List(all) => Some(all),
            _ => None,
        }
    }

    /// The number an atom spells.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        std::str::from_utf8(self.bytes()?).ok()?.parse().ok()
    }

    /// True for the atom `word`, in any case.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Atom(b) if b.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// The parts of one response: its line with each literal cut out and put beside it. The line
/// holds `{n}` where the literal stood.
pub(super) struct Source<'a> {
    pub(super) line: &'a Bytes,
    pub(super) literals: &'a [Bytes],
}

/// Reads the nodes of a response's line from `start` to its end. Unbalanced closing parentheses
/// end the reading; an unbalanced opening one is closed at the end. Never fails: a server that
/// talks nonsense yields nonsense, in bounded work.
pub(super) fn read(source: &Source<'_>, start: usize) -> Vec<Node> {
    let mut reader = Reading { source, at: start, literal: 0, nodes: 0 };
    reader.list(0)
}

struct Reading<'a, 'b> {
    source: &'a Source<'b>,
    at: usize,
    literal: usize,
    nodes: usize,
}

impl Reading<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.source.line.get(self.at).copied()
    }

    fn list(&mut self, depth: usize) -> Vec<Node> {
        let mut all = Vec::new();
        while let Some(byte) = self.peek() {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                self.at = self.source.line.len();
                break;
            }
            match byte {
                b' ' | b'\r' | b'\n' | b'\t' => self.at += 1,
                b')' => {
                    self.at += 1;
                    break;
                }
                b'(' => {
                    self.at += 1;
                    if depth >= MAX_DEPTH {
                        self.at = self.source.line.len();
                        break;
                    }
                    let inner = self.list(depth + 1);
                    all.push(Node::List(inner));
                }
                b'"' => all.push(self.quoted()),
                b'{' => all.push(self.literal()),
                b'~' if self.source.line.get(self.at + 1) == Some(&b'{') => {
                    self.at += 1;
                    all.push(self.literal());
                }
                _ => all.push(self.atom()),
            }
        }
        all
    }

    fn quoted(&mut self) -> Node {
        let line = self.source.line;
        let begin = self.at + 1;
        let mut end = begin;
        let mut escaped = false;
        while let Some(&byte) = line.get(end) {
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        let end = end.min(line.len());
        self.at = (end + 1).min(line.len());
        if !escaped {
            return Node::Text(line.slice(begin.min(end)..end));
        }
        let mut text = Vec::with_capacity(end - begin);
        let mut bytes = line.get(begin..end).unwrap_or_default().iter();
        while let Some(&byte) = bytes.next() {
            if byte == b'\\' {
                text.extend(bytes.next());
            } else {
                text.push(byte);
            }
        }
        Node::Text(text.into())
    }

    fn literal(&mut self) -> Node {
        let rest = self.source.line.get(self.at..).unwrap_or_default();
        self.at += memchr::memchr(b'}', rest).map_or(rest.len(), |n| n + 1);
        let literal = self.source.literals.get(self.literal).cloned().unwrap_or_default();
        self.literal += 1;
        Node::Text(literal)
    }

    fn atom(&mut self) -> Node {
        let line = self.source.line;
        let begin = self.at;
        let mut brackets = 0_u32;
        while let Some(&byte) = line.get(self.at) {
            match byte {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b' ' | b'(' | b')' if brackets == 0 => break,
                b'\r' | b'\n' => break,
                _ => {}
            }
            self.at += 1;
        }
        Node::Atom(line.slice(begin..self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(line: &str, literals: &[&str]) -> Vec<Node> {
        let line = Bytes::copy_from_slice(line.as_bytes());
        let literals: Vec<Bytes> =
            literals.iter().map(|l| Bytes::copy_from_slice(l.as_bytes())).collect();
        read(&Source { line: &line, literals: &literals }, 0)
    }

    fn atom(text: &str) -> Node {
        Node::Atom(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn text(of: &str) -> Node {
        Node::Text(Bytes::copy_from_slice(of.as_bytes()))
    }

    #[test]
    fn lists_strings_and_literals_become_a_tree() {
        assert_eq!(
            nodes(r#"FETCH (UID 7 X "a \"b\" \\" {3} NIL)"#, &["l t"]),
            vec![
                atom("FETCH"),
                Node::List(vec![
                    atom("UID"),
                    atom("7"),
                    atom("X"),
                    text(r#"a "b" \"#),
                    text("l t"),
                    atom("NIL"),
                ]),
            ]
        );
    }

    #[test]
    fn brackets_keep_an_atom_together() {
        assert_eq!(
            nodes("(BODY[HEADER.FIELDS (TO CC)]<0> {1})", &["x"]),
            vec![Node::List(vec![atom("BODY[HEADER.FIELDS (TO CC)]<0>"), text("x")])]
        );
    }

    #[test]
    fn nonsense_is_read_in_bounded_work() {
        nodes("((((\"", &[]);
        nodes(")))", &[]);
        nodes("\"\\", &[]);
        nodes("{99", &[]);
        let deep = "(".repeat(100_000);
        nodes(&deep, &[]);
    }
}
