//! The journal: every record can be read and understood.

use std::ops::ControlFlow;

use super::Check;
use crate::store::Result;
use crate::store::state::decode;

impl Check<'_> {
    /// Reads the records of all segments; with `bodies` everything in them, against its checksums.
    pub(super) fn journal(&mut self, bodies: bool) -> Result<()> {
        let journal = self.store.journal();
        for segment in journal.segments() {
            let (mut records, mut wrong) = (0, Vec::new());
            let scanned = journal.scan_segment(segment, None, |entry| {
                records += 1;
                wrong.extend(decode(entry).err());
                ControlFlow::Continue(())
            });
            self.report.records += records;
            for error in wrong {
                self.findings.add(error);
            }
            let verified = if bodies { scanned.and_then(|()| journal.verify(segment)) } else { scanned };
            match verified {
                // Reclaimed meanwhile: what lived in it stands further on.
                Ok(()) | Err(journal::Error::Gone { .. }) => {}
                Err(error) => self.findings.add(format!("segment {segment}: {error}")),
            }
            self.tell("journal records", self.report.records)?;
        }
        Ok(())
    }
}
