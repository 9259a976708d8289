//! Rows with checksums.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};
use std::path::Path;

use journal::Position;
use prost::Message;

use super::failure::Failure;
use super::record::Nothing;
use super::rows::{self, Rows};
use super::{Result, StoreError, keys};

/// A row: what it holds, and where the journal record stands that says so.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored<T> {
    pub(super) at: Position,
    pub(super) value: T,
}

/// What a row may hold.
pub(super) trait Value: Sized {
    /// Why octets are none.
    type Error: Display;

    /// Appends it as octets.
    fn write(&self, to: &mut Vec<u8>);

    /// Reads what [`Value::write`] wrote, to the end.
    fn read(octets: &[u8]) -> Result<Self, Self::Error>;
}

impl<T: Message + Default> Value for T {
    type Error = prost::DecodeError;

    fn write(&self, to: &mut Vec<u8>) {
        to.reserve(self.encoded_len());
        // A Vec grows as needed: encoding into it cannot fail.
        let _ = self.encode(to);
    }

    fn read(octets: &[u8]) -> Result<Self, Self::Error> {
        Self::decode(octets)
    }
}

/// Bounds of a scan.
pub(super) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Octets that begin a row: the CRC32C of key, position and message.
pub(super) const CHECKSUM: usize = 4;

/// Octets before a row's message: the checksum and the position.
pub(super) const HEADER: usize = CHECKSUM + Position::ENCODED_LEN;

/// The committed rows. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Table {
    tree: Rows,
    /// Rows that were read, for tests of how much work something is.
    #[cfg(test)]
    pub(super) reads: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Table {
    pub(super) fn new(tree: sled::Tree) -> Self {
        Self {
            tree: Rows::new(tree),
            #[cfg(test)]
            reads: std::sync::Arc::default(),
        }
    }

    /// The rows of a folder of its own, made if it is missing.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self> {
        let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None);
        let tree = rows::in_turn(|| config.open().and_then(|db| db.open_tree("rows")));
        Ok(Self::new(tree.map_err(sled_error)?))
    }

    /// Notes it as this failure if rows cannot be written.
    pub(super) fn fail_with(&self, failure: Failure) {
        self.tree.fail_with(failure);
    }

    /// Waits until rows cannot be written any more because the disk, or sled, has stopped.
    pub(super) async fn stuck(&self) -> StoreError {
        self.tree.stuck().await;
        let (what, reason) = ("the store's rows".to_owned(), "a write to them does not end".to_owned());
        StoreError::Io { what, reason }
    }

    pub(super) fn get<T: Value>(&self, key: &[u8]) -> Result<Option<Stored<T>>> {
        #[cfg(test)]
        self.count_read();
        self.tree.get(key).map_err(sled_error)?.map(|bytes| decode(key, &bytes)).transpose()
    }

    #[cfg(test)]
    fn count_read(&self) {
        self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool> {
        self.tree.contains_key(key).map_err(sled_error)
    }

    /// Rows in key order, or from the end with `rev`.
    pub(super) fn scan<T: Value>(
        &self,
        range: impl RangeBounds<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<(sled::IVec, Stored<T>)>> {
        self.tree.range(range).map(|pair| {
            #[cfg(test)]
            self.count_read();
            let (key, bytes) = pair.map_err(sled_error)?;
            let stored = decode(&key, &bytes)?;
            Ok((key, stored))
        })
    }

    /// Damages all rows below a prefix.
    #[cfg(test)]
    pub(super) fn spoil(&self, prefix: &[u8]) {
        for row in self.tree.range(keys::within(prefix)) {
            let (key, bytes) = row.unwrap();
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            self.tree.apply([(key.to_vec(), Some(bytes))].into()).unwrap();
        }
    }

    /// The keys of a range, in order.
    pub(super) fn keys(&self, range: impl RangeBounds<Vec<u8>>) -> impl Iterator<Item = Result<sled::IVec>> {
        self.tree.range(range).map(|pair| Ok(pair.map_err(sled_error)?.0))
    }

    /// The first key of a range.
    pub(super) fn first_key(&self, range: impl RangeBounds<Vec<u8>>) -> Result<Option<sled::IVec>> {
        self.keys(range).next().transpose()
    }

    /// A row as its octets.
    pub(super) fn raw(&self, key: &[u8]) -> Result<Option<sled::IVec>> {
        self.tree.get(key).map_err(sled_error)
    }

    /// The first row within a range, as its octets.
    pub(super) fn next_raw(
        &self,
        range: impl RangeBounds<Vec<u8>>,
    ) -> Result<Option<(sled::IVec, sled::IVec)>> {
        self.tree.range(range).next().transpose().map_err(sled_error)
    }

    /// All rows as their octets, in key order.
    pub(super) fn all_raw(&self) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec)>> {
        self.tree.iter().map(|pair| pair.map_err(sled_error))
    }

    /// Makes durable all that was written.
    pub(super) fn flush(&self) -> Result<()> {
        self.tree.flush().map_err(sled_error)
    }

    /// Makes durable all that was written, and ends what writes it.
    pub(super) fn close(&self) -> Result<()> {
        self.tree.close().map_err(sled_error)
    }
}

/// Writes that are not in the table yet, seen by its own reads: the changes of some records, committed as one batch.
#[derive(Debug)]
pub(super) struct Pending {
    table: Table,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Pending {
    pub(super) fn new(table: Table) -> Self {
        Self { table, writes: BTreeMap::new() }
    }

    pub(super) fn get<T: Value>(&self, key: &[u8]) -> Result<Option<Stored<T>>> {
        match self.writes.get(key) {
            Some(write) => write.as_ref().map(|bytes| decode(key, bytes)).transpose(),
            None => self.table.get(key),
        }
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool> {
        self.writes.get(key).map_or_else(|| self.table.contains(key), |write| Ok(write.is_some()))
    }

    pub(super) fn put(&mut self, key: Vec<u8>, at: Position, value: &impl Value) {
        let bytes = encode(&key, at, value);
        self.writes.insert(key, Some(bytes));
    }

    pub(super) fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// The first row within bounds.
    fn first<T: Value>(&self, bounds: Bounds) -> Result<Option<(Vec<u8>, Stored<T>)>> {
        if is_empty(&bounds) {
            return Ok(None);
        }
        let new = self.writes.range::<Vec<u8>, _>(bounds.clone()).find_map(written);
        let old = self.untouched(self.table.tree.range(bounds))?;
        Self::nearer(new, old.as_ref(), |new, old| new < old)
    }

    /// The last row whose key begins with `prefix` and is not greater than `key`.
    pub(super) fn floor<T: Value>(&self, prefix: &[u8], key: &[u8]) -> Result<Option<(Vec<u8>, Stored<T>)>> {
        let bounds = (Bound::Included(prefix.to_vec()), Bound::Included(key.to_vec()));
        let new = self.writes.range::<Vec<u8>, _>(bounds.clone()).rev().find_map(written);
        let old = self.untouched(self.table.tree.range(bounds).rev())?;
        Self::nearer(new, old.as_ref(), |new, old| new > old)
    }

    /// Up to `at_most` rows within bounds, in key order.
    pub(super) fn rows<T: Value>(&self, bounds: Bounds, at_most: usize) -> Result<Vec<(Vec<u8>, Stored<T>)>> {
        let mut rows: Vec<(Vec<u8>, Stored<T>)> = Vec::new();
        while rows.len() < at_most {
            let start = rows.last().map_or_else(|| bounds.0.clone(), |(key, _)| Bound::Excluded(key.clone()));
            let Some(row) = self.first((start, bounds.1.clone()))? else { break };
            rows.push(row);
        }
        Ok(rows)
    }

    /// Deletes up to `at_most` rows with a prefix; gives how many there were.
    pub(super) fn delete_within(&mut self, prefix: &[u8], at_most: usize) -> Result<usize> {
        let doomed = self.rows::<Nothing>(prefixed(prefix), at_most)?;
        let number = doomed.len();
        for (key, _) in doomed {
            self.delete(key);
        }
        Ok(number)
    }

    /// The first committed pair that no write has replaced.
    fn untouched(
        &self,
        pairs: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> Result<Option<(sled::IVec, sled::IVec)>> {
        for pair in pairs {
            #[cfg(test)]
            self.table.count_read();
            let pair = pair.map_err(sled_error)?;
            if !self.writes.contains_key(&*pair.0) {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    }

    fn nearer<T: Value>(
        new: Option<(&[u8], &[u8])>,
        old: Option<&(sled::IVec, sled::IVec)>,
        is_nearer: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Option<(Vec<u8>, Stored<T>)>> {
        let old = old.map(|(key, bytes)| (&**key, &**bytes));
        let nearest = match (new, old) {
            (Some(new), Some(old)) => Some(if is_nearer(new.0, old.0) { new } else { old }),
            (new, old) => new.or(old),
        };
        nearest.map(|(key, bytes)| Ok((key.to_vec(), decode(key, bytes)?))).transpose()
    }

    /// Writes all of it in one atomic batch, and begins anew.
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.writes.is_empty() {
            return Ok(());
        }
        self.table.tree.apply(std::mem::take(&mut self.writes)).map_err(sled_error)
    }
}

/// The bounds of all keys with a prefix.
pub(super) fn prefixed(prefix: &[u8]) -> Bounds {
    let range = keys::within(prefix);
    (Bound::Included(range.start), Bound::Excluded(range.end))
}

/// A pending write that is not a deletion.
fn written<'a>((key, write): (&'a Vec<u8>, &'a Option<Vec<u8>>)) -> Option<(&'a [u8], &'a [u8])> {
    write.as_ref().map(|bytes| (key.as_slice(), bytes.as_slice()))
}

/// Both kinds of range panic on bounds that hold nothing.
fn is_empty(bounds: &Bounds) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        _ => false,
    }
}

pub(super) fn encode(key: &[u8], at: Position, value: &impl Value) -> Vec<u8> {
    let mut row = vec![0; CHECKSUM];
    row.extend_from_slice(&at.to_bytes());
    value.write(&mut row);
    let crc = checksum(key, &row[CHECKSUM..]);
    row[..CHECKSUM].copy_from_slice(&crc);
    row
}

fn checksum(key: &[u8], row: &[u8]) -> [u8; CHECKSUM] {
    crc32c::crc32c_append(crc32c::crc32c(key), row).to_le_bytes()
}

/// A row with its checksum before it.
pub(super) fn sealed(key: &[u8], row: &[u8]) -> Vec<u8> {
    [&checksum(key, row), row].concat()
}

pub(super) fn decode<T: Value>(key: &[u8], bytes: &[u8]) -> Result<Stored<T>> {
    let damaged = |why: &str| StoreError::CorruptState { what: format!("row {}: {why}", key.escape_ascii()) };
    let (crc, rest) = bytes.split_first_chunk().ok_or_else(|| damaged("too short"))?;
    if *crc != checksum(key, rest) {
        return Err(damaged("checksum mismatch"));
    }
    let (at, message) = rest.split_first_chunk().ok_or_else(|| damaged("too short"))?;
    let value = T::read(message).map_err(|error| damaged(&error.to_string()))?;
    Ok(Stored { at: Position::from_bytes(*at), value })
}

/// What sled reports, in the store's terms.
pub(super) fn sled_error(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => StoreError::Full,
        sled::Error::Io(error) => {
            StoreError::Io { what: "the store's rows".to_owned(), reason: error.to_string() }
        }
        other => StoreError::CorruptState { what: other.to_string() },
    }
}
