//! The way of messages from the readers to the writer: bounded in octets, and in the order of the
//! batches, however many connections read them. Knows pieces, not servers.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::source::Piece;

/// What a piece costs beside its octets, so that a flood of empty messages is bounded, too.
const PIECE_COST: usize = 64;

/// A way for one reader that holds at most `octets` (one piece excepted).
pub(crate) fn way(octets: usize) -> (Outlet, Inlet) {
    let (give, take) = mpsc::unbounded_channel();
    let most = octets.clamp(PIECE_COST, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let room = Arc::new(Semaphore::new(most));
    (Outlet(Kind::Octets { give, room: room.clone(), most }), Inlet { take, room, held: 0, most })
}

/// Where a reader puts its pieces.
pub(crate) struct Outlet(Kind);

enum Kind {
    /// Bounded by octets; the channel itself is not bounded, the permits are.
    /// `None` ends a batch.
    Octets { give: mpsc::UnboundedSender<Option<Piece>>, room: Arc<Semaphore>, most: usize },
    /// Bounded by pieces.
    Pieces(mpsc::Sender<Piece>),
}

impl From<mpsc::Sender<Piece>> for Outlet {
    fn from(give: mpsc::Sender<Piece>) -> Self {
        Self(Kind::Pieces(give))
    }
}

impl Outlet {
    /// Waits for room and puts the piece in. The other end goes away only when the copy has
    /// failed, and then the reader is dropped as well.
    pub(crate) async fn send(&self, piece: Piece) {
        match &self.0 {
            Kind::Octets { give, room, most } => {
                let cost = u32::try_from(cost(&piece, *most)).unwrap_or(u32::MAX);
                if let Ok(permit) = room.acquire_many(cost).await {
                    permit.forget();
                }
                let _ = give.send(Some(piece));
            }
            Kind::Pieces(give) => {
                let _ = give.send(piece).await;
            }
        }
    }

    /// Says that a batch is whole: it is the next reader's turn.
    pub(crate) fn turn(&self) {
        if let Kind::Octets { give, .. } = &self.0 {
            let _ = give.send(None);
        }
    }
}

fn cost(piece: &Piece, most: usize) -> usize {
    let octets = match piece {
        Piece::Data(data) => data.len(),
        _ => 0,
    };
    (octets + PIECE_COST).min(most)
}

/// Where the pieces of one reader come out.
pub(crate) struct Inlet {
    take: mpsc::UnboundedReceiver<Option<Piece>>,
    room: Arc<Semaphore>,
    /// What the piece handed out last holds; it is free when the next one is asked for.
    held: usize,
    most: usize,
}

impl Inlet {
    fn free(&mut self) {
        if self.held > 0 {
            self.room.add_permits(self.held);
            self.held = 0;
        }
    }

    /// The next piece; `Some(None)` ends a batch.
    async fn recv(&mut self) -> Option<Option<Piece>> {
        self.free();
        let piece = self.take.recv().await?;
        self.hold(piece.as_ref());
        Some(piece)
    }

    fn try_recv(&mut self) -> Result<Option<Piece>, mpsc::error::TryRecvError> {
        self.free();
        let piece = self.take.try_recv()?;
        self.hold(piece.as_ref());
        Ok(piece)
    }

    fn hold(&mut self, piece: Option<&Piece>) {
        self.held = piece.map_or(0, |piece| cost(piece, self.most));
    }
}

/// The pieces of several readers that were dealt batches in turn, in the order of the batches.
/// What a reader sends after its last batch comes when its turn comes again.
pub(crate) struct Pieces {
    /// The first one's turn it is.
    turns: VecDeque<Inlet>,
}

impl Pieces {
    pub(crate) fn new(readers: Vec<Inlet>) -> Self {
        Self { turns: readers.into() }
    }

    /// The next piece, `None` at the end of all.
    pub(crate) async fn recv(&mut self) -> Option<Piece> {
        loop {
            match self.turns.front_mut()?.recv().await {
                None => drop(self.turns.pop_front()),
                Some(None) => self.pass_on(),
                Some(piece) => return piece,
            }
        }
    }

    /// The next piece if it is there.
    pub(crate) fn try_recv(&mut self) -> Result<Piece, mpsc::error::TryRecvError> {
        loop {
            let Some(first) = self.turns.front_mut() else {
                return Err(mpsc::error::TryRecvError::Disconnected);
            };
            match first.try_recv() {
                Err(mpsc::error::TryRecvError::Disconnected) => drop(self.turns.pop_front()),
                Err(e) => return Err(e),
                Ok(None) => self.pass_on(),
                Ok(Some(piece)) => return Ok(piece),
            }
        }
    }

    fn pass_on(&mut self) {
        if let Some(mut done) = self.turns.pop_front() {
            done.free();
            self.turns.push_back(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(piece: Option<Piece>) -> Option<usize> {
        match piece {
            Some(Piece::Begin { index, .. } | Piece::Failed { index, .. }) => Some(index),
            _ => None,
        }
    }

    #[tokio::test]
    async fn batches_of_several_readers_come_out_in_their_order() {
        let (one, first) = way(1_000);
        let (two, second) = way(1_000);
        let begin = |index| Piece::Begin { index, size: 0 };
        // Batches 0 and 2 are the first reader's, 1 the second's; each has a straggler.
        two.send(begin(1)).await;
        two.turn();
        two.send(Piece::Failed { index: 11, reason: String::new() }).await;
        drop(two);
        for n in [0, 2] {
            one.send(begin(n)).await;
            one.turn();
        }
        one.send(Piece::Failed { index: 10, reason: String::new() }).await;
        drop(one);
        let mut pieces = Pieces::new(vec![first, second]);
        let mut order = Vec::new();
        while let Some(n) = index(pieces.recv().await) {
            order.push(n);
        }
        assert_eq!(order, [0, 1, 2, 11, 10]);
        assert!(matches!(pieces.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }

    #[tokio::test]
    async fn a_reader_waits_when_the_octets_are_used_up() {
        let (out, inlet) = way(1_000);
        let piece = || Piece::Data(bytes::Bytes::from(vec![0; 600]));
        let mut pieces = Pieces::new(vec![inlet]);
        out.send(piece()).await;
        let mut second = Box::pin(out.send(piece()));
        let wait = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(wait, &mut second).await.is_err());
        assert!(pieces.recv().await.is_some());
        // Only asking again frees the first one.
        assert!(tokio::time::timeout(wait, &mut second).await.is_err());
        assert!(pieces.try_recv().is_err());
        second.await;
        assert!(pieces.recv().await.is_some());
        // A piece larger than everything still passes.
        let big = Piece::Data(bytes::Bytes::from(vec![0; 5_000]));
        let (sent, got) = tokio::join!(out.send(big), pieces.recv());
        assert_eq!((), sent);
        assert!(got.is_some());
    }
}
