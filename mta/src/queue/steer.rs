//! What an operator does to what waits. It is written by the spool; here the order follows.

use std::sync::Arc;

use message::MessageId;
use scheduler::SiteName;

use super::Queue;
use crate::deliver::MDA;
use crate::site::MDA_SITE;
use crate::spool::Scope;

/// Recipients of a message that were taken out of the queue while something about them is changed: nobody tries them
/// meanwhile. When this goes, they are put back where the spool then says that they are.
pub(crate) struct Withdrawn {
    queue: Arc<Queue>,
    pub(crate) message: MessageId,
    /// Those that were taken out, ascending. Others that were chosen are in somebody's hands, or have come to their end.
    pub(crate) recipients: Vec<u32>,
    sites: Vec<SiteName>,
}

impl Withdrawn {
    /// Lets the sites that they waited for be tried at once, even if they were to be left alone.
    pub(crate) fn try_sites(&self) {
        let now = self.queue.pace.now();
        let mut scheduler = self.queue.scheduler.lock();
        for site in &self.sites {
            scheduler.probe(site, now);
        }
        self.queue.wake(&scheduler);
    }
}

impl Drop for Withdrawn {
    fn drop(&mut self) {
        self.queue.put_back(self.message, &self.recipients);
    }
}

impl Queue {
    /// Takes those recipients of a message out for which `chosen` holds.
    pub(crate) fn withdraw(self: &Arc<Self>, message: MessageId, chosen: impl Fn(u32) -> bool) -> Withdrawn {
        let scheduler::Withdrawn { taken, sites, .. } = self.scheduler.lock().withdraw(message, chosen);
        Withdrawn { queue: Arc::clone(self), message, recipients: taken, sites }
    }

    /// Starts nothing more that the suspension covers.
    pub(crate) fn suspend(&self, suspended: &Scope) {
        self.scheduler.lock().suspend(scope(suspended));
    }

    /// Lets go on what the suspension covered.
    pub(crate) fn resume(&self, suspended: &Scope) {
        let mut scheduler = self.scheduler.lock();
        scheduler.resume(&scope(suspended), self.pace.now());
        self.wake(&scheduler);
    }
}

/// A scope as the order knows it.
pub(super) fn scope(scope: &Scope) -> scheduler::Scope {
    match scope {
        Scope::Site(name) if **name == *MDA => scheduler::Scope::Site(SiteName::new(MDA_SITE)),
        Scope::Site(name) => scheduler::Scope::Site(SiteName::new(Arc::clone(name))),
        Scope::Domain(name) => scheduler::Scope::Domain((&**name).into()),
        Scope::Account(name) => scheduler::Scope::Account((&**name).into()),
    }
}
