//! Records laid out for one vectored write.

use std::{io::IoSlice, ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    active::Active,
    applier::DurableEntry,
    body::{BodyRef, Extent},
    error::Error,
    format::{ALIGN, Encode, Place, RECORD_HEADER, Type},
    position::Position,
    queue::{Item, Outgoing, OutgoingBody, OutgoingChunk, Pieces, Weight},
    record::Entry,
};

/// Bodies up to this size are copied next to their header: cheaper than a slice of their own.
const COPIED_BODY: usize = 1 << 10;

/// Octets of headers and metas that a batch has room for from the start: those of some records.
const HEADERS: usize = 4 << 10;

/// A batch under construction: headers, metas and small bodies in one buffer, large bodies where they are.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    place: Place,
    start: u32,
    buffer: Vec<u8>,
    /// Where in `buffer` the part begins that is not in `parts` yet.
    mark: usize,
    parts: Vec<Part>,
    pub(crate) entries: Vec<DurableEntry<T>>,
    chunks: Vec<OutgoingChunk>,
    pub(crate) weight: Weight,
    /// The oldest segment that a body in it lies in.
    pub(crate) reach: crate::SegmentId,
    /// Whether somebody waits for it to be durable.
    pub(crate) awaited: bool,
    /// Whether it has entries that nobody waits for.
    pub(crate) relaxed: bool,
    segment: crate::SegmentId,
}

#[derive(Debug)]
enum Part {
    Buffer(Range<usize>),
    Body(Bytes),
}

impl<T> Batch<T> {
    /// An empty batch at the end of `active`.
    pub(crate) fn new(active: &Active, sequence: u64) -> Self {
        let place = Place { salt: active.salt, offset: active.end, synced_to: active.synced, sequence };
        Self {
            place,
            start: active.end,
            buffer: Vec::with_capacity(HEADERS),
            mark: 0,
            parts: Vec::new(),
            entries: Vec::new(),
            chunks: Vec::new(),
            weight: Weight::default(),
            reach: active.reach,
            awaited: false,
            relaxed: false,
            segment: active.id,
        }
    }

    /// Bytes that it takes in the file.
    pub(crate) fn length(&self) -> u32 {
        self.place.offset - self.start
    }

    /// The sequence after its last record.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.place.sequence
    }

    pub(crate) fn push_entry(&mut self, outgoing: Outgoing<T>) {
        let Outgoing { kind, meta, body, copied_from, completion } = outgoing;
        let (bytes, crc, extents, pieces) = match body {
            OutgoingBody::Inline { bytes, crc } => (bytes, crc, Vec::new(), None),
            OutgoingBody::Pieces(pieces) => match pieces.extents() {
                Ok(extents) => (Bytes::new(), 0, extents, Some(pieces)),
                Err(error) => {
                    // Whoever appended may have stopped waiting.
                    completion.map(|completion| completion.send(Err(error)));
                    return;
                }
            },
        };
        let encode = Encode {
            kind,
            kind_of: Type::Entry,
            copied_from,
            extents: &extents,
            meta: &meta,
            body_length: bytes.len(),
            body_crc: crc,
        };
        let position = Position { segment: self.segment, offset: self.place.offset };
        let sequence = self.place.sequence;
        let inline = self.push(&encode, bytes);
        self.reach = extents.iter().map(|extent| extent.segment).fold(self.reach, Ord::min);
        let body = inline.map_or_else(|| BodyRef::new(extents), |extent| BodyRef::new([extent]));
        self.awaited |= completion.is_some();
        self.relaxed |= completion.is_none();
        let entry = Entry { position, sequence, kind, meta, body, copied_from };
        self.entries.push(DurableEntry { entry, completion, pieces });
    }

    pub(crate) fn push_chunk(&mut self, chunk: OutgoingChunk) {
        let encode = Encode {
            kind: 0,
            kind_of: Type::Chunk,
            copied_from: None,
            extents: &[],
            meta: &[],
            body_length: chunk.bytes.len(),
            body_crc: chunk.crc,
        };
        if let Some(extent) = self.push(&encode, chunk.bytes.clone()) {
            chunk.pieces.add(extent);
        }
        self.chunks.push(chunk);
    }

    /// The slices to write.
    pub(crate) fn slices(&mut self) -> Vec<IoSlice<'_>> {
        self.finish_buffer_part();
        let mut slices = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            slices.push(match part {
                Part::Buffer(range) => IoSlice::new(&self.buffer[range.clone()]),
                Part::Body(bytes) => IoSlice::new(bytes),
            });
        }
        slices
    }

    /// Entries that nobody waits for.
    pub(crate) fn relaxed_entries(&self) -> usize {
        relaxed(&self.entries)
    }

    /// Ends everything in it with an error.
    pub(crate) fn refuse(self, error: &Error) {
        for entry in self.entries {
            entry.complete(Err(error.clone()));
        }
        for chunk in self.chunks {
            chunk.pieces.fail(error);
        }
    }

    /// Lays out one record and returns where its body lies.
    fn push(&mut self, encode: &Encode<'_>, body: Bytes) -> Option<Extent> {
        let offset = self.place.offset;
        let start = self.buffer.len();
        encode.encode(self.place, &mut self.buffer);
        let body_offset = offset + (self.buffer.len() - start) as u32;
        let length = body.len();
        let stored = encode.stored_length();
        let padding = (ALIGN - (self.buffer.len() - start + length) % ALIGN) % ALIGN;
        if length <= COPIED_BODY {
            self.buffer.extend_from_slice(&body);
        } else {
            self.finish_buffer_part();
            self.parts.push(Part::Body(body));
        }
        self.buffer.extend_from_slice(&[0; ALIGN][..padding]);
        self.place.offset += stored as u32;
        self.place.sequence += 1;
        let crc = encode.body_crc;
        (length > 0).then_some(Extent {
            segment: self.segment,
            offset: body_offset,
            length: length as u32,
            crc,
        })
    }

    fn finish_buffer_part(&mut self) {
        if self.mark < self.buffer.len() {
            self.parts.push(Part::Buffer(self.mark..self.buffer.len()));
            self.mark = self.buffer.len();
        }
    }
}

/// How many of these nobody waits for.
pub(crate) fn relaxed<T>(entries: &[DurableEntry<T>]) -> usize {
    entries.iter().filter(|entry| entry.completion.is_none()).count()
}

/// Bytes that the item takes in the file, at most.
pub(crate) fn stored_length<T>(item: &Item<T>) -> u64 {
    let (meta, body) = match item {
        Item::Entry(outgoing) => {
            let body = match &outgoing.body {
                OutgoingBody::Inline { bytes, .. } => bytes.len(),
                OutgoingBody::Pieces(pieces) => extents_bytes(pieces),
            };
            (Position::ENCODED_LEN + 4 + outgoing.meta.len(), body)
        }
        Item::Chunk(chunk) => (0, chunk.bytes.len()),
        Item::Barrier(_) => (0, 0),
    };
    (RECORD_HEADER + meta + body).next_multiple_of(ALIGN) as u64
}

fn extents_bytes(pieces: &Arc<Pieces>) -> usize {
    pieces.extents().map_or(0, |extents| extents.len() * Extent::ENCODED_LEN)
}
