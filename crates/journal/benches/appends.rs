//! Durable appends per second, beside what the same bytes cost with plain writes and fdatasync.
//!
//! `cargo bench -p journal` runs it in a directory under `target/`, so on a real disk; `JOURNAL_BENCH_DIR` names
//! another.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first failure and prints"
)]

use std::{
    fs::{self, File},
    io::{IoSlice, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use journal::{Config, Journal, Record};

const WRITERS: usize = 16;
const MESSAGES: usize = 20_000;
const ROUNDS: usize = 3;
const META_BYTES: usize = 160;

fn main() {
    let dir = std::env::var_os("JOURNAL_BENCH_DIR").map_or_else(default_dir, PathBuf::from);
    let messages = messages();
    let total: usize = messages.iter().map(Bytes::len).sum();
    println!("{MESSAGES} messages, {:.1} MB, {WRITERS} writers, in {}", total as f64 / 1e6, dir.display());
    for round in 1..=ROUNDS {
        println!("round {round}");
        // A part of them is enough where each takes a sync of its own.
        let (all, part) = (&messages[..], &messages[..MESSAGES / 8]);
        let single = run(&dir, part, "raw: write + fdatasync each", |dir| raw(dir, part, 1));
        let grouped = run(&dir, all, "raw: 16 in one write + fdatasync", |dir| raw(dir, all, WRITERS));
        let threads = run(&dir, all, "journal: 16 threads", |dir| journal_threads(dir, all));
        let tasks = run(&dir, all, "journal: 16 tasks", |dir| journal_tasks(dir, all, WRITERS));
        let many = run(&dir, all, "journal: 256 tasks", |dir| journal_tasks(dir, all, 256));
        for (name, rate) in [("16 threads", threads), ("16 tasks", tasks), ("256 tasks", many)] {
            println!("  {name}: {:.2} x raw single, {:.2} x raw grouped", rate / single, rate / grouped);
        }
    }
}

fn default_dir() -> PathBuf {
    // The benchmark runs in the package's directory.
    Path::new("../../target").join("journal-bench")
}

/// Sizes as mail has them: half up to 12 KB, a long tail.
fn messages() -> Vec<Bytes> {
    let mut random = fastrand::Rng::with_seed(12);
    #[expect(clippy::cast_sign_loss, reason = "clamped")]
    let size = |random: &mut fastrand::Rng| {
        let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        (12_000.0 * (normal * 0.8).exp()).clamp(500.0, 1e6) as usize
    };
    let mut noise = vec![0; 1 << 20];
    random.fill(&mut noise);
    let noise = Bytes::from(noise);
    (0..MESSAGES)
        .map(|_| {
            let size = size(&mut random);
            let start = random.usize(..noise.len() - size);
            noise.slice(start..start + size)
        })
        .collect()
}

fn run(dir: &Path, messages: &[Bytes], name: &str, work: impl FnOnce(&Path) -> Duration) -> f64 {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).expect("benchmark directory");
    let seconds = work(dir).as_secs_f64();
    let bytes: usize = messages.iter().map(Bytes::len).sum();
    let rate = messages.len() as f64 / seconds;
    println!("  {name:<34} {rate:>8.0} messages/s {:>7.1} MB/s", bytes as f64 / 1e6 / seconds);
    fs::remove_dir_all(dir).expect("remove benchmark directory");
    rate
}

fn raw(dir: &Path, messages: &[Bytes], batch: usize) -> Duration {
    let mut file = File::create(dir.join("raw")).expect("create");
    let meta = [0; META_BYTES];
    let started = Instant::now();
    for batch in messages.chunks(batch) {
        let mut slices: Vec<_> =
            batch.iter().flat_map(|message| [IoSlice::new(&meta), IoSlice::new(message)]).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let written = file.write_vectored(slices).expect("write");
            IoSlice::advance_slices(&mut slices, written);
        }
        file.sync_data().expect("sync");
    }
    started.elapsed()
}

fn open(dir: &Path) -> Journal {
    Journal::open(Config::new(dir), ()).expect("open").0
}

fn record(message: &Bytes) -> Record {
    Record { kind: 1, meta: Bytes::from_static(&[0; META_BYTES]), body: message.clone() }
}

fn journal_threads(dir: &Path, messages: &[Bytes]) -> Duration {
    let journal = open(dir);
    let started = Instant::now();
    thread::scope(|scope| {
        for share in messages.chunks(messages.len().div_ceil(WRITERS)) {
            let journal = &journal;
            scope.spawn(move || {
                for message in share {
                    journal.append(record(message)).wait().expect("append");
                }
            });
        }
    });
    let elapsed = started.elapsed();
    journal.close().expect("close");
    elapsed
}

fn journal_tasks(dir: &Path, messages: &[Bytes], writers: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("runtime");
    let journal = open(dir);
    let started = Instant::now();
    runtime.block_on(async {
        let tasks = messages.chunks(messages.len().div_ceil(writers)).map(|share| {
            let (journal, share) = (journal.clone(), share.to_vec());
            tokio::spawn(async move {
                for message in &share {
                    journal.append(record(message)).await.expect("append");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("task");
        }
    });
    let elapsed = started.elapsed();
    journal.close().expect("close");
    elapsed
}
