//! DES as crypt(3) has it: with a salt that swaps bits of the expansion, many times over; also
//! BSDI's longer form and the bare cipher for the hash of LAN Manager.

use super::{ALPHABET, MAX_ROUNDS, same, value};

const IP: [u8; 64] = [
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6,
    64, 56, 48, 40, 32, 24, 16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61,
    53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];
const FP: [u8; 64] = [
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30,
    37, 5, 45, 13, 53, 21, 61, 29, 36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27,
    34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
];
const P: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19,
    13, 30, 6, 22, 11, 4, 25,
];
const PC1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60,
    52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29,
    21, 13, 5, 28, 20, 12, 4,
];
const PC2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52,
    31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const SHIFTS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
const S: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12,
        11, 9, 5, 3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9,
        1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1,
        10, 6, 9, 11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15,
        4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5,
        14, 12, 11, 15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6,
        9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2,
        12, 1, 10, 14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1,
        13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15,
        10, 3, 9, 8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14,
        2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13,
        14, 0, 11, 3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5,
        15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5,
        12, 2, 15, 8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4,
        10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6,
        11, 0, 14, 9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10,
        8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
    ],
];

/// Bits of a number of `width` bits, counted from 1 at its high end, put in a new order.
fn permute(input: u64, width: u32, order: &[u8]) -> u64 {
    order.iter().fold(0, |out, bit| (out << 1) | ((input >> (width - u32::from(*bit))) & 1))
}

/// The S-boxes with the permutation behind them, by group and its six bits.
struct Boxes([[u32; 64]; 8]);

impl Boxes {
    fn new() -> Self {
        let mut all = [[0; 64]; 8];
        for (group, (out, table)) in all.iter_mut().zip(&S).enumerate() {
            for (six, out) in out.iter_mut().enumerate() {
                let (row, column) = ((six >> 4) & 2 | six & 1, (six >> 1) & 15);
                let four = u64::from(table[row * 16 + column]);
                // Four bits at their place among the 32.
                let placed = four << (28 - 4 * group);
                *out = u32::try_from(permute(placed, 32, &P)).unwrap_or(0);
            }
        }
        Self(all)
    }
}

/// A cipher with its key and the bits that the salt swaps.
struct Des {
    keys: [u64; 16],
    boxes: Boxes,
}

impl Des {
    fn new(key: [u8; 8]) -> Self {
        let chosen = permute(u64::from_be_bytes(key), 64, &PC1);
        let (mut c, mut d) = (chosen >> 28, chosen & 0x0FFF_FFFF);
        let turn = |half: u64, by: u32| ((half << by) | (half >> (28 - by))) & 0x0FFF_FFFF;
        let keys = SHIFTS.map(|by| {
            (c, d) = (turn(c, by), turn(d, by));
            permute(c << 28 | d, 56, &PC2)
        });
        Self { keys, boxes: Boxes::new() }
    }

    /// Enciphers a block `count` times; `salt` swaps bits of the two halves of the expansion, its
    /// lowest bit the first of each.
    fn encrypt(&self, block: u64, salt: u32, count: u32) -> u64 {
        let mask = u64::from(salt.reverse_bits() >> 8);
        let start = permute(block, 64, &IP);
        let (mut left, mut right) = (start >> 32, start & 0xFFFF_FFFF);
        for _ in 0..count {
            for key in &self.keys {
                let next = left ^ self.round(right, *key, mask);
                (left, right) = (right, next);
            }
            (left, right) = (right, left);
        }
        permute(left << 32 | right, 64, &FP)
    }

    fn round(&self, right: u64, key: u64, mask: u64) -> u64 {
        // The 32 bits with their last in front and their first behind.
        let wide = (right & 1) << 33 | right << 1 | right >> 31;
        let expanded = (0..8).fold(0, |out, group| out << 6 | ((wide >> (28 - 4 * group)) & 63));
        let swapped = (expanded >> 24 ^ expanded) & mask;
        let mixed = expanded ^ (swapped << 24 | swapped) ^ key;
        let groups = self.boxes.0.iter().zip(0..8_u32);
        groups.fold(0, |out, (table, group)| {
            let six = usize::try_from((mixed >> (42 - 6 * group)) & 63).unwrap_or(0);
            out | u64::from(table[six])
        })
    }
}

/// Enciphers a block once, as FIPS 46 says; the eighth bit of each octet of the key does not count.
pub(super) fn plain(key: [u8; 8], block: u64) -> u64 {
    Des::new(key).encrypt(block, 0, 1)
}

/// Up to eight characters of seven bits as a key.
fn key_of(password: &[u8]) -> [u8; 8] {
    let mut key = [0; 8];
    for (out, octet) in key.iter_mut().zip(password.iter().take_while(|b| **b != 0)) {
        *out = octet << 1;
    }
    key
}

/// The eleven characters of a block.
fn characters(block: u64) -> [u8; 11] {
    let wide = u128::from(block) << 2;
    let mut out = [b'.'; 11];
    for (at, out) in out.iter_mut().enumerate() {
        let six = usize::try_from(wide >> (60 - 6 * at) & 63).unwrap_or(0);
        *out = ALPHABET[six];
    }
    out
}

fn number(text: &[u8]) -> Option<u32> {
    text.iter().rev().try_fold(0, |all, character| Some(all << 6 | value(*character)?))
}

/// Two characters of salt and eleven of hash.
pub(super) fn verify(text: &str, password: &[u8]) -> bool {
    let Some((salt, hash)) = text.as_bytes().split_at_checked(2) else { return false };
    let Some(salt) = number(salt) else { return false };
    same(&characters(Des::new(key_of(password)).encrypt(0, salt, 25)), hash)
}

/// `_`, four characters of count, four of salt, eleven of hash; passwords of any length.
pub(super) fn verify_extended(text: &str, password: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix('_').map(str::as_bytes) else { return false };
    let Some((count, rest)) = rest.split_at_checked(4) else { return false };
    let Some((salt, hash)) = rest.split_at_checked(4) else { return false };
    let (Some(count), Some(salt)) = (number(count), number(salt)) else { return false };
    if count > MAX_ROUNDS {
        return false;
    }
    let mut pieces = password.chunks(8);
    let mut key = key_of(pieces.next().unwrap_or_default());
    for piece in pieces {
        let turned = plain(key, u64::from_be_bytes(key));
        key = (turned ^ u64::from_be_bytes(key_of(piece))).to_be_bytes();
    }
    same(&characters(Des::new(key).encrypt(0, salt, count)), hash)
}
