//! THREAD answers (RFC 5256 section 4).

use super::text::number;

/// `* THREAD (2)(3 6 (4 23)(44 7 96))`
///
/// Every thread comes whole, one behind the other: a message (or `None` where one is missing)
/// before its children, with how many children it has. Without recursion, so that no thread is
/// too deep.
pub fn thread(out: &mut Vec<u8>, placed: impl IntoIterator<Item = (Option<u32>, u32)>) {
    out.extend_from_slice(b"* THREAD");
    // Children to come of each message that has several and is not closed.
    let mut open: Vec<u32> = Vec::new();
    let mut in_chain = false;
    let mut first = true;
    for (message, children) in placed {
        if std::mem::take(&mut first) {
            out.push(b' ');
        }
        if !in_chain {
            out.push(b'(');
        }
        if let Some(message) = message {
            if in_chain {
                out.push(b' ');
            }
            number(out, u64::from(message));
        }
        in_chain = children == 1 && message.is_some();
        match children {
            0 => {
                out.push(b')');
                while let Some(left) = open.last_mut() {
                    *left = left.saturating_sub(1);
                    if *left > 0 {
                        break;
                    }
                    open.pop();
                    out.push(b')');
                }
            }
            1 if in_chain => {}
            _ => {
                if message.is_some() {
                    out.push(b' ');
                }
                open.push(children);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::thread;

    fn written(placed: &[(Option<u32>, u32)]) -> String {
        let mut out = Vec::new();
        thread(&mut out, placed.iter().copied());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn threads_look_as_in_the_examples_of_the_rfc() {
        let m = |n, children| (Some(n), children);
        assert_eq!(written(&[]), "* THREAD\r\n");
        assert_eq!(
            written(&[m(2, 0), m(3, 1), m(6, 2), m(4, 1), m(23, 0), m(44, 1), m(7, 1), m(96, 0)]),
            "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
        );
        assert_eq!(written(&[(None, 2), m(3, 0), m(5, 0)]), "* THREAD ((3)(5))\r\n");
        assert_eq!(
            written(&[(None, 2), m(3, 2), m(4, 0), m(5, 1), m(6, 0), m(7, 0), m(8, 0)]),
            "* THREAD ((3 (4)(5 6))(7))(8)\r\n"
        );
    }
}
