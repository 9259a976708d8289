//! Outlines: beside the message they are of, or in a record of their own.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use journal::Position;

use super::LocalStore;
use crate::outline::Outline;
use crate::store::record::{Change, Nothing, Outlined};
use crate::store::state::decode;
use crate::store::{EmailId, Result, StoreError, keys};

/// In memory of its own: what stands beside it in the record may be much.
fn decoded(outlined: &Outlined) -> Option<Outline> {
    Outline::decode(Bytes::copy_from_slice(&outlined.outline))
}

impl LocalStore {
    pub(super) fn read_outline(&self, email: EmailId) -> Result<Outline> {
        // Perhaps it stands in a record that was just read for another.
        if let Some(outline) = self.inner.recent.find(&[email]).pop().flatten() {
            return Ok(outline);
        }
        let outline = match self.kept_outline(email)? {
            Some(outline) => outline,
            None => self.made_outline(email)?,
        };
        self.inner.recent.add(email, &outline);
        Ok(outline)
    }

    /// Makes the outline of a message if it has none.
    pub(super) fn make_outline(&self, email: EmailId) -> Result<()> {
        match self.read_outline(email) {
            // It is gone, or whoever reads it will be told.
            Err(StoreError::Expunged | StoreError::CorruptBody { .. }) => Ok(()),
            outline => outline.map(drop),
        }
    }

    fn kept_outline(&self, email: EmailId) -> Result<Option<Outline>> {
        loop {
            let body = self.body_row(email)?;
            if let ControlFlow::Break(outline) = self.outline_at(body.at, email)? {
                return Ok(Some(outline));
            }
            let apart = self.inner.table.get::<Nothing>(&keys::outline(email.0))?;
            if let Some(apart) = &apart
                && let ControlFlow::Break(outline) = self.outline_at(apart.at, email)?
            {
                return Ok(Some(outline));
            }
            // Reclaim may have moved them since the rows were read: the rows say whereto.
            let moved = self.body_row(email)?.at != body.at
                || self.inner.table.get::<Nothing>(&keys::outline(email.0))? != apart;
            if !moved {
                return Ok(None);
            }
        }
    }

    /// Breaks with the outline if the record has it.
    fn outline_at(&self, at: Position, email: EmailId) -> Result<ControlFlow<Outline>> {
        let entry = match self.inner.journal.entry(at) {
            Ok(entry) => entry,
            Err(journal::Error::Gone { .. }) => return Ok(ControlFlow::Continue(())),
            Err(error @ journal::Error::Corrupt { .. }) => {
                // What it says can be found in the body, which has a checksum of its own.
                tracing::warn!(%email, %error, "the record of a message is damaged");
                return Ok(ControlFlow::Continue(()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut found = None;
        // Reclaim carries many forward in one record: each is asked for soon, and it need not be read again for that.
        for outlined in decode(&entry)?.outlines {
            let Some(outline) = decoded(&outlined) else { continue };
            self.inner.recent.add(EmailId(outlined.email), &outline);
            if outlined.email == email.0 {
                found = Some(outline);
            }
        }
        Ok(found.map_or(ControlFlow::Continue(()), ControlFlow::Break))
    }

    /// Makes an outline of the body, and keeps it.
    fn made_outline(&self, email: EmailId) -> Result<Outline> {
        let _one_at_a_time = self.inner.outlining.lock();
        // Somebody may have made it meanwhile.
        if let Some(outline) = self.kept_outline(email)? {
            return Ok(outline);
        }
        let outline = Outline::of(&self.whole_body(email)?);
        let outlined = Outlined { email: email.0, outline: outline.encode() };
        // Nobody waits for it: if the disk is full or fails, the next reader makes it again.
        drop(self.propose(&Change { outlines: vec![outlined], ..Change::default() }));
        Ok(outline)
    }

    fn whole_body(&self, email: EmailId) -> Result<Bytes> {
        let mut whole = BytesMut::from(self.read_body(email, 0..u64::MAX)?);
        loop {
            let more = self.read_body(email, whole.len() as u64..u64::MAX)?;
            if more.is_empty() {
                return Ok(whole.freeze());
            }
            whole.extend_from_slice(&more);
        }
    }
}
