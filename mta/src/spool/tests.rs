use std::path::Path;

use proto::mail::{Recipient, Reply};
use proto::mta::RecipientState;

use service::config::ByteSize;

use super::*;

fn open(dir: &Path) -> JournalSpool {
    let config = SpoolConfig { dir: dir.into(), min_free: ByteSize(0), segment_size: ByteSize::kib(64) };
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
    NewMessage { id, envelope, expires_at: 1_000, recipients: Vec::new(), settles: None }
}

fn status(state: RecipientState, attempts: u32) -> Status {
    let reply = Reply { code: 250, enhanced: "2.0.0".into(), text: "said".into() };
    Status { state, attempts, last_reply: Some(Box::new(reply)), ..Status::default() }
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
    assert_eq!(found.envelope, message.envelope);
    assert_eq!((found.size, found.expires_at), (body.len() as u64, 1_000));
    let states: Vec<_> = found.statuses().iter().map(|status| status.state).collect();
    assert_eq!(states, [RecipientState::Queued, RecipientState::Delivered]);
    assert_eq!(body_of(&spool, message.id).await, body);
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
        let verdict = |entry: &journal::Entry| {
            let verdict = racing.verdict(entry);
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
