//! All sites, and which of them may start something, now or later.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::{Index, IndexMut};

use crate::site::{Block, Site};
use crate::{Millis, SiteId, SiteName};

/// A site that nothing used for so long is forgotten, and what was learned about it.
const REMEMBERED: Millis = 10 * 60 * 1_000;

/// Sites by number and name.
///
/// Invariant: a site with units in line that is not blocked stands in `startable` or `startable_own`, once. One that is
/// blocked until some time stands in `wakes`; what blocks it otherwise offers it again when it ends.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    all: Vec<Option<Box<Site>>>,
    free: Vec<u32>,
    by_name: HashMap<SiteName, SiteId>,
    /// Sites that may start something and count towards the sessions, in the order of their turns.
    startable: VecDeque<SiteId>,
    /// The same for those that do not count.
    startable_own: VecDeque<SiteId>,
    wakes: BTreeSet<(Millis, SiteId)>,
    /// Where [`Sites::sweep`] goes on.
    cursor: usize,
}

impl Index<SiteId> for Sites {
    type Output = Site;

    fn index(&self, site: SiteId) -> &Site {
        match &self.all[site.0 as usize] {
            Some(site) => site,
            None => unreachable!("a site is not forgotten while its number is in use"),
        }
    }
}

impl IndexMut<SiteId> for Sites {
    fn index_mut(&mut self, site: SiteId) -> &mut Site {
        match &mut self.all[site.0 as usize] {
            Some(site) => site,
            None => unreachable!("a site is not forgotten while its number is in use"),
        }
    }
}

impl Sites {
    pub(crate) fn find(&self, name: &SiteName) -> Option<SiteId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn insert(&mut self, site: Site) -> SiteId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            (self.all.len() - 1) as u32
        });
        self.by_name.insert(site.name.clone(), SiteId(id));
        self.all[id as usize] = Some(Box::new(site));
        SiteId(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SiteId, &Site)> {
        let numbered = self.all.iter().zip(0..);
        numbered.filter_map(|(site, id)| Some((SiteId(id), site.as_deref()?)))
    }

    /// Keeps the invariant for a site of which something changed.
    pub(crate) fn offer(&mut self, id: SiteId, now: Millis) {
        let site = &mut self[id];
        if site.startable || site.line.is_empty() {
            return;
        }
        match site.block(now, false) {
            None => {
                site.startable = true;
                let counted = site.limits.counted;
                if counted { &mut self.startable } else { &mut self.startable_own }.push_back(id);
            }
            Some(Block::Rate(at) | Block::Down { until: at, probing: false }) => self.wake_at(id, at),
            Some(Block::Suspended | Block::Connections | Block::Down { probing: true, .. }) => {}
        }
    }

    /// The site whose turn it is; of those that count only if `counted`.
    pub(crate) fn next_startable(&mut self, counted: bool) -> Option<SiteId> {
        let id = self
            .startable_own
            .pop_front()
            .or_else(|| if counted { self.startable.pop_front() } else { None })?;
        self[id].startable = false;
        Some(id)
    }

    /// Whether a site waits for its turn; of those that count only if `counted`.
    pub(crate) fn can_start(&self, counted: bool) -> bool {
        !self.startable_own.is_empty() || counted && !self.startable.is_empty()
    }

    /// Sites that wait for their turn.
    pub(crate) fn startable(&self) -> usize {
        self.startable.len() + self.startable_own.len()
    }

    /// Whether a site other than `site` waits that counts towards the sessions.
    pub(crate) fn others_wait_for_a_session(&self, site: SiteId) -> bool {
        let itself = self[site].startable && self[site].limits.counted;
        self.startable.len() > usize::from(itself)
    }

    /// A site whose time has come.
    pub(crate) fn woken(&mut self, now: Millis) -> Option<SiteId> {
        let &(at, id) = self.wakes.first().filter(|(at, _)| *at <= now)?;
        self.wakes.remove(&(at, id));
        self[id].wake_at = None;
        Some(id)
    }

    pub(crate) fn next_wake(&self) -> Option<Millis> {
        self.wakes.first().map(|(at, _)| *at)
    }

    fn wake_at(&mut self, id: SiteId, at: Millis) {
        let before = self[id].wake_at.replace(at);
        if let Some(before) = before {
            self.wakes.remove(&(before, id));
        }
        self.wakes.insert((at, id));
    }

    /// Forgets sites that were not used for long, a few at a time. Places of our own stay.
    pub(crate) fn sweep(&mut self, now: Millis, few: usize) {
        for _ in 0..few.min(self.all.len()) {
            self.cursor = (self.cursor + 1) % self.all.len();
            let id = SiteId(self.cursor as u32);
            let Some(site) = &mut self.all[self.cursor] else { continue };
            if !site.limits.counted || !site.is_unused() || site.startable {
                site.unused_since = None;
                continue;
            }
            let since = *site.unused_since.get_or_insert(now);
            let alone_until = site.outage.until().unwrap_or(0);
            if now.saturating_sub(since) >= REMEMBERED && now >= alone_until {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: SiteId) {
        let Some(site) = self.all[id.0 as usize].take() else { return };
        if let Some(at) = site.wake_at {
            self.wakes.remove(&(at, id));
        }
        self.by_name.remove(&site.name);
        self.free.push(id.0);
    }
}
