//! One bit on the disk is another than the one that was written: what it damages is noticed, and all else is served.
//!
//! `BIT_FLIPS` says how many are tried, `BIT_FLIPS_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::*;

/// Flags, body and text of each message, by mailbox and UID; `None` for a text that cannot be read.
type Mail = BTreeMap<(String, Uid), (Flags, EmailId, Option<String>)>;

/// A store that was closed, and all that was in it.
struct Closed {
    dir: TempDir,
    alice: AccountId,
    mail: Mail,
    random: fastrand::Rng,
}

impl Closed {
    async fn new(doublings: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let store = open_small(dir.path()).unwrap().0;
        let alice = create_account(&store, "alice@example.test").await;
        for number in 0..40 {
            deliver(&store, alice, &format!("Subject: {number}\r\n\r\n{}\r\n", "text ".repeat(number * 7)))
                .await;
        }
        let inbox = inbox(&store, alice).id;
        store.copy(inbox, (5..15).collect(), name("Archive")).await.unwrap();
        store.store_flags(inbox, (10..20).collect(), FlagChange::Add(seen()), None).await.unwrap();
        store.expunge(inbox, (1..4).collect(), false).await.unwrap();
        // So many rows that they take several of sled's segments.
        for _ in 0..doublings {
            let archive = mailbox(&store, alice, "Archive").id;
            store.copy(archive, UidSet::all(), name("Archive")).await.unwrap();
        }
        let mail = mail_of(&store, alice).await.unwrap();
        store.close().await.unwrap();
        let random = fastrand::Rng::with_seed(variable("BIT_FLIPS_SEED", 1));
        Self { dir, alice, mail, random }
    }

    /// A copy in which one bit of the files below this folder was flipped, and where that is.
    fn flipped(&mut self, below: &str) -> (TempDir, String) {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        copy_dir(self.dir.path(), dir.path());
        let files: Vec<(PathBuf, Vec<u8>)> = files(&dir.path().join(below));
        // Where there is something: reserved space is zeros.
        let places: Vec<(usize, usize)> = files
            .iter()
            .enumerate()
            .flat_map(|(file, (_, bytes))| {
                bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(move |(at, _)| (file, at))
            })
            .collect();
        let &(file, at) = self.random.choice(&places).unwrap();
        let (path, mut bytes) = files.into_iter().nth(file).unwrap();
        let bit = self.random.u8(..8);
        bytes[at] ^= 1 << bit;
        std::fs::write(&path, bytes).unwrap();
        let name = path.strip_prefix(dir.path()).unwrap().display().to_string();
        (dir, format!("bit {bit} of octet {at} of {name}"))
    }
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Some(bytes) = std::fs::read(&path).ok().filter(|bytes| !bytes.is_empty()) {
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

fn open_small(dir: &Path) -> Result<(LocalStore, Opened)> {
    LocalStore::open(StoreConfig { segment_bytes: 4 << 10, ..config(dir) })
}

async fn mail_of(store: &LocalStore, account: AccountId) -> Result<Mail> {
    let mut mail = Mail::new();
    for mailbox in store.mailboxes(account)? {
        for row in store.rows(mailbox.id).await? {
            let text = match store.read(row.email, 0..u64::MAX).await {
                Ok(octets) => Some(String::from_utf8(octets.to_vec()).unwrap()),
                Err(StoreError::CorruptBody { .. }) => None,
                Err(error) => return Err(error),
            };
            mail.insert((mailbox.name.to_string(), row.uid), (row.flags, row.email, text));
        }
    }
    Ok(mail)
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_that_flips_in_the_journal_costs_at_most_what_it_stands_in() {
    let mut closed = Closed::new(0).await;
    for _ in 0..variable("BIT_FLIPS", 25) {
        let (dir, place) = closed.flipped("journal");
        let (store, _) = open_small(dir.path()).unwrap_or_else(|error| panic!("{place}: {error}"));
        let mail = mail_of(&store, closed.alice).await.unwrap_or_else(|error| panic!("{place}: {error}"));
        let mut unread = BTreeSet::new();
        assert!(mail.keys().eq(closed.mail.keys()), "{place}: {:?}", mail.keys());
        for (message, (flags, email, text)) in &mail {
            let before = &closed.mail[message];
            assert_eq!((flags, email), (&before.0, &before.1), "{place}");
            match text {
                Some(text) => assert_eq!(Some(text), before.2.as_ref(), "{place}"),
                None => drop(unread.insert(*email)),
            }
        }
        let checked = store.clone();
        let report = tokio::task::spawn_blocking(move || {
            checked.check(CheckOptions { bodies: true, rebuild: true }, &mut |_| Ok(())).unwrap()
        });
        let report = report.await.unwrap();
        assert!(
            unread.is_empty() || !report.is_sound(),
            "{place}: {unread:?} cannot be read, and no check tells"
        );
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_that_flips_in_the_rows_costs_nothing() {
    let mut closed = Closed::new(9).await;
    for _ in 0..variable("BIT_FLIPS", 8) {
        let (dir, place) = closed.flipped("state");
        let (store, _) = open_small(dir.path()).unwrap_or_else(|error| panic!("{place}: {error}"));
        let mail = mail_of(&store, closed.alice).await;
        store.close().await.unwrap();
        if mail.is_ok_and(|mail| mail == closed.mail) {
            continue;
        }
        // It was noticed, and is mended by the next start.
        let (store, opened) = open_small(dir.path()).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(opened.rebuilt, "{place}: what is served is wrong, and nobody noticed");
        assert_eq!(mail_of(&store, closed.alice).await.unwrap(), closed.mail, "{place}");
        assert_sound_aside(&store).await;
        store.close().await.unwrap();
    }
}
