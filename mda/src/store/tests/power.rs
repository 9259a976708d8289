//! The power is lost after every step of what a store does to its journal, and the disk holds what it may hold then.
//!
//! The rows are as they were copied at some moment before, or gone. `POWER_LOSS_IMAGES` has every step tried, with so many
//! states of the disk that chance decides, and not one of many; `POWER_LOSS_SEED` says which chance.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use journal::faults::{Faults, Loss, Recording};

use super::*;

const ALICE: &str = "alice@example.test";
/// What is done to the store.
const STEPS: u64 = 60;
/// Steps of the journal that are tried in the short form.
const TRIED: usize = 25;

/// Flags and text of each message, by mailbox and UID.
type Mail = BTreeMap<(String, Uid), (Flags, String)>;

/// A store, and what was seen of it when.
struct Story {
    bed: Bed,
    alice: AccountId,
    recording: Recording,
    random: fastrand::Rng,
    /// What was there when the mark of this number was made.
    told: Vec<Mail>,
    copies: Vec<Copied>,
}

/// All but the journal.
struct Copied {
    dir: TempDir,
    /// Steps of the recording when it was begun and when it was done.
    begun: usize,
    done: usize,
}

impl Story {
    async fn begin(seed: u64) -> Self {
        let (dir, recording) = (TempDir::new().unwrap(), Recording::default());
        let journal_faults = Faults::noted_in(recording.clone());
        let config = StoreConfig { segment_bytes: 4 << 10, journal_faults, ..config(dir.path()) };
        let bed = Bed { store: LocalStore::open(config).unwrap().0, dir };
        let alice = create_account(&bed.store, ALICE).await;
        let random = fastrand::Rng::with_seed(seed);
        let mut story = Self { bed, alice, recording, random, told: Vec::new(), copies: Vec::new() };
        story.tell().await;
        story
    }

    /// What is there now has been told to the user.
    async fn tell(&mut self) {
        let mail = mail_of(&self.bed.store, self.alice).await;
        self.recording.mark(self.told.len() as u64);
        self.told.push(mail);
    }

    async fn step(&mut self) {
        let inbox = inbox(&self.bed.store, self.alice).id;
        let store = self.bed.store.clone();
        let first = self.random.u32(1..40);
        let some: UidSet = (first..first + self.random.u32(1..6)).collect();
        match self.random.u8(..12) {
            0..=3 => self.deliver().await,
            4 => {
                let text = self.text();
                append(&store, self.alice, "Archive", &text, seen()).await;
            }
            5 => drop(store.store_flags(inbox, some, FlagChange::Add(seen()), None).await.unwrap()),
            6 => drop(store.store_flags(inbox, some, FlagChange::Remove(seen()), None).await.unwrap()),
            7 => drop(store.expunge(inbox, some, false).await.unwrap()),
            8 => drop(store.copy(inbox, some, name("Archive")).await.unwrap()),
            9 => drop(store.move_messages(inbox, some, name("Archive")).await.unwrap()),
            _ => self.reclaim().await,
        }
    }

    /// Some messages at once.
    async fn deliver(&mut self) {
        let texts: Vec<String> = (0..self.random.usize(1..4)).map(|_| self.text()).collect();
        let (store, alice) = (&self.bed.store, self.alice);
        join_all(texts.iter().map(async |text| {
            let mut new = delivery(MessageId::new(), text, vec![recipient(alice, ALICE)]);
            if text.len() % 3 == 0 {
                new.body = staged(store, text).await;
            }
            store.deliver(new).await.unwrap().pop().unwrap().unwrap()
        }))
        .await;
    }

    fn text(&mut self) -> String {
        let length = self.random.usize(..2_000);
        let line = std::iter::repeat_with(|| self.random.alphanumeric()).take(length);
        format!("Subject: {}\r\n\r\n{}\r\n", self.recording.len(), line.collect::<String>())
    }

    async fn reclaim(&mut self) {
        let store = self.bed.store.clone();
        let segment = self.random.choice(store.segments()).unwrap();
        tokio::task::spawn_blocking(move || store.reclaim_segment(segment).unwrap()).await.unwrap();
    }

    /// Copies the rows, which may be in memory for the most part.
    fn copy(&mut self) {
        if self.random.bool() {
            self.bed.store.table().flush().unwrap();
        }
        let (dir, begun) = (TempDir::new().unwrap(), self.recording.len());
        copy_dir(self.bed.dir.path(), dir.path());
        std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
        self.copies.push(Copied { dir, begun, done: self.recording.len() });
    }

    /// The last copy of the rows that the disk can have had after so many steps: what is removed from the journal is in
    /// the rows for good.
    fn rows_before(&self, steps: usize) -> Option<&Copied> {
        let copies = self.copies.iter().rev();
        copies.filter(|copy| copy.done <= steps).find(|copy| !self.recording.removes(copy.begun..steps))
    }

    /// The power is lost after so many steps.
    async fn lose_power(&self, steps: usize, mut loss: Loss, rows: Option<&Copied>) {
        let context = format!("step {steps} of {}, {loss:?}, rows: {}", self.recording.len(), rows.is_some());
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        if let Some(copied) = rows {
            copy_dir(copied.dir.path(), dir.path());
        }
        std::fs::create_dir_all(dir.path().join("journal")).unwrap();
        self.recording.lost_after(steps, &mut loss).write(&dir.path().join("journal")).unwrap();
        let opened = LocalStore::open(StoreConfig { segment_bytes: 4 << 10, ..config(dir.path()) });
        let (store, opened) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(!opened.rebuilt && opened.damaged.is_empty(), "{context}: {opened:?}");
        assert_sound_aside(&store).await;
        let marks = self.recording.marks(steps);
        if let Some(&last) = marks.last() {
            let (last, told) = (last as usize, &self.told);
            let there = mail_of(&store, self.alice).await;
            expect(&there, &told[last], told.get(last + 1).unwrap_or(&told[last]), &context);
            let given = told[..=last].iter().flat_map(Mail::keys).filter(|(mailbox, _)| mailbox == "INBOX");
            let newest = given.map(|(_, uid)| *uid).max().unwrap_or_default();
            let placed = deliver(&store, self.alice, "and life goes on").await;
            assert!(placed.uid > newest, "{context}: UID {} was given before", placed.uid);
        }
        store.close().await.unwrap();
    }
}

async fn mail_of(store: &LocalStore, account: AccountId) -> Mail {
    let mut mail = Mail::new();
    for mailbox in store.mailboxes(account).unwrap() {
        for row in rows(store, mailbox.id).await {
            let text = text_of(store, row.email).await;
            mail.insert((mailbox.name.to_string(), row.uid), (row.flags, text));
        }
    }
    mail
}

/// All that was told, but for what the next step has changed, and nothing else.
fn expect(there: &Mail, told: &Mail, next: &Mail, context: &str) {
    for (message, content) in there {
        let is_known = [told, next].iter().any(|mail| mail.get(message) == Some(content));
        assert!(is_known, "{context}: {message:?} is {content:?}");
    }
    for (message, content) in told {
        let may_be_gone = !next.contains_key(message);
        assert!(may_be_gone || there.contains_key(message), "{context}: {message:?}, {content:?}, is lost");
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_told_survives_a_power_loss_after_every_step() {
    let (images, seed) = (variable("POWER_LOSS_IMAGES"), variable("POWER_LOSS_SEED").unwrap_or(1));
    let mut story = Story::begin(seed).await;
    for step in 0..STEPS {
        story.step().await;
        story.tell().await;
        if step % 4 == 0 {
            story.copy();
        }
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let all = story.recording.len();
    for steps in 0..=all {
        if images.is_none() && random.usize(..all) >= TRIED {
            continue;
        }
        let mut losses = vec![Loss::All, Loss::Nothing];
        losses.extend((0..images.unwrap_or(1)).map(|_| Loss::Sectors(random.fork())));
        for loss in losses {
            story.lose_power(steps, loss.clone(), None).await;
            if let Some(rows) = story.rows_before(steps) {
                story.lose_power(steps, loss, Some(rows)).await;
            }
        }
    }
}
