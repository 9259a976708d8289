use std::path::Path;
use std::time::Duration;

use journal::faults::Faults;
use proto::mail::{Recipient, Reply};
use proto::mta::RecipientState;

use service::config::ByteSize;

use super::*;

mod handing_over;
mod steering;

fn open(dir: &Path) -> JournalSpool {
    let config = SpoolConfig {
        dir: dir.into(),
        min_free: ByteSize(0),
        segment_size: ByteSize::kib(64),
        ..SpoolConfig::default()
    };
    JournalSpool::open(&config).unwrap().0
}

fn new_message(recipients: usize) -> NewMessage {
    let id = MessageId::new();
    let recipients = (0..recipients)
        .map(|n| Recipient { address: format!("user{n}@remote.test"), ..Recipient::default() })
        .collect();
    let envelope = Envelope {
        message_id: id.to_string(),
        reverse_path: "alice@example.test".into(),
        recipients,
        ..Envelope::default()
    };
    NewMessage {
        id,
        envelope,
        deadlines: Deadlines::All(1_000),
        recipients: Vec::new(),
        settles: None,
        hand_overs: 0,
    }
}

fn status(state: RecipientState, attempts: u32) -> Status {
    let reply = Reply { code: 250, enhanced: "2.0.0".into(), text: "said".into() };
    let last = Some(Arc::new(Said { reply, peer: "mx.remote.test".into(), by_peer: true }));
    Status { state, attempts, last, ..Status::default() }
}

async fn accept(spool: &JournalSpool, message: &NewMessage, body: &Bytes) -> Accepted {
    spool.accept(message.clone(), body.clone()).await.unwrap()
}

async fn body_of(spool: &JournalSpool, id: MessageId) -> Bytes {
    let message = spool.get(id).unwrap();
    spool.read(&message, 0..message.size).await.unwrap()
}

fn ids(spool: &JournalSpool) -> Vec<MessageId> {
    spool.page(None, usize::MAX).iter().map(|message| message.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_there_with_its_body_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (message, body) = (new_message(2), Bytes::from_static(b"Subject: hi\r\n\r\nhello\r\n"));
    let spool = open(dir.path());
    assert!(matches!(accept(&spool, &message, &body).await, Accepted::New(_)));
    spool.progress(message.id, vec![(1, status(RecipientState::Delivered, 1))]).await.unwrap();
    spool.close().unwrap();

    let spool = open(dir.path());
    let found = spool.get(message.id).unwrap();
    assert_eq!(*spool.envelope(&found).await.unwrap(), message.envelope);
    assert_eq!((found.size, found.deadline(1)), (body.len() as u64, 1_000));
    let states: Vec<_> = found.statuses().iter().map(|status| status.state).collect();
    assert_eq!(states, [RecipientState::Queued, RecipientState::Delivered]);
    assert_eq!(body_of(&spool, message.id).await, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_attempt_begins_without_a_record_of_its_own_once_and_not_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let message = new_message(1);
    let begun = |attempts| Status { state: RecipientState::InFlight, attempts, ..Status::default() };
    let found = |spool: &JournalSpool| {
        let status = spool.get(message.id).unwrap().status(0).unwrap();
        (status.state, status.attempts)
    };

    let spool = open(dir.path());
    accept(&spool, &message, &Bytes::from_static(b"x")).await;
    spool.begin(message.id, vec![(0, begun(1))]).await.unwrap();
    assert_eq!(found(&spool), (RecipientState::InFlight, 1));
    spool.close().unwrap();

    // The one that may have been made is made again, and this time recorded: what crashes this node whenever it is
    // tried is not tried at every start.
    let spool = open(dir.path());
    assert_eq!(found(&spool), (RecipientState::Queued, 0));
    spool.begin(message.id, vec![(0, begun(1))]).await.unwrap();
    spool.close().unwrap();
    let spool = open(dir.path());
    assert_eq!(found(&spool), (RecipientState::InFlight, 1));
    spool.begin(message.id, vec![(0, begun(2))]).await.unwrap();
    spool.close().unwrap();
    assert_eq!(found(&open(dir.path())), (RecipientState::InFlight, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_first_attempt_begins_while_its_outcome_could_not_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let config = journal::Config { faults: faults.clone(), ..journal::Config::new(dir.path()) };
    let (spool, _) = JournalSpool::open_journal(config, Duration::from_secs(15)).unwrap();
    let messages = [new_message(1), new_message(1), new_message(1), new_message(1)];
    for message in &messages {
        accept(&spool, message, &Bytes::from_static(b"x")).await;
    }
    let begin =
        |message: usize| spool.begin(messages[message].id, vec![(0, status(RecipientState::InFlight, 1))]);
    begin(0).await.unwrap();

    faults.limit_writes(Some(0));
    let outcome = spool.progress(messages[0].id, vec![(0, status(RecipientState::Delivered, 1))]).await;
    assert!(matches!(outcome, Err(SpoolError::Full(_))), "{outcome:?}");
    assert!(matches!(begin(1).await, Err(SpoolError::Full(_))));
    // The one that asks is the one that is recorded when there is room again; the next need not be.
    faults.limit_writes(None);
    begin(1).await.unwrap();
    begin(2).await.unwrap();

    faults.fail_syncs(true);
    let outcome = spool.progress(messages[2].id, vec![(0, status(RecipientState::Delivered, 1))]).await;
    assert!(matches!(outcome, Err(SpoolError::Stopped(_))), "{outcome:?}");
    assert!(matches!(begin(3).await, Err(SpoolError::Stopped(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_first_attempt_begins_while_an_outcome_could_not_be_written_with_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let config = journal::Config { faults: faults.clone(), ..journal::Config::new(dir.path()) };
    let (spool, _) = JournalSpool::open_journal(config, Duration::from_secs(15)).unwrap();
    let (failing, others) = (new_message(1), [new_message(1), new_message(1)]);
    for message in [&failing, &others[0], &others[1]] {
        accept(&spool, message, &Bytes::from_static(b"x")).await;
    }
    let settles = Some((failing.id, vec![(0, status(RecipientState::Bounced, 1))]));
    let report = NewMessage { settles, ..new_message(1) };
    let begin =
        |message: usize| spool.begin(others[message].id, vec![(0, status(RecipientState::InFlight, 1))]);

    faults.limit_writes(Some(0));
    let outcome = spool.accept(report.clone(), Bytes::from_static(b"sorry")).await;
    assert!(matches!(outcome, Err(SpoolError::Full(_))), "{outcome:?}");
    assert!(matches!(begin(0).await, Err(SpoolError::Full(_))));
    faults.limit_writes(None);
    accept(&spool, &report, &Bytes::from_static(b"sorry")).await;
    faults.limit_writes(Some(0));
    begin(0).await.unwrap();
    begin(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_kept_in_memory_until_its_first_outcome_with_or_without_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let (delivered, failing, body) = (new_message(1), new_message(1), Bytes::from_static(b"x"));
    for message in [&delivered, &failing] {
        accept(&spool, message, &body).await;
        assert!(spool.fresh.get(message.id).is_some());
    }
    deliver(&spool, delivered.id).await;
    let settles = Some((failing.id, vec![(0, status(RecipientState::Bounced, 1))]));
    let report = NewMessage { settles, ..new_message(1) };
    accept(&spool, &report, &body).await;
    let kept = [&delivered, &failing, &report].map(|message| spool.fresh.get(message.id).is_some());
    assert_eq!(kept, [false, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_keeps_its_deadline_wherever_its_record_goes() {
    let dir = tempfile::tempdir().unwrap();
    let deadlines = Deadlines::new(vec![3_000, 1_000, 2_000]);
    let message = NewMessage { deadlines, ..new_message(3) };
    let spool = open(dir.path());
    accept(&spool, &message, &Bytes::from(vec![b'x'; 4_000])).await;
    spool.progress(message.id, vec![(1, status(RecipientState::Delivered, 1))]).await.unwrap();
    fill_a_segment(&spool).await;
    let (emptying, oldest) = (spool.clone(), spool.journal.segments()[0]);
    tokio::task::spawn_blocking(move || emptying.empty(oldest)).await.unwrap().unwrap();
    spool.close().unwrap();

    let found = open(dir.path()).get(message.id).unwrap();
    assert_eq!([0, 1, 2].map(|index| found.deadline(index)), [3_000, 1_000, 2_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_body_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let message = new_message(1);
    let mut staging = spool.stage();
    let mut body = Vec::new();
    for n in 0..100_u8 {
        let chunk = Bytes::from(vec![n; 10_000]);
        body.extend_from_slice(&chunk);
        staging.write(chunk).await.unwrap();
    }
    staging.commit(message.clone()).await.unwrap();
    assert_eq!(body_of(&spool, message.id).await, body);
    let found = spool.get(message.id).unwrap();
    assert_eq!(spool.read(&found, 9_990..20_010).await.unwrap(), body[9_990..20_010]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_hand_over_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let (message, body) = (new_message(1), Bytes::from_static(b"x"));
    let (first, second) = tokio::join!(
        spool.accept(message.clone(), body.clone()),
        spool.accept(message.clone(), body.clone())
    );
    let new = [first.unwrap(), second.unwrap()].iter().filter(|a| matches!(a, Accepted::New(_))).count();
    assert_eq!((new, spool.len()), (1, 1));

    spool.progress(message.id, vec![(0, status(RecipientState::Delivered, 1))]).await.unwrap();
    assert!(matches!(accept(&spool, &message, &body).await, Accepted::Known));
    assert_eq!(spool.len(), 0);
    spool.close().unwrap();

    let spool = open(dir.path());
    assert!(matches!(accept(&spool, &message, &body).await, Accepted::Known));
    assert_eq!(spool.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_and_the_failure_it_reports_are_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let (failing, body) = (new_message(1), Bytes::from_static(b"x"));
    accept(&spool, &failing, &body).await;
    let settles = Some((failing.id, vec![(0, status(RecipientState::Bounced, 1))]));
    let report = NewMessage { settles, ..new_message(1) };
    accept(&spool, &report, &body).await;
    assert_eq!(ids(&spool), [report.id]);
    spool.close().unwrap();
    assert_eq!(ids(&open(dir.path())), [report.id]);
}

/// A minimum of free space that this disk is under, but not under half of it.
fn more_than_is_free() -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let config = journal::Config { min_free_bytes: u64::MAX, ..journal::Config::new(dir.path()) };
    let (journal, _) = journal::Journal::open(config, ()).unwrap();
    match std::thread::spawn(move || journal.append(journal::Record::default()).wait()).join().unwrap() {
        Err(journal::Error::DiskFull { free, .. }) => free / 2 * 3,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_leave_a_full_disk_and_give_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let (messages, body) = ([new_message(1), new_message(1)], Bytes::from(vec![b'x'; 60_000]));
    let spool = open(dir.path());
    for message in &messages {
        accept(&spool, message, &body).await;
    }
    spool.close().unwrap();

    let min_free = ByteSize(more_than_is_free());
    let config = SpoolConfig {
        dir: dir.path().into(),
        min_free,
        segment_size: ByteSize::kib(64),
        ..SpoolConfig::default()
    };
    let spool = JournalSpool::open(&config).unwrap().0;
    let refused = spool.accept(new_message(1), body.clone()).await;
    assert!(matches!(refused, Err(SpoolError::Full(_))), "{refused:?}");

    spool.progress(messages[0].id, vec![(0, status(RecipientState::Delivered, 1))]).await.unwrap();
    let settles = Some((messages[1].id, vec![(0, status(RecipientState::Bounced, 1))]));
    let report = NewMessage { settles, ..new_message(1) };
    accept(&spool, &report, &Bytes::from_static(b"sorry")).await;
    assert_eq!(ids(&spool), [report.id]);
    let (reclaiming, before) = (spool.clone(), size_of(dir.path()));
    tokio::task::spawn_blocking(move || reclaiming.reclaim()).await.unwrap().unwrap();
    assert!(size_of(dir.path()) < before / 4, "{} of {before} bytes are left", size_of(dir.path()));
    spool.close().unwrap();

    let spool = open(dir.path());
    accept(&spool, &new_message(1), &body).await;
    assert_eq!(spool.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn reclaiming_gives_space_back_and_keeps_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let body = |n: usize| Bytes::from(vec![b'a' + (n % 26) as u8; 4_000]);
    let mut waiting = Vec::new();
    for n in 0..400 {
        let message = new_message(2);
        accept(&spool, &message, &body(n)).await;
        spool.progress(message.id, vec![(0, status(RecipientState::Delivered, 1))]).await.unwrap();
        if n % 40 == 7 {
            waiting.push((message.id, body(n)));
        } else {
            spool.progress(message.id, vec![(1, status(RecipientState::Bounced, 2))]).await.unwrap();
        }
    }
    let before = size_of(dir.path());
    let reclaiming = spool.clone();
    tokio::task::spawn_blocking(move || reclaiming.reclaim()).await.unwrap().unwrap();
    assert!(size_of(dir.path()) < before / 4, "{} of {before} bytes are left", size_of(dir.path()));

    spool.close().unwrap();
    let spool = open(dir.path());
    assert_eq!(ids(&spool), waiting.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for (id, body) in &waiting {
        assert_eq!(spool.get(*id).unwrap().status(0).unwrap().state, RecipientState::Delivered);
        assert_eq!(body_of(&spool, *id).await, body);
    }
}

fn size_of(dir: &Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// A message ends while its segment is being reclaimed: the copy stands behind the record of its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ended_does_not_come_back_with_its_copy() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let filler = Bytes::from(vec![b'x'; 4_000]);
    let (kept, ending) = (new_message(1), new_message(1));
    accept(&spool, &ending, &filler).await;
    accept(&spool, &kept, &filler).await;
    for _ in 0..60 {
        let message = new_message(1);
        accept(&spool, &message, &filler).await;
        spool.progress(message.id, vec![(0, status(RecipientState::Delivered, 1))]).await.unwrap();
    }
    let racing = spool.clone();
    tokio::task::spawn_blocking(move || {
        let segment = racing.journal.segments()[0];
        let mut pass = reclaim::Pass::new(&racing, segment);
        let verdict = |entry: &journal::Entry| {
            let verdict = pass.verdict(entry);
            if racing.index.get(ending.id).is_some() {
                let _end = racing.progress(ending.id, vec![(0, status(RecipientState::Delivered, 1))]);
            }
            verdict
        };
        racing.journal.reclaim(segment, verdict).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(ids(&spool), [kept.id]);
    spool.close().unwrap();

    let spool = open(dir.path());
    assert_eq!(ids(&spool), [kept.id]);
    let reclaiming = spool.clone();
    tokio::task::spawn_blocking(move || reclaiming.reclaim()).await.unwrap().unwrap();
    spool.close().unwrap();
    assert_eq!(ids(&open(dir.path())), [kept.id]);
}

async fn deliver(spool: &JournalSpool, id: MessageId) {
    spool.progress(id, vec![(0, status(RecipientState::Delivered, 1))]).await.unwrap();
}

/// Fills a segment with messages that come and go.
async fn fill_a_segment(spool: &JournalSpool) {
    for _ in 0..20 {
        let message = new_message(1);
        accept(spool, &message, &Bytes::from(vec![b'x'; 4_000])).await;
        deliver(spool, message.id).await;
    }
}

async fn reclaim(spool: &JournalSpool) {
    let spool = spool.clone();
    tokio::task::spawn_blocking(move || spool.reclaim()).await.unwrap().unwrap();
}

/// As a crash would: the copy is written and the segment still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ended_does_not_come_back_when_its_reclaim_was_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let body = Bytes::from(vec![b'x'; 4_000]);
    let (ending, other) = (new_message(1), new_message(1));
    accept(&spool, &ending, &body).await;
    accept(&spool, &other, &body).await;
    fill_a_segment(&spool).await;

    let (cut, end, fillers) = (spool.clone(), ending.id, (0..20).map(|_| new_message(1)).collect::<Vec<_>>());
    tokio::task::spawn_blocking(move || {
        let segment = cut.journal.segments()[0];
        let mut pass = reclaim::Pass::new(&cut, segment);
        let verdict = |entry: &journal::Entry| {
            let verdict = pass.verdict(entry);
            assert!(cut.index.get(end).is_some(), "cut short");
            // The end is written before the copy, and a segment lies between them.
            drop(cut.progress(end, vec![(0, status(RecipientState::Delivered, 1))]));
            for filler in &fillers {
                drop(cut.accept(filler.clone(), body.clone()));
            }
            while cut.index.get(end).is_some() {
                std::thread::yield_now();
            }
            verdict
        };
        let reclaiming = std::panic::AssertUnwindSafe(|| cut.journal.reclaim(segment, verdict));
        assert!(std::panic::catch_unwind(reclaiming).is_err());
    })
    .await
    .unwrap();
    fill_a_segment(&spool).await;
    assert!(spool.get(ending.id).is_none());
    spool.close().unwrap();

    // However many segments are emptied before the next start.
    for _ in 0..4 {
        let spool = open(dir.path());
        assert!(spool.get(ending.id).is_none() && spool.get(other.id).is_some());
        let emptying = spool.clone();
        let oldest = spool.journal.segments()[0];
        tokio::task::spawn_blocking(move || emptying.empty(oldest)).await.unwrap().unwrap();
        spool.close().unwrap();
    }
    assert!(open(dir.path()).get(ending.id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_message_outlives_its_record_in_a_segment_that_stays() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let body = Bytes::from_static(b"x");
    let (ending, failing, report) = (new_message(1), new_message(2), new_message(1));
    accept(&spool, &ending, &body).await;
    accept(&spool, &failing, &body).await;
    // A body that is still being written holds the first segment.
    let mut staging = spool.stage();
    staging.write(Bytes::from(vec![b'y'; 8 << 20])).await.unwrap();
    fill_a_segment(&spool).await;
    deliver(&spool, ending.id).await;
    let settles = Some((failing.id, vec![(0, status(RecipientState::Bounced, 1))]));
    accept(&spool, &NewMessage { settles, ..report.clone() }, &body).await;
    deliver(&spool, report.id).await;
    fill_a_segment(&spool).await;
    reclaim(&spool).await;
    drop(staging);
    spool.close().unwrap();

    let spool = open(dir.path());
    assert_eq!(ids(&spool), [failing.id]);
    let states: Vec<_> =
        spool.get(failing.id).unwrap().statuses().iter().map(|status| status.state).collect();
    assert_eq!(states, [RecipientState::Bounced, RecipientState::Queued]);

    // Once all of it can go, all of it goes.
    spool.progress(failing.id, vec![(1, status(RecipientState::Delivered, 1))]).await.unwrap();
    fill_a_segment(&spool).await;
    reclaim(&spool).await;
    spool.close().unwrap();
    assert!(ids(&open(dir.path())).is_empty());
}

/// The largest envelope that is taken, with all that operators and hand-overs can add.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_can_be_moved_whatever_was_decided_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let mut message = new_message(MAX_RECIPIENTS);
    let deadlines = (0..MAX_RECIPIENTS as u64).map(|n| u64::MAX - n).collect();
    message.deadlines = Deadlines::new(deadlines);
    while fits(&message.envelope) {
        for recipient in &mut message.envelope.recipients {
            recipient.original_recipient.push('o');
        }
    }
    for recipient in &mut message.envelope.recipients {
        recipient.original_recipient.pop();
    }
    assert!(fits(&message.envelope));
    accept(&spool, &message, &Bytes::from_static(b"x")).await;
    let indices = 0..MAX_RECIPIENTS as u32;
    let late = Status {
        next_attempt_at: u64::MAX,
        delay_reported: true,
        ..status(RecipientState::Queued, u32::MAX)
    };
    spool.progress(message.id, indices.clone().map(|index| (index, late.clone())).collect()).await.unwrap();
    let host: Arc<str> = format!("{}:65535", "h".repeat(255)).into();
    let change = Change {
        held: Some(true),
        route: Some(Some(Arc::clone(&host))),
        next_attempt_at: Some(u64::MAX),
        hand_over: Some(HandOver { to: Some(host), number: u32::MAX }),
    };
    spool.index.seen_revision(u64::MAX - 10);
    let changes = || indices.clone().map(|index| (index, change.clone())).collect();
    spool.steer(message.id, changes()).await.unwrap();
    let before = spool.get(message.id).unwrap().statuses();
    fill_a_segment(&spool).await;
    let emptying = spool.clone();
    let first = spool.journal.segments()[0];
    tokio::task::spawn_blocking(move || emptying.empty(first)).await.unwrap().unwrap();
    spool.close().unwrap();

    let forgetful = |status: &Status| Status { last: None, ..status.clone() };
    let after = open(dir.path()).get(message.id).unwrap().statuses();
    assert!(after.iter().map(forgetful).eq(before.iter().map(forgetful)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_the_most_to_remember_can_be_kept_and_moved() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let mut message = new_message(1_000);
    for (n, recipient) in message.envelope.recipients.iter_mut().enumerate() {
        recipient.address = format!("{n:0>64}@{}.test", "d".repeat(240));
        recipient.original_recipient = format!("rfc822;{}", "o".repeat(480));
    }
    accept(&spool, &message, &Bytes::from_static(b"x")).await;
    let said = Reply { code: 451, enhanced: "4.7.1".into(), text: "t".repeat(1_500) };
    let said = Said { reply: said, peer: "mx.remote.test".into(), by_peer: true };
    let deferred = Status { last: Some(Arc::new(said)), ..status(RecipientState::Queued, 3) };
    spool.progress(message.id, (0..1_000).map(|index| (index, deferred.clone())).collect()).await.unwrap();
    fill_a_segment(&spool).await;
    let emptying = spool.clone();
    let first = spool.journal.segments()[0];
    tokio::task::spawn_blocking(move || emptying.empty(first)).await.unwrap().unwrap();
    spool.close().unwrap();

    let spool = open(dir.path());
    let statuses = spool.get(message.id).unwrap().statuses();
    assert!(statuses.iter().all(|status| status.attempts == 3 && status.state == RecipientState::Queued));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_whose_journal_has_stopped_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    accept(&spool, &new_message(1), &Bytes::from_static(b"x")).await;
    assert!(!spool.is_stopped());
    spool.clone().close().unwrap();
    let refused = spool.accept(new_message(1), Bytes::from_static(b"x")).await;
    assert!(matches!(refused, Err(SpoolError::Stopped(_))), "{refused:?}");
    spool.stopped().await;
}
