//! What a TLS session says of itself, taken out of it for logins: data to bind an exchange to
//! (RFC 9266), the certificate the client showed. It must never know who logs in.

use std::sync::Arc;

use angarium_accounts::Channel;
use angarium_accounts::login::channel::{EXPORTER_LABEL, EXPORTER_LENGTH};
use rustls::{ProtocolVersion, ServerConnection};

/// Reads a session whose handshake is done.
#[must_use]
pub fn channel_of(session: &ServerConnection) -> Arc<Channel> {
    // Before TLS 1.3 two sessions can be made to export the same (RFC 9266 section 4.1).
    let fit = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let exported = session.export_keying_material([0; EXPORTER_LENGTH], EXPORTER_LABEL, Some(b""));
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
    Arc::new(Channel::new(exported.ok().filter(|_| fit), chain))
}
