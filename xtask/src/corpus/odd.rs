//! Odd mail as it is found in old accounts: no header, broken header, wrong dates, boundaries
//! that never come. All of it with CRLF line ends and without NUL, so that it survives any
//! store.
//!
//! It must never make mail that a server may rightly refuse or change.

use super::messages::Recipe;

/// A way to be odd.
pub(crate) type Kind = fn(&mut Recipe<'_>) -> Vec<u8>;

/// All ways, one of which is drawn for each odd message. Equal copies are made elsewhere.
pub(crate) const KINDS: [Kind; 18] = [
    no_header,
    empty_line_first,
    header_only,
    no_final_line_end,
    raw_8bit_header,
    broken_header,
    odd_folds,
    no_identifier,
    same_identifier,
    no_date,
    bad_date,
    long_lines,
    huge_header,
    unclosed_boundary,
    boundary_prefix,
    deep_nesting,
    looks_like_mbox,
    wrong_types,
];

fn text(recipe: &mut Recipe<'_>) -> Vec<u8> {
    recipe.tongue.text(recipe.random, 900).into_bytes()
}

/// A header with one more field, an empty line and a body.
fn with_field(recipe: &mut Recipe<'_>, field: &[u8]) -> Vec<u8> {
    let mut message = recipe.head().into_bytes();
    message.extend_from_slice(field);
    message.extend_from_slice(b"\r\n");
    message.extend(text(recipe));
    message
}

/// A message without the fields of this name.
fn without(recipe: &mut Recipe<'_>, name: &str, instead: &str) -> Vec<u8> {
    let head = recipe.head();
    let mut message = String::new();
    let mut dropping = false;
    for line in head.split_inclusive("\r\n") {
        if !line.starts_with([' ', '\t']) {
            dropping = line.starts_with(name);
        }
        if !dropping {
            message.push_str(line);
        }
    }
    message.push_str(instead);
    message.push_str("\r\n");
    let mut message = message.into_bytes();
    message.extend(text(recipe));
    message
}

fn no_header(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let body = recipe.tongue.text(recipe.random, 400);
    format!("just a note, saved once\r\nwithout anything in front\r\n\r\n{body}").into_bytes()
}

fn empty_line_first(recipe: &mut Recipe<'_>) -> Vec<u8> {
    [b"\r\n".to_vec(), text(recipe)].concat()
}

fn header_only(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut message = recipe.head().into_bytes();
    if recipe.random.percent(50) {
        message.extend_from_slice(b"\r\n");
    }
    message
}

fn no_final_line_end(recipe: &mut Recipe<'_>) -> Vec<u8> {
    with_field(recipe, b"X-Odd: 1\r\n").strip_suffix(b"\r\n").unwrap_or_default().to_vec()
}

fn raw_8bit_header(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let field: &[u8] = if recipe.random.percent(50) {
        "X-Comment: d\u{e9}j\u{e0} vu \u{2013} \u{7533}\r\n".as_bytes()
    } else {
        b"X-Comment: Gr\xfc\xdfe aus K\xf6ln\r\n"
    };
    without_subject(recipe, field)
}

fn without_subject(recipe: &mut Recipe<'_>, field: &[u8]) -> Vec<u8> {
    let message = without(recipe, "Subject:", "");
    [field, b"Subject: ", field.get(11..).unwrap_or_default(), &message].concat()
}

fn broken_header(recipe: &mut Recipe<'_>) -> Vec<u8> {
    with_field(
        recipe,
        b"this line has no colon\r\nX-Space : before the colon\r\n: no name\r\nX-Empty:\r\n\
          X Words In Name: x\r\nTo: <broken@@example.com, \"unclosed <x@example.org>\r\n",
    )
}

fn odd_folds(recipe: &mut Recipe<'_>) -> Vec<u8> {
    with_field(
        recipe,
        b"X-Folded:\r\n\tfirst\r\n \r\n  second after a blank fold\r\n\t\tthird\r\n\
          Comments: a\r\n b\r\n c\r\n",
    )
}

fn no_identifier(recipe: &mut Recipe<'_>) -> Vec<u8> {
    without(recipe, "Message-ID:", "")
}

fn same_identifier(recipe: &mut Recipe<'_>) -> Vec<u8> {
    recipe.id = "<same@example.com>".to_owned();
    with_field(recipe, b"")
}

fn no_date(recipe: &mut Recipe<'_>) -> Vec<u8> {
    without(recipe, "Date:", "")
}

fn bad_date(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let date = recipe.random.pick(&[
        "Date: yesterday\r\n",
        "Date: 31 Feb 2021 25:61:00 +9999\r\n",
        "Date: Mon, 1 Jan 70 00:00:00\r\n",
        "Date: 2021-05-06T07:08:09Z\r\n",
        "Date:\r\n",
    ]);
    without(recipe, "Date:", date)
}

fn long_lines(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let length = recipe.random.between(1_000, 9_000);
    let field = format!("X-Long: {}\r\n", "x".repeat(length));
    let mut message = with_field(recipe, field.as_bytes());
    message.extend("word ".repeat(length / 5).into_bytes());
    message.extend_from_slice(b"\r\n.\r\n..\r\n");
    message
}

fn huge_header(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut fields = String::new();
    for number in 0..recipe.random.between(100, 400) {
        fields += &format!("Received: from hop{number}.example.net\r\n\tby next; x\r\n");
    }
    let addresses: Vec<String> = (0..200).map(|n| format!("user{n}@example.org")).collect();
    fields += &format!("Bcc: {}\r\n", addresses.join(",\r\n\t"));
    with_field(recipe, fields.as_bytes())
}

fn unclosed_boundary(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut message =
        with_field(recipe, b"Content-Type: multipart/mixed; boundary=\"never closed\"\r\n");
    message.extend_from_slice(b"--never closed\r\nContent-Type: text/plain\r\n\r\nfirst\r\n");
    message.extend_from_slice(b"--never closed\r\n\r\n");
    message.extend(text(recipe));
    message
}

fn boundary_prefix(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut message = with_field(recipe, b"Content-Type: multipart/mixed; boundary=b\r\n");
    message.extend_from_slice(
        b"--b\r\nContent-Type: multipart/alternative; boundary=b1\r\n\r\n--b1\r\n\r\none\r\n\
          --b1\r\nContent-Type: text/html\r\n\r\n<p>two</p>\r\n--b1--\r\n\r\n--b--\r\nafterwards\r\n",
    );
    message
}

fn deep_nesting(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut message = recipe.head().into_bytes();
    let depth = recipe.random.between(5, 40);
    for level in 0..depth {
        message.extend(
            format!(
                "Content-Type: multipart/mixed; boundary=level-{level}-\r\n\r\n--level-{level}-\r\n"
            )
            .into_bytes(),
        );
    }
    message.extend_from_slice(b"\r\n");
    message.extend(text(recipe));
    for level in (0..depth).rev() {
        message.extend(format!("--level-{level}---\r\n").into_bytes());
    }
    message
}

fn looks_like_mbox(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut message = with_field(recipe, b"X-Mozilla-Status: 0001\r\nContent-Length: 3\r\n");
    message.extend_from_slice(
        b"\r\nFrom someone@example.com Mon Jan  1 00:00:00 2024\r\n>From quoted\r\n\r\nFrom: no\r\n",
    );
    message
}

fn wrong_types(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let field = recipe.random.pick(&[
        "Content-Type: text\r\n",
        "Content-Type: multipart/mixed\r\n",
        "Content-Type: text/plain; charset=\"no-such-charset\r\n",
        "Content-Type: ;;;\r\nContent-Transfer-Encoding: x-none\r\n",
        "Content-Type: text/html; charset=utf-7\r\nContent-Transfer-Encoding: base64 (x)\r\n",
    ]);
    with_field(recipe, field.as_bytes())
}
