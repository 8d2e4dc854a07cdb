//! The primitive words records are spelled with: variable-length numbers, bytes, text, options
//! and dictionaries. Decoding never panics and never allocates more than the input can fill.
//! Must never know what a record means.

use angarium_objects::value::{Dictionary, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Nested dictionaries and arrays deeper than this are refused.
const MAX_DEPTH: u32 = 64;

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) type Decoded<T> = std::result::Result<T, Malformed>;

/// Appends words to a buffer.
#[derive(Default)]
pub(crate) struct Put {
    pub(crate) bytes: Vec<u8>,
}

impl Put {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn u8(&mut self, n: u8) {
        self.bytes.push(n);
    }

    /// LEB128.
    pub(crate) fn uint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    /// Zigzag.
    pub(crate) fn int(&mut self, n: i64) {
        self.uint(((n << 1) ^ (n >> 63)) as u64);
    }

    pub(crate) fn bool(&mut self, b: bool) {
        self.u8(u8::from(b));
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn list<T>(&mut self, all: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.uint(all.len() as u64);
        for one in all {
            each(self, one);
        }
    }

    /// Ascending or not, numbers as differences.
    pub(crate) fn deltas(&mut self, all: impl ExactSizeIterator<Item = u32>) {
        self.uint(all.len() as u64);
        let mut before = 0i64;
        for n in all {
            self.int(i64::from(n) - before);
            before = i64::from(n);
        }
    }

    pub(crate) fn dictionary(&mut self, pairs: &Dictionary) {
        self.uint(pairs.len() as u64);
        for (key, value) in pairs {
            self.text(key);
            self.value(value);
        }
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.u8(1);
                self.text(text);
            }
            Value::Data(bytes) => {
                self.u8(2);
                self.bytes(bytes);
            }
            Value::Number(n) => {
                self.u8(3);
                self.int(*n);
            }
            Value::Time(n) => {
                self.u8(4);
                self.int(*n);
            }
            Value::Ip(ip) => {
                self.u8(5);
                self.ip(*ip);
            }
            Value::Socket(address) => {
                self.u8(6);
                self.ip(address.ip());
                self.uint(u64::from(address.port()));
            }
            Value::Array(all) => {
                self.u8(7);
                self.list(all, Self::value);
            }
            Value::Dictionary(pairs) => {
                self.u8(8);
                self.dictionary(pairs);
            }
            Value::Null => self.u8(9),
            Value::Xml(text) => {
                self.u8(10);
                self.text(text);
            }
        }
    }

    fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(v4) => self.bytes(&v4.octets()),
            IpAddr::V6(v6) => self.bytes(&v6.octets()),
        }
    }
}

/// Takes words from a slice.
#[derive(Clone)]
pub(crate) struct Get<'a> {
    rest: &'a [u8],
}

impl<'a> Get<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn raw(&mut self, length: usize) -> Decoded<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn uint(&mut self) -> Decoded<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        u32::try_from(self.uint()?).map_err(|_| Malformed)
    }

    pub(crate) fn int(&mut self) -> Decoded<i64> {
        let n = self.uint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let length = self.length()?;
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> Decoded<String> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| Malformed)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        self.raw(N)?.try_into().map_err(|_| Malformed)
    }

    /// A count that the rest of the input could fill at one byte each.
    fn length(&mut self) -> Decoded<usize> {
        let n = usize::try_from(self.uint()?).map_err(|_| Malformed)?;
        if n > self.rest.len() { Err(Malformed) } else { Ok(n) }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        let length = self.length()?;
        let mut all = Vec::with_capacity(length.min(4096));
        for _ in 0..length {
            all.push(each(self)?);
        }
        Ok(all)
    }

    pub(crate) fn deltas(&mut self) -> Decoded<Vec<u32>> {
        let mut before = 0i64;
        self.list(|get| {
            before = before.checked_add(get.int()?).ok_or(Malformed)?;
            u32::try_from(before).map_err(|_| Malformed)
        })
    }

    pub(crate) fn dictionary(&mut self) -> Decoded<Dictionary> {
        self.dictionary_at(0)
    }

    fn dictionary_at(&mut self, depth: u32) -> Decoded<Dictionary> {
        let length = self.length()?;
        let mut pairs = Dictionary::new();
        for _ in 0..length {
            let key = self.text()?;
            let value = self.value_at(depth + 1)?;
            pairs.insert(key, value);
        }
        Ok(pairs)
    }

    fn value_at(&mut self, depth: u32) -> Decoded<Value> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        Ok(match self.u8()? {
            1 => Value::String(self.text()?),
            2 => Value::Data(self.bytes()?.to_vec()),
            3 => Value::Number(self.int()?),
            4 => Value::Time(self.int()?),
            5 => Value::Ip(self.ip()?),
            6 => {
                let ip = self.ip()?;
                let port = u16::try_from(self.uint()?).map_err(|_| Malformed)?;
                Value::Socket(SocketAddr::new(ip, port))
            }
            7 => Value::Array(self.list(|get| get.value_at(depth + 1))?),
            8 => Value::Dictionary(self.dictionary_at(depth)?),
            9 => Value::Null,
            10 => Value::Xml(self.text()?),
            _ => return Err(Malformed),
        })
    }

    fn ip(&mut self) -> Decoded<IpAddr> {
        let bytes = self.bytes()?;
        if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
            return Ok(Ipv4Addr::from(v4).into());
        }
        let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| Malformed)?;
        Ok(Ipv6Addr::from(v6).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            ".{0,8}".prop_map(Value::String),
            any::<Vec<u8>>().prop_map(Value::Data),
            any::<i64>().prop_map(Value::Number),
            any::<i64>().prop_map(Value::Time),
            any::<IpAddr>().prop_map(Value::Ip),
            (any::<IpAddr>(), any::<u16>()).prop_map(|(a, p)| Value::Socket(SocketAddr::new(a, p))),
            Just(Value::Null),
            ".{0,8}".prop_map(Value::Xml),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(Value::Dictionary),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_dictionary_comes_back_as_it_was(pairs in prop::collection::btree_map(".{0,4}", values(), 0..5)) {
            let mut put = Put::new();
            put.dictionary(&pairs);
            let mut get = Get::new(&put.bytes);
            prop_assert_eq!(get.dictionary(), Ok(pairs));
            prop_assert!(get.is_empty());
        }

        #[test]
        fn numbers_come_back_as_they_were(a in any::<u64>(), b in any::<i64>(), c in any::<Vec<u32>>()) {
            let mut put = Put::new();
            put.uint(a);
            put.int(b);
            put.deltas(c.iter().copied());
            let mut get = Get::new(&put.bytes);
            prop_assert_eq!(get.uint(), Ok(a));
            prop_assert_eq!(get.int(), Ok(b));
            prop_assert_eq!(get.deltas(), Ok(c));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = Get::new(&bytes).dictionary();
            let _ = Get::new(&bytes).deltas();
        }
    }
}
