//! The hashes of LAN Manager and of Windows NT.

use md4::{Digest as _, Md4};

use super::{des_crypt, hexadecimal, same};

/// What LAN Manager enciphers.
const CONSTANT: u64 = u64::from_be_bytes(*b"KGS!@#$%");

/// The upper half of code page 850, which LAN Manager used.
const CODE_PAGE_850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}";

fn octet(character: char) -> Option<u8> {
    if character.is_ascii() {
        return u8::try_from(character).ok();
    }
    let at = CODE_PAGE_850.chars().position(|known| known == character)?;
    u8::try_from(at + 128).ok()
}

/// Fourteen characters in capitals, half by half the keys of two ciphers. `None` for a password
/// that the code page cannot write.
fn lan_manager_of(password: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(password).ok()?;
    let capital = |character: char| {
        let mut upper = character.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            // A letter without a capital of its own stays.
            _ => character,
        }
    };
    let mut octets = [0; 14];
    for (at, character) in text.chars().enumerate() {
        let written = octet(capital(character)).or_else(|| octet(character))?;
        if let Some(place) = octets.get_mut(at) {
            *place = written;
        }
    }
    let mut hash = [0; 16];
    for (half, out) in octets.chunks_exact(7).zip(hash.chunks_exact_mut(8)) {
        let seven = half.iter().fold(0_u64, |all, octet| all << 8 | u64::from(*octet));
        // Seven bits to an octet, the eighth is parity.
        let mut key = [0; 8];
        for (at, octet) in key.iter_mut().enumerate() {
            *octet = u8::try_from(seven >> (49 - 7 * at) & 127).unwrap_or(0) << 1;
        }
        out.copy_from_slice(&des_crypt::plain(key, CONSTANT).to_be_bytes());
    }
    Some(hash)
}

fn stored(text: &str) -> Option<Vec<u8>> {
    hexadecimal(text).filter(|hash| hash.len() == 16)
}

/// 32 hexadecimal digits.
pub(super) fn lan_manager(text: &str, password: &[u8]) -> bool {
    match (stored(text), lan_manager_of(password)) {
        (Some(hash), Some(found)) => same(&found, &hash),
        _ => false,
    }
}

/// 32 hexadecimal digits: MD4 over the password in UTF-16.
pub(super) fn nt_hash(text: &str, password: &[u8]) -> bool {
    let Ok(password) = std::str::from_utf8(password) else { return false };
    let wide: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    stored(text).is_some_and(|hash| same(&Md4::digest(&wide), &hash))
}
