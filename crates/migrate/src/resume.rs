//! Digests of the content of messages, for whatever has to tell messages apart for certain.

use tokio::sync::mpsc;

use crate::error::Result;
use crate::session::Session;
use crate::source::{self, FetchStyle, Meta, Piece};

/// The content digests of messages, with their indexes; messages that cannot be read are left out.
pub(crate) async fn digests(
    session: &mut Session,
    metas: &[Meta],
) -> Result<Vec<(usize, blake3::Hash)>> {
    let wanted: Vec<usize> = (0..metas.len()).collect();
    let style = FetchStyle { rfc822: false, by_one: false };
    let (pieces, mut queue) = mpsc::channel::<Piece>(64);
    let hashing = async {
        let mut found = Vec::with_capacity(metas.len());
        let mut hasher = blake3::Hasher::new();
        let mut current = None;
        while let Some(piece) = queue.recv().await {
            match piece {
                Piece::Begin { index, .. } => {
                    hasher.reset();
                    current = Some(index);
                }
                Piece::Data(data) => {
                    hasher.update(&data);
                }
                Piece::End => {
                    if let Some(index) = current.take() {
                        found.push((index, hasher.finalize()));
                    }
                }
                Piece::Failed { .. } => {}
            }
        }
        Ok(found)
    };
    let (_, mut found) =
        tokio::try_join!(source::stream(session, metas, &wanted, style, pieces), hashing)?;
    found.sort_by_key(|(index, _)| *index);
    Ok(found)
}
