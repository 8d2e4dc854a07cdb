//! Who really sent a message: SPF, DKIM, DMARC and ARC checked when it arrives, our own signatures
//! when it leaves, and what others report about both.
//!
//! Everything that knows the library doing the cryptography stands here. It must never know a
//! protocol or where a message goes.

pub mod results;
