use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::thread;

use message::MessageId;
use proto::mail::Reply;
use proto::mta::{Event, EventKind, WatchResponse};
use service::config::ByteSize;

use tokio::task::spawn_blocking;

use super::offset::Offset;
use super::watch::{From, Reader, WatchError};
use super::*;
use crate::config::EventsConfig;

/// A log that keeps four segments of 64 KiB.
const SMALL: u64 = 256 << 10;

fn open(dir: &Path, keep_bytes: u64) -> Events {
    Events::open(&EventsConfig { dir: dir.into(), keep: ByteSize(keep_bytes) }).unwrap()
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(Event::kind).collect()
}

/// Records an event whose detail is this number, and some octets.
fn record(events: &Events, number: usize) {
    let detail = format!("{number} {}", "x".repeat(200));
    events.record(MessageId::new(), EventKind::Attempt, Details { detail: &detail, ..Details::default() });
}

fn number(told: &WatchResponse) -> usize {
    let event = told.event.as_ref().unwrap();
    event.detail.split(' ').next().unwrap().parse().unwrap()
}

async fn reader(events: &Events, from: From) -> Reader {
    Reader::new(events, from, false, Vec::new()).await.unwrap()
}

/// So many events, waited for.
async fn take(reader: &mut Reader, count: usize) -> Vec<WatchResponse> {
    let mut told = Vec::new();
    while told.len() < count {
        told.push(reader.next().await.unwrap().unwrap());
    }
    told
}

/// All there is now.
async fn all(events: &Events, from: From, kinds: &[EventKind]) -> Vec<WatchResponse> {
    let mut reader = Reader::new(events, from, true, kinds.to_vec()).await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = reader.next().await.unwrap() {
        told.push(event);
    }
    told
}

fn after(told: &WatchResponse) -> From {
    From::After(Offset::parse(&told.offset).unwrap())
}

#[test]
fn a_message_has_its_own_story_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), 1 << 30);
    let (one, other) = (MessageId::new(), MessageId::new());
    for id in [one, other] {
        events.record(id, EventKind::Received, Details::default());
    }
    let reply = Reply { code: 250, enhanced: "2.0.0".into(), text: "ok".into() };
    let details = Details {
        recipient: "bob@example.test",
        reply: Some(&reply),
        said_by_peer: true,
        site: "mx.example.test",
        attempt: 3,
        ..Details::default()
    };
    events.record(one, EventKind::Delivered, details);
    assert_eq!(
        kinds(&events.of(one).unwrap().events),
        [EventKind::Received, EventKind::Delivered],
        "at once"
    );
    events.close().unwrap();

    let events = open(dir.path(), 1 << 30);
    let story = events.of(one).unwrap().events;
    assert_eq!(kinds(&story), [EventKind::Received, EventKind::Delivered]);
    assert_eq!((story[1].recipient.as_str(), story[1].reply.clone()), ("bob@example.test", Some(reply)));
    assert_eq!(
        (story[1].said_by_peer, story[1].attempt, story[1].site.as_str()),
        (true, 3, "mx.example.test")
    );
    assert!(story[1].at.is_some() && story[1].message_id == one.to_string());
    assert_eq!(kinds(&events.of(other).unwrap().events), [EventKind::Received]);
    assert!(events.of(MessageId::new()).unwrap().events.is_empty());
}

#[test]
fn the_oldest_events_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), SMALL);
    let (first, last) = (MessageId::new(), MessageId::new());
    events.record(first, EventKind::Received, Details::default());
    (0..2_000).for_each(|number| record(&events, number));
    events.record(last, EventKind::Received, Details::default());
    assert_eq!(events.of(first).unwrap().events.len(), 1);
    events.trim().unwrap();
    assert!(events.of(first).unwrap().events.is_empty());
    assert_eq!(events.of(last).unwrap().events.len(), 1);
}

#[test]
fn a_story_too_long_for_one_answer_is_told_from_both_ends() {
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), 1 << 30);
    let id = MessageId::new();
    let text = "x".repeat(10_000);
    for number in 0..500 {
        events.record(
            id,
            EventKind::Attempt,
            Details { attempt: number + 1, detail: &text, ..Details::default() },
        );
    }
    let story = events.of(id).unwrap();
    let told: Vec<u32> = story.events.iter().map(|event| event.attempt).collect();
    assert_eq!((told.first(), told.last()), (Some(&1), Some(&500)));
    assert!(told.is_sorted());
    assert_eq!(told.len() as u64 + story.left_out, 500);
    let octets: usize = story.events.iter().map(prost::Message::encoded_len).sum();
    assert!((2 << 20..4 << 20).contains(&octets), "{octets}");
}

#[tokio::test]
async fn from_every_offset_each_event_is_told_once_while_writers_go_on() {
    const WRITERS: usize = 4;
    const EACH: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), SMALL);
    let mut live = reader(&events, From::Oldest).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let events = events.clone();
            thread::spawn(move || (0..EACH).for_each(|number| record(&events, writer * EACH + number)))
        })
        .collect();
    let told = take(&mut live, WRITERS * EACH).await;
    for writer in writers {
        writer.join().unwrap();
    }

    let mut counts: HashMap<usize, usize> = HashMap::new();
    for told in &told {
        *counts.entry(number(told)).or_default() += 1;
    }
    assert!((0..WRITERS * EACH).all(|number| counts.get(&number) == Some(&1)));
    assert!(told.is_sorted_by(|a, b| a.offset < b.offset));
    for (place, told_then) in told.iter().enumerate() {
        let rest = all(&events, after(told_then), &[]).await;
        assert!(rest == told[place + 1..], "after number {place}");
    }

    // Another life of the node.
    drop(live);
    events.close().unwrap();
    let events = open(dir.path(), SMALL);
    record(&events, 7);
    for place in [0, 200, 398, 399] {
        let rest = all(&events, after(&told[place]), &[]).await;
        assert!(rest[..rest.len() - 1] == told[place + 1..]);
        assert_eq!(number(&rest[rest.len() - 1]), 7);
    }
}

#[tokio::test]
async fn a_reader_is_told_where_to_begin_where_to_end_and_of_what() {
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), SMALL);
    assert!(all(&events, From::Oldest, &[]).await.is_empty());
    record(&events, 1);
    let mut new = reader(&events, From::Now).await;
    let mut one_kind = Reader::new(&events, From::Oldest, false, vec![EventKind::Held]).await.unwrap();
    let until_now = Reader::new(&events, From::Oldest, true, Vec::new()).await.unwrap();
    record(&events, 2);
    events.record(MessageId::new(), EventKind::Held, Details { detail: "3", ..Details::default() });
    assert_eq!(take(&mut new, 2).await.iter().map(number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(number(&take(&mut one_kind, 1).await[0]), 3);
    let mut until_now = until_now;
    assert_eq!(number(&take(&mut until_now, 1).await[0]), 1);
    assert!(until_now.next().await.unwrap().is_none());
    assert!(all(&events, From::Now, &[]).await.is_empty());
    assert_eq!(all(&events, From::Oldest, &[EventKind::Held, EventKind::Attempt]).await.len(), 3);
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), SMALL);
    record(&events, 0);
    let first = all(&events, From::Oldest, &[]).await.remove(0);
    let mut slow = reader(&events, From::Oldest).await;
    let read = take(&mut slow, 1).await;
    assert_eq!(read[0], first);
    (1..3_000).for_each(|number| record(&events, number));
    let middle = all(&events, From::Oldest, &[]).await.remove(2_900);
    let trimming = events.clone();
    spawn_blocking(move || trimming.trim().unwrap()).await.unwrap();

    assert!(matches!(Reader::new(&events, after(&first), false, Vec::new()).await, Err(WatchError::Trimmed)));
    // One that is connected still has what was read before, and then no gap that it would not notice.
    let mut expected = 1;
    let ended = loop {
        match slow.next().await {
            Ok(Some(told)) => assert_eq!(number(&told), expected),
            Ok(None) => panic!("ended"),
            Err(error) => break error,
        }
        expected += 1;
    };
    assert!(matches!(ended, WatchError::Trimmed));
    assert_eq!(all(&events, after(&middle), &[]).await.len(), 99);
    let rest = all(&events, From::Oldest, &[]).await;
    assert!(rest.len() < 2_999 && number(&rest[rest.len() - 1]) == 2_999);
}

#[tokio::test]
async fn offsets_of_another_log_are_refused() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (events, others) = (open(here.path(), SMALL), open(there.path(), SMALL));
    record(&events, 1);
    (0..2).for_each(|number| record(&others, number));
    for foreign in all(&others, From::Oldest, &[]).await {
        let refused = Reader::new(&events, after(&foreign), false, Vec::new()).await;
        assert!(matches!(refused, Err(WatchError::Foreign)), "{}", foreign.offset);
    }
}

#[tokio::test]
async fn who_left_off_before_damage_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let events = open(dir.path(), SMALL);
    (0..600).for_each(|number| record(&events, number));
    let told = all(&events, From::Oldest, &[]).await;
    events.close().unwrap();
    let mut files: Vec<_> = dir.path().read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    let mut file = std::fs::File::options().read(true).write(true).open(&files[0]).unwrap();
    let mut octet = [0];
    file.seek(SeekFrom::Start(20_000)).unwrap();
    file.read_exact(&mut octet).unwrap();
    file.seek(SeekFrom::Start(20_000)).unwrap();
    file.write_all(&[!octet[0]]).unwrap();

    let events = open(dir.path(), SMALL);
    let left: Vec<_> = all(&events, From::Oldest, &[]).await.iter().map(number).collect();
    assert_eq!(left.len(), 599);
    let damaged = (0..600).find(|number| !left.contains(number)).unwrap();
    assert!(matches!(
        Reader::new(&events, after(&told[damaged - 1]), false, Vec::new()).await,
        Err(WatchError::Damaged)
    ));
    assert_eq!(all(&events, after(&told[damaged + 1]), &[]).await.len(), 600 - damaged - 2);
}

#[test]
fn what_is_no_offset_is_not_taken_for_one() {
    for text in ["", "0", "zz", &"0".repeat(31), &"g".repeat(32), &"+1".repeat(16), &"é".repeat(16)] {
        assert_eq!(Offset::parse(text), None, "{text}");
    }
    let text = "00000000000000010000004000c0ffee";
    assert_eq!(Offset::parse(text).unwrap().to_string(), text);
}
