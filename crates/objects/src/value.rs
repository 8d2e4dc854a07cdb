//! The objects of the textual format (`reference/data-format.md`): what settings, CLI parameters
//! and answers are made of. Parsing and printing are in the sibling modules.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A dictionary; keys sorted in byte order, which is the order it is printed in.
pub type Dictionary = BTreeMap<String, Value>;

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string (atom or quoted); no zero byte.
    String(String),
    /// A datablock.
    Data(Vec<u8>),
    /// A number.
    Number(i64),
    /// A time stamp, seconds since 1970 GMT; `i64::MIN` and `i64::MAX` are the remote past and
    /// future.
    Time(i64),
    /// An address.
    Ip(IpAddr),
    /// An address with a port.
    Socket(SocketAddr),
    /// An array.
    Array(Vec<Value>),
    /// A dictionary.
    Dictionary(Dictionary),
    /// The null object.
    Null,
    /// An XML object, kept as its text.
    Xml(String),
}

impl Eq for Value {}

impl Value {
    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is a number or a string of decimal digits with an optional sign
    /// (settings spell numbers both ways).
    #[must_use]
    pub fn as_number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(all) => Some(all),
            _ => None,
        }
    }

    /// The pairs, if this is a dictionary.
    #[must_use]
    pub fn as_dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Dictionary(pairs) => Some(pairs),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}
