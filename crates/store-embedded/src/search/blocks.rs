//! Blocks of postings: bodies ascending as differences, each with the mark of the word in it.
//! Must never know which word.

use angarium_message::search::Mark;
use angarium_store::BodyId;

/// Appends one body; `before` is the one before it, 0 at the beginning.
fn put(out: &mut Vec<u8>, before: u64, body: u64, mark: Mark) {
    let mut step = body.wrapping_sub(before);
    while step >= 0x80 {
        out.push(step as u8 | 0x80);
        step >>= 7;
    }
    out.push(step as u8);
    out.push(mark.0);
}

/// A block of these bodies.
pub(super) fn encode(list: &[(BodyId, Mark)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(list.len() * 3 + 8);
    let mut before = 0;
    for (body, mark) in list {
        put(&mut out, before, body.0, *mark);
        before = body.0;
    }
    out
}

/// The bodies of a block; ends where the block cannot be read.
pub(super) fn decode(block: &[u8]) -> impl Iterator<Item = (BodyId, Mark)> + '_ {
    let mut octets = block.iter();
    let mut before = 0u64;
    std::iter::from_fn(move || {
        let mut step = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = *octets.next()?;
            step |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                before = before.wrapping_add(step);
                return Some((BodyId(before), Mark(*octets.next()?)));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_as_it_was() {
        let list: Vec<(BodyId, Mark)> = [1, 2, 300, 1 << 48, (3 << 48) + 7]
            .into_iter()
            .map(|n| (BodyId(n), Mark((n % 64) as u8)))
            .collect();
        let block = encode(&list);
        assert_eq!(decode(&block).collect::<Vec<_>>(), list);
        for cut in 0..block.len() {
            assert!(decode(&block[..cut]).count() <= list.len());
        }
        assert!(decode(&[0xff; 100]).count() < 100);
    }
}
