//! What CPU time it costs to read the structure of a message, which is done once for each that is stored.
//!
//! `cargo bench -p mda --bench outline`

#![allow(clippy::expect_used, reason = "a benchmark stops at the first failure")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use criterion::Throughput;
use mda::outline::Outline;

// As the service itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let mut criterion = cpu_time::criterion();
    let mut group = criterion.benchmark_group("outline");
    let cases = [
        ("real messages", corpus()),
        ("an attachment of 1 MiB", vec![attached()]),
        ("1,000 parts", vec![parts()]),
    ];
    for (name, messages) in &cases {
        let octets = messages.iter().map(Vec::len).sum::<usize>() as u64;
        group.throughput(Throughput::ElementsAndBytes { elements: messages.len() as u64, bytes: octets });
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                messages.iter().map(|message| Outline::of(black_box(message)).encode().len()).sum::<usize>()
            });
        });
    }
    let kept: Vec<Bytes> = cases[0].1.iter().map(|message| Outline::of(message).encode()).collect();
    group.throughput(Throughput::Elements(kept.len() as u64));
    group.bench_function("real messages, as they are kept", |bencher| {
        let structures = || kept.iter().filter_map(|kept| Outline::decode(kept.clone())?.structure());
        bencher.iter(|| structures().map(black_box).count());
    });
    group.finish();
    criterion.final_summary();
}

/// Messages of many programs, in the order of their names.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/legacy");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a message")).collect()
}

/// A short text and a large file.
fn attached() -> Vec<u8> {
    let mut message = "From: <alice@example.test>\r\nSubject: the file\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\n\
        Here it is.\r\n--edge\r\nContent-Type: application/octet-stream; name=file\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n"
        .to_owned();
    message.push_str(&format!("{}\r\n", "QUJD".repeat(19)).repeat((1 << 20) / 78));
    message.push_str("--edge--\r\n");
    message.into_bytes()
}

/// Ten multiparts within each other, of a hundred parts each.
fn parts() -> Vec<u8> {
    let mut message = String::from("From: <alice@example.test>\r\nMIME-Version: 1.0\r\n");
    for depth in 0..10 {
        let _ = write!(message, "Content-Type: multipart/mixed; boundary=edge{depth}\r\n\r\n");
        for part in 0..99 {
            let _ = write!(message, "--edge{depth}\r\nContent-Type: text/plain\r\n\r\npart {part}\r\n");
        }
        let _ = write!(message, "--edge{depth}\r\n");
    }
    message.push_str("\r\nthe innermost\r\n");
    (0..10).rev().for_each(|depth| _ = write!(message, "--edge{depth}--\r\n"));
    message.into_bytes()
}
