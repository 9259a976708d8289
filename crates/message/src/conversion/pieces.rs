//! Carries a plan out.

use super::{Segment, fields};
use crate::mime::Encoder;

/// Octets of a message that make one piece, about.
const PIECE: usize = 32 * 1024;

/// The pieces of a converted message, of about 32 KiB, at most three times that.
#[derive(Debug)]
pub struct Pieces<M> {
    message: M,
    segments: std::vec::IntoIter<Segment>,
    current: Option<Current>,
}

/// The segment that is under way.
#[derive(Debug)]
struct Current {
    segment: Segment,
    /// How much of it has been passed on, where it is not encoded.
    at: usize,
    encoder: Option<Encoder>,
}

impl<M: AsRef<[u8]>> Pieces<M> {
    pub(super) fn new(segments: Vec<Segment>, message: M) -> Self {
        Self { message, segments: segments.into_iter(), current: None }
    }
}

impl<M: AsRef<[u8]>> Iterator for Pieces<M> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let current = match &mut self.current {
                Some(current) => current,
                None => match self.segments.next() {
                    Some(segment) => self.current.insert(Current::new(segment)),
                    None => break,
                },
            };
            if !current.push(self.message.as_ref(), &mut piece) {
                self.current = None;
            }
        }
        (!piece.is_empty()).then_some(piece)
    }
}

impl Current {
    fn new(segment: Segment) -> Self {
        let encoder = match &segment {
            Segment::Encode(_, transfer) | Segment::Recode(_, transfer) => Some(Encoder::new(*transfer)),
            Segment::Copy(_) | Segment::Mask(_) | Segment::Text(_) => None,
        };
        Self { segment, at: 0, encoder }
    }

    /// Writes some more. `false`: that was all.
    fn push(&mut self, message: &[u8], piece: &mut Vec<u8>) -> bool {
        let octets = match &self.segment {
            Segment::Copy(range) | Segment::Mask(range) | Segment::Encode(range, _) => {
                &message[range.clone()]
            }
            Segment::Text(octets) | Segment::Recode(octets, _) => octets,
        };
        if let Some(encoder) = &mut self.encoder {
            return encoder.encode(octets, PIECE, piece);
        }
        let end = octets.len().min(self.at + PIECE);
        let next = &octets[self.at..end];
        if matches!(self.segment, Segment::Mask(_)) {
            mask(octets, self.at, end, piece);
        } else {
            piece.extend_from_slice(next);
        }
        self.at = end;
        end < octets.len()
    }
}

/// Writes octets that nobody is shown so that every server takes them: question marks for what is not ASCII, CRLF for
/// every line end.
fn mask(octets: &[u8], start: usize, end: usize, piece: &mut Vec<u8>) {
    for at in start..end {
        match octets[at] {
            b'\r' if octets.get(at + 1) == Some(&b'\n') => {}
            b'\r' | b'\n' => piece.extend_from_slice(b"\r\n"),
            0 => piece.push(b'?'),
            octet => piece.extend_from_slice(fields::masked(&[octet]).as_bytes()),
        }
    }
}
