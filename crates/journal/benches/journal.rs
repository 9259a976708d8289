//! Durable appends beside what the same bytes cost with plain writes and fdatasync, and reads.
//!
//! `cargo bench -p journal` appends on the disk that has `target/` (`JOURNAL_BENCH_DIR` names another folder) and measures
//! time there. In memory, where a sync costs nothing, it measures CPU time: the journal's own cost, steady enough to
//! compare. So it does for reads.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first failure")]

use std::fs::File;
use std::hint::black_box;
use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use cpu_time::{CpuTime, messages};
use criterion::measurement::Measurement;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use journal::{BodyRef, Config, Journal, Position, Record, Verdict};
use rustix::fs::{FallocateFlags, fallocate};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const WRITERS: usize = 16;
/// Messages that each turn of a measurement makes durable.
const MESSAGES: usize = 512;
static META: [u8; 160] = [0; 160];
const MEMORY: &str = "/dev/shm";

fn main() {
    let disk =
        std::env::var_os("JOURNAL_BENCH_DIR").map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let messages = messages(MESSAGES);
    let (mut by_time, mut by_cpu_time) = (Criterion::default().configure_from_args(), cpu_time::criterion());
    appends(&mut by_time, "append to disk", &disk, &messages);
    if Path::new(MEMORY).is_dir() {
        appends(&mut by_cpu_time, "append in memory", Path::new(MEMORY), &messages);
    }
    reads(&mut by_cpu_time, &disk, &messages);
    by_cpu_time.final_summary();
}

fn appends<M: Measurement>(criterion: &mut Criterion<M>, name: &str, folder: &Path, messages: &[Bytes]) {
    let dir = tempfile::tempdir_in(folder).expect("a folder for the benchmark");
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(10));
    // A part of them is enough where each takes a sync of its own.
    for (name, messages, batch) in
        [("raw, a sync each", &messages[..MESSAGES / 8], 1), ("raw, 16 in one sync", messages, WRITERS)]
    {
        group.throughput(throughput(messages));
        group.bench_function(name, |bencher| {
            let create = || reserved(&dir.path().join("raw"), messages);
            bencher.iter_batched(create, |file| raw(file, messages, batch), BatchSize::PerIteration);
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let journal = open(&dir.path().join("journal"));
    group.throughput(throughput(messages));
    for writers in [WRITERS, 8 * WRITERS] {
        group.bench_function(format!("{writers} writers"), |bencher| {
            let append = |()| append_all(&runtime, &journal, messages, writers);
            bencher.iter_batched(|| remove_what_is_full(&journal), append, BatchSize::PerIteration);
        });
    }
    journal.close().expect("close");
    group.finish();
}

fn throughput(messages: &[Bytes]) -> Throughput {
    let bytes = messages.iter().map(Bytes::len).sum::<usize>() as u64;
    Throughput::ElementsAndBytes { elements: messages.len() as u64, bytes }
}

/// A new file with room for the messages. The journal's segments have theirs too: a file that grows has its length written
/// at each sync as well.
fn reserved(path: &Path, messages: &[Bytes]) -> File {
    let file = File::create(path).expect("create");
    let length = messages.iter().map(|message| META.len() + message.len()).sum::<usize>() as u64;
    fallocate(&file, FallocateFlags::empty(), 0, length).expect("reserve");
    file
}

/// Writes to a file and syncs it behind each so many messages.
fn raw(mut file: File, messages: &[Bytes], batch: usize) {
    for batch in messages.chunks(batch) {
        let mut slices: Vec<_> =
            batch.iter().flat_map(|message| [IoSlice::new(&META), IoSlice::new(message)]).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let written = file.write_vectored(slices).expect("write");
            IoSlice::advance_slices(&mut slices, written);
        }
        file.sync_data().expect("sync");
    }
}

fn open(dir: &Path) -> Journal {
    Journal::open(Config { segment_bytes: 64 << 20, ..Config::new(dir) }, ()).expect("open").0
}

fn record(body: &Bytes) -> Record {
    Record { kind: 1, meta: Bytes::from_static(&META), body: body.clone() }
}

/// Each writer appends its share, the next message when the last is durable.
fn append_all(runtime: &Runtime, journal: &Journal, messages: &[Bytes], writers: usize) {
    let tasks = messages.chunks(messages.len() / writers).map(|share| {
        let (journal, share) = (journal.clone(), share.to_vec());
        runtime.spawn(async move {
            for body in &share {
                journal.append(record(body)).await.expect("append");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        runtime.block_on(task).expect("a writer");
    }
}

fn remove_what_is_full(journal: &Journal) {
    for candidate in journal.reclaim_candidates(1.0) {
        journal.reclaim(candidate.segment, |_| Verdict::Drop).expect("reclaim");
    }
}

/// A journal that holds all messages.
struct Full {
    journal: Journal,
    stored: Vec<(Position, BodyRef)>,
    _dir: TempDir,
}

impl Full {
    fn of(messages: &[Bytes], folder: &Path) -> Self {
        let dir = tempfile::tempdir_in(folder).expect("a folder for the benchmark");
        let journal = open(dir.path());
        let appends = messages.iter().map(|body| journal.append(record(body)));
        let appended = appends.collect::<Vec<_>>().into_iter().map(|append| append.wait().expect("append"));
        let mut stored: Vec<_> = appended.map(|appended| (appended.position, appended.body)).collect();
        fastrand::Rng::with_seed(3).shuffle(&mut stored);
        Self { journal, stored, _dir: dir }
    }
}

/// Everything is in the page cache, as mail is that just came.
fn reads(criterion: &mut Criterion<CpuTime>, folder: &Path, messages: &[Bytes]) {
    let Full { journal, stored, _dir } = Full::of(messages, folder);
    let mut group = criterion.benchmark_group("read");
    group.throughput(throughput(messages));
    group.bench_function("whole bodies", |bencher| {
        bencher.iter(|| {
            for (_, body) in &stored {
                black_box(journal.read(body, 0..body.len()).expect("read"));
            }
        });
    });
    group.throughput(Throughput::Elements(MESSAGES as u64));
    let beginnings: Vec<_> = stored.iter().map(|(_, body)| (body.clone(), 0..body.len().min(400))).collect();
    group.bench_function("beginnings together", |bencher| {
        bencher.iter(|| journal.read_many(&beginnings).into_iter().all(|read| read.is_ok()));
    });
    group.bench_function("records without bodies", |bencher| {
        bencher.iter(|| stored.iter().all(|(position, _)| black_box(journal.entry(*position)).is_ok()));
    });
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let mut count = 0;
            journal
                .scan(None, |_| {
                    count += 1;
                    Ok(())
                })
                .expect("scan");
            count
        });
    });
    group.finish();
}
