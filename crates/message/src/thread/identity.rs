//! The identity of a thread that needs no storage: what the message at its root is called (RFC
//! 8474 section 5.2). It must never know other messages.

use std::fmt::Write as _;

/// Octets of the digest that are kept.
const KEPT: usize = 16;

/// The identity of the thread a message says it belongs to: made from the first of its
/// references, else from what it answers, else from its own identifier. It is the same in every
/// mailbox and never changes. `None` for a message that names nothing.
#[must_use]
pub fn thread_id(
    message_id: &str,
    in_reply_to: &str,
    first_reference: Option<&str>,
) -> Option<String> {
    let root = [first_reference.unwrap_or(""), in_reply_to, message_id]
        .into_iter()
        .find(|id| !id.is_empty())?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, root.as_bytes());
    let mut id = String::with_capacity(1 + 2 * KEPT);
    id.push('T');
    for byte in digest.as_ref().iter().take(KEPT) {
        let _ = write!(id, "{byte:02x}");
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::thread_id;

    #[test]
    fn a_thread_is_known_by_its_root() {
        let root = thread_id("root@x", "", None);
        assert_eq!(thread_id("reply@x", "root@x", None), root);
        assert_eq!(thread_id("deep@x", "reply@x", Some("root@x")), root);
        assert_ne!(thread_id("other@x", "", None), root);
        assert_eq!(thread_id("", "", None), None);
        // Clients keep it: the form must never change.
        assert_eq!(root.as_deref(), Some("T1ab2165f3893136409c0031bd63ed860"));
    }
}
