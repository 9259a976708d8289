//! What goes to the client together, in pieces.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Octets in pieces, none of them empty.
#[derive(Debug, Default)]
pub(in crate::imap) struct Batch {
    pieces: VecDeque<Bytes>,
    octets: usize,
}

impl Batch {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.octets += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// All of it in one piece.
    pub(in crate::imap) fn into_bytes(mut self) -> Bytes {
        let octets = self.octets;
        self.copy_to_bytes(octets)
    }
}

impl From<Bytes> for Batch {
    fn from(octets: Bytes) -> Self {
        let mut batch = Self::default();
        batch.push(octets);
        batch
    }
}

impl Buf for Batch {
    fn remaining(&self) -> usize {
        self.octets
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(&self.pieces);
        filled.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut octets: usize) {
        self.octets -= octets;
        while let Some(piece) = self.pieces.front_mut() {
            if octets < piece.len() {
                return piece.advance(octets);
            }
            octets -= piece.len();
            self.pieces.pop_front();
        }
    }

    fn copy_to_bytes(&mut self, octets: usize) -> Bytes {
        if self.pieces.len() == 1 && octets == self.octets {
            self.octets = 0;
            return self.pieces.pop_front().unwrap_or_default();
        }
        let mut whole = Vec::with_capacity(octets);
        while whole.len() < octets && self.has_remaining() {
            let count = self.chunk().len().min(octets - whole.len());
            whole.extend_from_slice(&self.chunk()[..count]);
            self.advance(count);
        }
        whole.into()
    }
}
