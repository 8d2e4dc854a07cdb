//! Every bound that a peer can push against, stated in one place with its unit.

/// Longest command line in octets with its CRLF: 512 of RFC 5321 section 4.5.3.1.4, with room
/// for the parameters of DSN (500 each), SIZE and SMTPUTF8.
pub const COMMAND_LINE: usize = 2_048;

/// Longest line of an AUTH command or of its dialogue, octets with CRLF (RFC 4954 section 4).
pub const AUTH_LINE: usize = 12_288;

/// A line longer than this, in octets, is not even skipped: the connection is closed.
pub const SKIPPED_LINE: usize = 65_536;

/// Octets of a refused message that are read and thrown away to reach its true end; a peer that
/// sends more is cut off.
pub const SKIPPED_CONTENT: u64 = 16 * 1024 * 1024;

/// Longest local part taken, in octets. RFC 5321 says 64; return paths that carry a coded
/// recipient are longer in practice.
pub const LOCAL_PART: usize = 256;

/// Longest domain or address literal, in octets (RFC 5321 section 4.5.3.1.2).
pub const DOMAIN: usize = 255;

/// Most hosts of a source route (RFC 5321 section 4.1.2, obsolete form).
pub const ROUTE_HOSTS: usize = 16;

/// Longest ENVID value, in octets before decoding (RFC 3461 section 4.4).
pub const ENVELOPE_ID: usize = 100;

/// Longest ORCPT value, in octets before decoding (RFC 3461 section 4.2).
pub const ORIGINAL_RECIPIENT: usize = 500;

/// Longest SOLICIT value, in octets (RFC 3865 section 2.5).
pub const SOLICITATION: usize = 1_000;

/// Most domains of one ATRN command (RFC 2645).
pub const ATRN_DOMAINS: usize = 100;

/// Default of the most messages taken over one connection; announced by LIMITS (RFC 9422).
pub const MESSAGES: u32 = 10_000;

/// Default of the longest time a message may be held (FUTURERELEASE), seconds.
pub const HOLD: u32 = 30 * 86_400;

/// Default of the shortest time in which a message can be given back as late (DELIVERBY), seconds.
pub const DELIVER_BY: u32 = 60;

/// Default of the largest message taken, in octets.
pub const MESSAGE: u64 = 64 * 1024 * 1024;

/// Default of the most recipients of one message.
pub const RECIPIENTS: usize = 1_000;

/// Default number of protocol errors (unknown commands, syntax, wrong order, failed
/// authentication) after which a connection is closed.
pub const ERRORS: u32 = 10;

/// Default number of refused recipients on one connection after which it is closed.
pub const REFUSED_RECIPIENTS: u32 = 200;

/// Recipients past [`RECIPIENTS`] that are put off with 452 on one connection before it is closed;
/// many, because a client may send its whole list before it reads an answer.
pub const SURPLUS_RECIPIENTS: u32 = 10_000;

/// Default number of commands that move no mail (NOOP, RSET, VRFY, HELP, EHLO …) taken in a row
/// without a message between them.
pub const IDLE_COMMANDS: u32 = 200;

/// Longest reply line taken from a remote server, in octets with CRLF (RFC 5321 says 512).
pub const REPLY_LINE: usize = 4_096;

/// Most lines of one reply taken from a remote server.
pub const REPLY_LINES: usize = 128;
