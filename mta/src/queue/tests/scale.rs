//! What a long queue costs: `cargo test --release -p mta --lib a_million -- --ignored --nocapture`.
//!
//! `SPOOL_BENCH_MESSAGES` sets how many (1,000,000), `SPOOL_BENCH_DIR` where; a spool that is there already is only
//! opened, so that a second run shows what a start takes in memory and nothing else.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::future::join_all;
use proto::mail::Reply;
use proto::mta::RecipientState;

use super::*;
use crate::spool::Said;

/// The services' allocator, so that memory is what it is there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Octets of address text in each message.
const ADDRESS: usize = "user0000000@customer000.example".len();
/// So much may a recipient take beside its address.
const MOST: usize = 400;
/// So long may a start take.
const LONGEST: Duration = Duration::from_secs(30);

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn open(dir: &Path) -> JournalSpool {
    let config = SpoolConfig { dir: dir.into(), min_free: ByteSize(0), ..SpoolConfig::default() };
    JournalSpool::open(&config).unwrap().0
}

/// Accepted, tried, and deferred: one in ten with words of its own.
async fn defer(spool: &JournalSpool, n: usize, body: Bytes) {
    let address = format!("user{n:07}@customer{:03}.example", n % 1_000);
    let mut message = new_message(vec![Recipient { address, ..Recipient::default() }]);
    message.envelope.account = format!("account{}", n % 100);
    spool.accept(message.clone(), body).await.unwrap();
    let begun = RecipientStatus { state: RecipientState::InFlight, attempts: 1, ..Default::default() };
    spool.progress(message.id, vec![(0, begun)]).await.unwrap();
    let own = if n.is_multiple_of(10) { format!(" (queue id {n:08x})") } else { String::new() };
    let text = format!("mailbox temporarily unavailable, please try again later{own}");
    let reply = Reply { code: 450, enhanced: "4.2.1".into(), text };
    let peer = format!("mx{}.example 192.0.2.{}:25", n % 50, n % 50);
    let last = Some(Arc::new(Said { reply, peer: peer.into(), by_peer: true }));
    // Within the next day, so that a spool that was made before still waits.
    let next_attempt_at = crate::clock::now() + 3_600_000 + fastrand::u64(0..86_400_000);
    let deferred = RecipientStatus { attempts: 1, next_attempt_at, last, ..Default::default() };
    spool.progress(message.id, vec![(0, deferred)]).await.unwrap();
}

async fn make(dir: &Path, messages: usize) {
    let (spool, body, started) = (open(dir), Bytes::from(vec![b'x'; 4_000]), Instant::now());
    for batch in (0..messages).collect::<Vec<_>>().chunks(2_000) {
        join_all(batch.iter().map(|&n| defer(&spool, n, body.clone()))).await;
    }
    let rate = messages as f64 / started.elapsed().as_secs_f64();
    println!("made in {:.1?}: {rate:.0} messages/s", started.elapsed());
    spool.close().unwrap();
}

/// From the start of a node to when it can begin to work, as [`crate::server::build`] does it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes and gigabytes: for figures"]
async fn a_million_deferred_messages_are_ready_soon_and_small() {
    let messages = std::env::var("SPOOL_BENCH_MESSAGES").map_or(1_000_000, |count| count.parse().unwrap());
    let dir = std::env::var_os("SPOOL_BENCH_DIR").map(PathBuf::from);
    let temporary = tempfile::tempdir_in(".").unwrap();
    let dir = dir.unwrap_or_else(|| temporary.path().to_owned());
    let is_new = !dir.join("0000000000000001.seg").exists();
    if is_new {
        make(&dir, messages).await;
    }
    let other_parts = parts(temporary.path(), Faulty::open(temporary.path()));
    let (before, started) = (resident(), Instant::now());
    let spool = open(&dir);
    let (opened, with_spool) = (started.elapsed(), resident());
    let queue = Queue::new(Parts { spool: Arc::new(spool), ..other_parts });
    let (ready, with_queue) = (started.elapsed(), resident());

    let each = |octets: usize| (octets / messages).saturating_sub(ADDRESS);
    let of_spool = each(with_spool.saturating_sub(before));
    let of_both = each(with_queue.saturating_sub(before));
    println!("{} units wait: spool open after {opened:.1?}, in order after {ready:.1?}", queue.len());
    println!("RSS {} MB; for each recipient beside its address:", with_queue >> 20);
    println!("  {of_spool} octets in the spool's index, {of_both} with its place in the order");
    assert_eq!(queue.len(), messages);
    assert!(ready <= LONGEST);
    // What making the spool left in the allocator hides what opening it takes.
    assert!(is_new || of_both <= MOST);
}
