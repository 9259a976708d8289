//! What the protocol costs, in CPU time: whole sessions on the server's side, and replies read on the client's.
//!
//! `cargo bench -p smtp`

#![allow(clippy::expect_used, reason = "a benchmark stops at the first failure")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use bytes::BytesMut;
use cpu_time::CpuTime;
use criterion::{BatchSize, Criterion, Throughput};
use smtp::reply::Parser;
use smtp::server::{Config, Event, Session};
use smtp::{Command, Reply};

/// Messages of a session.
const MESSAGES: usize = 10;
/// Octets that one read of a socket gives at most.
const READ: usize = 16 * 1024;

fn main() {
    let mut criterion = cpu_time::criterion();
    sessions(&mut criterion);
    commands(&mut criterion);
    replies(&mut criterion);
    criterion.final_summary();
}

fn sessions(criterion: &mut Criterion<CpuTime>) {
    let cases = [
        ("10 messages of 4 KiB", session(1, &text(4 << 10, ""))),
        ("10 messages of 64 KiB", session(1, &text(64 << 10, ""))),
        ("10 messages of 64 KiB with dots", session(1, &text(64 << 10, ".."))),
        ("10 messages to 100 recipients", session(100, &text(1 << 10, ""))),
    ];
    let config = Arc::new(Config::new("mx.example.test".parse().expect("a domain")));
    let mut group = criterion.benchmark_group("session");
    for (name, reads) in &cases {
        let octets = reads.iter().map(Vec::len).sum::<usize>();
        group.throughput(Throughput::ElementsAndBytes { elements: MESSAGES as u64, bytes: octets as u64 });
        assert_eq!(serve(&config, reads), MESSAGES, "{name}");
        group.bench_function(*name, |bencher| bencher.iter(|| serve(&config, black_box(reads))));
    }
    group.finish();
}

/// A message of so many octets, whose lines begin with `begin`.
fn text(octets: usize, begin: &str) -> String {
    let mut text = String::from("From: <alice@example.test>\r\nSubject: a message\r\n\r\n");
    while text.len() < octets {
        let line = text.len();
        let _ = write!(text, "{begin}octet {line} of a text such as people send to each other\r\n");
    }
    text
}

/// What the server reads of a client that waits for replies only where it has to.
fn session(recipients: usize, message: &str) -> Vec<Vec<u8>> {
    let mut reads = vec![b"EHLO client.example.test\r\n".to_vec()];
    for _ in 0..MESSAGES {
        let mut envelope = format!("MAIL FROM:<alice@example.test> SIZE={}\r\n", message.len());
        for number in 0..recipients {
            let _ = write!(envelope, "RCPT TO:<recipient{number}@example.test> NOTIFY=FAILURE\r\n");
        }
        envelope.push_str("DATA\r\n");
        reads.push(envelope.into_bytes());
        reads.extend(format!("{message}.\r\n").as_bytes().chunks(READ).map(<[u8]>::to_vec));
    }
    reads.push(b"QUIT\r\n".to_vec());
    reads
}

/// Takes everything. Returns how many messages came.
fn serve(config: &Arc<Config>, reads: &[Vec<u8>]) -> usize {
    let mut session = Session::new(Arc::clone(config), false);
    let (mut taken, mut reads) = (0, reads.iter());
    loop {
        match session.poll() {
            Event::Read => {
                session.output().clear();
                let Some(read) = reads.next() else { return taken };
                session.input().extend_from_slice(read);
            }
            Event::Close => return taken,
            Event::Chunk(chunk) => drop(black_box(chunk)),
            Event::Abort(_) => {}
            Event::Finish => {
                taken += 1;
                session.answer(Reply::new(250, 0, 0, "taken"));
            }
            _ => session.answer(Reply::new(250, 0, 0, "fine")),
        }
    }
}

fn commands(criterion: &mut Criterion<CpuTime>) {
    let lines = [
        "EHLO client.example.test",
        "MAIL FROM:<alice@example.test> SIZE=4096 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb",
        "RCPT TO:<bob@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+40example.test",
        "BDAT 65536 LAST",
        "QUIT",
    ];
    let parsed = || lines.iter().filter(|line| Command::parse(black_box(line.as_bytes())).is_ok()).count();
    assert_eq!(parsed(), lines.len());
    let mut group = criterion.benchmark_group("command");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("five lines", |bencher| bencher.iter(parsed));
    group.finish();
}

fn replies(criterion: &mut Criterion<CpuTime>) {
    const REPLIES: usize = 100;
    let five_lines =
        "250-mx.example.test\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 DSN\r\n";
    let cases = [("100 of one line", "250 2.1.5 recipient fine\r\n"), ("100 of five lines", five_lines)];
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(REPLIES as u64));
    for (name, reply) in cases {
        let input = BytesMut::from(reply.repeat(REPLIES).as_str());
        assert_eq!(read_replies(input.clone()), REPLIES);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| input.clone(), read_replies, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Reads all replies. Returns how many there were.
fn read_replies(mut input: BytesMut) -> usize {
    let mut parser = Parser::default();
    let replies = std::iter::from_fn(|| parser.parse(&mut input).expect("a reply that is well formed"));
    replies.map(black_box).count()
}
