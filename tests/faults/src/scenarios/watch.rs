//! What the services use of the machine, before and after.

use std::time::Duration;

use pipeline_tests::{Pipeline, Usage, usage, within};

use super::kill_any::SERVICES;
use crate::Outcome;

/// How long descriptors may take to be given back.
const PATIENCE: Duration = Duration::from_secs(90);

/// The services' processes and what they used.
pub(crate) struct Watch([(u32, Usage); 3]);

impl Watch {
    /// Looks at them now.
    ///
    /// # Panics
    /// If one is not there.
    pub(crate) fn begin(pipeline: &Pipeline) -> Self {
        Self(SERVICES.map(|service| {
            let pid = pipeline.pid(service).expect("a process");
            (pid, usage(pid).expect("its usage"))
        }))
    }

    /// Tells that it is wrong if one of them ever held more memory than this.
    pub(crate) fn at_most(&self, memory: u64, outcome: &mut Outcome) {
        for (service, (pid, _)) in SERVICES.into_iter().zip(self.0) {
            // One that is gone is told of at the end.
            let most = usage(pid).map_or(0, |usage| usage.most_memory);
            if most > memory {
                outcome.wrong.push(format!("{service} held {} MiB", most >> 20));
            }
        }
    }

    /// Tells what they use now, and that it is wrong if one of them was started again or holds so much more memory or
    /// so many more descriptors than at the beginning. Waits for these to be given back.
    pub(crate) fn end(&self, pipeline: &Pipeline, memory: u64, descriptors: usize, outcome: &mut Outcome) {
        for (service, (old, before)) in SERVICES.into_iter().zip(self.0) {
            let most = before.descriptors + descriptors;
            let now = || usage(old).ok();
            let given_back = within(PATIENCE, || now().filter(|after| after.descriptors <= most));
            let Some(after) = given_back.or_else(now).filter(|_| pipeline.pid(service) == Some(old)) else {
                outcome.wrong.push(format!("{service} was started again"));
                continue;
            };
            if after.descriptors > most {
                outcome.wrong.push(format!("{service} holds {} descriptors", after.descriptors));
            }
            let mebibytes = |octets: u64| octets.div_ceil(1 << 20);
            outcome.figure(
                format!("{service}: memory before, after, at most"),
                format!(
                    "{}, {}, {} MiB",
                    mebibytes(before.memory),
                    mebibytes(after.memory),
                    mebibytes(after.most_memory)
                ),
            );
            outcome.figure(
                format!("{service}: descriptors before, after"),
                format!("{}, {}", before.descriptors, after.descriptors),
            );
            if after.memory > before.memory + memory {
                outcome.wrong.push(format!("{service} holds {} MiB", mebibytes(after.memory)));
            }
        }
    }
}
