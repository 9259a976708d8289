//! The events of one message.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use message::MessageId;
use prost::Message as _;
use proto::mta::Event;

use super::log::Events;
use super::record;

/// Octets of events that are told from a story's beginning, and from its end. Together less than the 4 MiB that a gRPC
/// client takes in one answer.
const BEGINNING: usize = 1 << 20;
const ENDING: usize = 2 << 20;

/// What happened to a message, as far as it fits.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    /// Events left out because there are too many: those in the middle.
    pub(crate) left_out: u64,
}

impl Events {
    /// The events of a message, in the order in which they happened, up to now. Blocks.
    pub(crate) fn of(&self, id: MessageId) -> Result<Story, journal::Error> {
        if let Err(error) = self.journal.sync() {
            // What is written already can still be told.
            tracing::warn!(%error, "the newest events cannot be read yet");
        }
        let mut gathered = Gathered::default();
        for segment in self.segments.that_may_tell_of(id) {
            let scanned = self.journal.scan_segment(segment, None, |entry| {
                if record::head(entry).is_some_and(|(of, _)| of == *id.as_bytes())
                    && let Some(event) = record::decode(entry)
                {
                    gathered.push(event);
                }
                ControlFlow::Continue(())
            });
            match scanned {
                // Its time was over.
                Err(journal::Error::Gone { .. }) => {}
                scanned => scanned?,
            }
        }
        Ok(gathered.finish())
    }
}

/// A story while it is read.
#[derive(Default)]
struct Gathered {
    story: Story,
    beginning: usize,
    ending: VecDeque<(usize, Event)>,
    ending_octets: usize,
}

impl Gathered {
    fn push(&mut self, event: Event) {
        let octets = event.encoded_len();
        if self.ending.is_empty() && self.beginning + octets <= BEGINNING {
            self.beginning += octets;
            return self.story.events.push(event);
        }
        self.ending_octets += octets;
        self.ending.push_back((octets, event));
        while self.ending_octets > ENDING
            && let Some((octets, _)) = self.ending.pop_front()
        {
            self.ending_octets -= octets;
            self.story.left_out += 1;
        }
    }

    fn finish(mut self) -> Story {
        self.story.events.extend(self.ending.into_iter().map(|(_, event)| event));
        self.story
    }
}
