//! What a long queue costs: `cargo test --release -p mta --lib a_million -- --ignored --nocapture`.
//!
//! `SPOOL_BENCH_MESSAGES` sets how many (1,000,000), `SPOOL_BENCH_DIR` where; a spool that is there already is only
//! opened, so that a second run shows what a start takes in memory and nothing else.

use std::path::PathBuf;
use std::time::Instant;

use futures_util::future::join_all;

use super::*;

/// The services' allocator, so that memory is what it is there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Octets of address text in each message.
const ADDRESS: usize = "user0000000@customer000.example".len();

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn open_large(dir: &Path) -> JournalSpool {
    let config = SpoolConfig { dir: dir.into(), min_free: ByteSize(0), ..SpoolConfig::default() };
    JournalSpool::open(&config).unwrap().0
}

fn deferrable(n: usize) -> NewMessage {
    let mut message = new_message(1);
    message.envelope.recipients[0].address = format!("user{n:07}@customer{:03}.example", n % 1_000);
    message.envelope.account = format!("account{}", n % 100);
    message.envelope.received_at = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    message
}

/// Accepted, tried, and deferred: one in ten with words of its own.
async fn defer(spool: &JournalSpool, n: usize, body: Bytes) {
    let message = deferrable(n);
    spool.accept(message.clone(), body).await.unwrap();
    let begun = Status { state: RecipientState::InFlight, attempts: 1, ..Status::default() };
    spool.progress(message.id, vec![(0, begun)]).await.unwrap();
    let own = if n.is_multiple_of(10) { format!(" (queue id {n:08x})") } else { String::new() };
    let text = format!("mailbox temporarily unavailable, please try again later{own}");
    let reply = Reply { code: 450, enhanced: "4.2.1".into(), text };
    let peer = format!("mx{}.example 192.0.2.{}:25", n % 50, n % 50);
    let last = Some(Arc::new(Said { reply, peer: peer.into(), by_peer: true }));
    let next_attempt_at = 1_700_000_300_000 + n as u64;
    let deferred = Status { attempts: 1, next_attempt_at, last, ..Status::default() };
    spool.progress(message.id, vec![(0, deferred)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes and gigabytes: for figures"]
async fn a_million_deferred_messages_are_ready_soon_and_small() {
    let messages = std::env::var("SPOOL_BENCH_MESSAGES").map_or(1_000_000, |count| count.parse().unwrap());
    let dir = std::env::var_os("SPOOL_BENCH_DIR").map(PathBuf::from);
    let temporary = tempfile::tempdir_in(".").unwrap();
    let dir = dir.unwrap_or_else(|| temporary.path().to_owned());
    if !dir.join("0000000000000001.seg").exists() {
        let (spool, body, started) = (open_large(&dir), Bytes::from(vec![b'x'; 4_000]), Instant::now());
        for batch in (0..messages).collect::<Vec<_>>().chunks(2_000) {
            join_all(batch.iter().map(|&n| defer(&spool, n, body.clone()))).await;
        }
        println!(
            "made in {:.1?}: {:.0} messages/s",
            started.elapsed(),
            messages as f64 / started.elapsed().as_secs_f64()
        );
        println!("RSS with the spool that made it: {} MB", resident() >> 20);
        spool.close().unwrap();
    }
    let (before, started) = (resident(), Instant::now());
    let spool = open_large(&dir);
    let (taken, octets) = (started.elapsed(), resident().saturating_sub(before));
    println!("opened in {taken:.1?}; RSS {} MB, {} MB of it for the spool", resident() >> 20, octets >> 20);
    println!("{} octets for each recipient beside its address", (octets / messages).saturating_sub(ADDRESS));
    assert_eq!(spool.len(), messages);
}
