//! Nothing outlives its deadline, wherever it waits. How the order keeps it for what stands in line is
//! `crates/scheduler/tests/deadlines.rs`, and what other servers see of it `mta/tests/node/retries.rs`.

use proto::mail::DsnNotify;
use proto::mta::{Event, EventKind, RecipientState};
use tokio::task::spawn_blocking;

use super::super::order::Tag;
use super::*;
use crate::clock;
use crate::reply::reply;

/// More than a unit gets that comes into line at its deadline.
const LAST_TRY: u64 = 61_000;

/// A queue in which nobody answers, and a message in its spool.
struct World {
    queue: Arc<Queue>,
    message: Arc<Message>,
    written: watch::Receiver<u32>,
    is_full: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl World {
    /// The message's recipients have come as far as `status` says and are given up so many milliseconds from now.
    async fn new(lifetimes: &[u64], status: impl Fn(u64) -> RecipientStatus) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Faulty::open(folder.path());
        let (written, is_full) = (spool.writes.subscribe(), Arc::clone(&spool.is_full));
        let recipient = |place| Recipient {
            address: format!("user{place}@remote.test"),
            notify: vec![DsnNotify::Never.into()],
            ..Recipient::default()
        };
        let now = clock::now();
        let deadlines: Vec<u64> = lifetimes.iter().map(|lifetime| now + lifetime).collect();
        let statuses = deadlines.iter().map(|&deadline| status(deadline)).zip(0..);
        let message = NewMessage {
            recipients: statuses.map(|(status, index)| (index, status)).collect(),
            deadlines: Deadlines::new(deadlines.clone()),
            ..new_message((0..lifetimes.len()).map(recipient).collect())
        };
        let Accepted::New(message) = spool.accept(message, Bytes::from_static(b"x")).await.unwrap() else {
            panic!("known")
        };
        Self { queue: Queue::new(parts(folder.path(), spool)), message, written, is_full, _folder: folder }
    }

    /// Lets the queue work until the first recipient has come to its end; returns the end.
    async fn end(&mut self) -> Event {
        let shutdown = Shutdown::new();
        let running = tokio::spawn(Arc::clone(&self.queue).run(shutdown.clone()));
        let message = Arc::clone(&self.message);
        self.written.wait_for(|_| message.status(0).unwrap().is_final()).await.unwrap();
        shutdown.start();
        running.await.unwrap();
        self.told_end().await
    }

    /// The one event about a recipient's end.
    async fn told_end(&self) -> Event {
        let (events, id) = (self.queue.parts.events.clone(), self.message.id);
        let story = spawn_blocking(move || events.of(id).unwrap().events).await.unwrap();
        let mut ends = story.into_iter().filter(|event| event.kind() == EventKind::Expired);
        let end = ends.next().unwrap();
        assert!(ends.next().is_none());
        let at = clock::from_timestamp(end.at.as_ref().unwrap());
        assert!(at >= self.message.deadline(0), "not before its time");
        end
    }
}

fn words(event: &Event) -> &str {
    &event.reply.as_ref().unwrap().text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_given_up_at_its_deadline() {
    let mut world = World::new(&[50], |_| RecipientStatus::default().steered(true, None)).await;
    assert!(words(&world.end().await).contains("held by the operator"));
}

/// The other node may have delivered it long ago, and this one was down since.
#[tokio::test]
async fn what_was_handed_over_is_not_given_up_before_the_other_node_was_asked() {
    const FIVE_MINUTES: u64 = 300_000;
    let world = World::new(&[0], |_| RecipientStatus::default()).await;
    let unit = world.queue.scheduler.lock().start(world.queue.pace.now()).unwrap();
    let begun = HandOver { to: Some("b.test:7025".into()), number: 1 };
    let change = Change { hand_over: Some(begun), ..Change::default() };
    let id = world.message.id;
    world.queue.parts.spool.steer(id, vec![(0, change)]).await.unwrap();
    assert!(world.queue.open(&unit).await.is_none());
    assert!(!world.message.status(0).unwrap().is_final());
    let waits = world.queue.explain(id).unwrap();
    let until = clock::from_timestamp(&waits[0].next_attempt_at.unwrap());
    assert!(until > clock::now() + FIVE_MINUTES, "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_routed_because_a_service_is_away_is_given_up_at_its_deadline() {
    let mut world = World::new(&[50], |_| RecipientStatus::default()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_last_attempt_is_given_up_after_it() {
    let last = |deadline| RecipientStatus { attempts: 9, next_attempt_at: deadline, ..Default::default() };
    World::new(&[50], last).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_flight_when_its_node_died_is_given_up_at_its_deadline() {
    let begun = |deadline| RecipientStatus {
        state: RecipientState::InFlight,
        attempts: 1,
        next_attempt_at: deadline,
        ..Default::default()
    };
    World::new(&[50], begun).await.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_is_given_up_at_its_own_deadline() {
    let mut world = World::new(&[50, 3_600_000], |_| RecipientStatus::default()).await;
    world.end().await;
    assert!(!world.message.status(1).unwrap().is_final());
    assert_eq!(world.queue.len(), 1, "the other one waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_ends_after_the_deadline_was_the_last() {
    let world = World::new(&[0], |_| RecipientStatus::default()).await;
    let later = Outcome::local(0, 1, Verdict::Deferred(reply(450, "4.2.1", "not now")));
    world.queue.settle(&world.message, "mx", vec![later]).await;
    assert_eq!(words(&world.told_end().await), "not now");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_line_or_is_suspended_is_given_up_at_its_deadline() {
    let scopes: [(&str, scheduler::Scope); 3] = [
        ("site", scheduler::Scope::Site(SiteName::new("mx"))),
        ("domain", scheduler::Scope::Domain("remote.test".into())),
        ("account", scheduler::Scope::Account("<others>".into())),
    ];
    for (what, scope) in scopes {
        let world = World::new(&[0], |_| RecipientStatus::default()).await;
        let queue = &world.queue;
        queue.scheduler.lock().withdraw(world.message.id, |_| true);
        queue.scheduler.lock().suspend(scope);
        let limits = SitesConfig::default().limits(1);
        queue.push(&world.message, &[0], "remote.test", Tag::default(), |scheduler| {
            scheduler.site(&SiteName::new("mx"), limits)
        });
        let overdue = {
            let (mut scheduler, later) = (queue.scheduler.lock(), queue.pace.now() + LAST_TRY);
            assert!(scheduler.start(later).is_none(), "{what}");
            while scheduler.advance(later, 10) {}
            scheduler.next_overdue(later).unwrap()
        };
        Arc::clone(queue).end_overdue(overdue).await;
        assert!(words(&world.told_end().await).contains("mx"), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_spool_lets_nobody_try_is_given_up_at_its_deadline() {
    let elsewhere = RecipientStatus::default().steered(false, Some("127.0.0.1:1".into()));
    let world = World::new(&[0], |_| elsewhere.clone()).await;
    let queue = &world.queue;
    queue.scheduler.lock().withdraw(world.message.id, |_| true);
    let limits = SitesConfig::default().limits(1);
    queue.push(&world.message, &[0], "remote.test", Tag::default(), |scheduler| {
        scheduler.site(&SiteName::new("127.0.0.1:1"), limits)
    });
    world.is_full.store(true, Ordering::SeqCst);
    let unit = queue.scheduler.lock().start(queue.pace.now()).unwrap();
    Arc::clone(queue).work(unit).await;
    assert_eq!(queue.len(), 0, "its end waits for the spool, and nothing else does");
    world.is_full.store(false, Ordering::SeqCst);
    queue.late.close();
    Arc::clone(queue).write_late().await;
    assert!(words(&world.told_end().await).contains("the spool is full"));
}

/// The clock was behind when the node started: the deadline seemed far away.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_deadline_is_looked_at_before_it() {
    const DAY: u64 = 24 * 3_600_000;
    let held = World::new(&[5 * DAY], |_| RecipientStatus::default().steered(true, None)).await;
    let in_line = World::new(&[5 * DAY], |_| RecipientStatus::default()).await;
    in_line.queue.suspend(&Scope::Account("<others>".into()));
    for world in [held, in_line] {
        let queue = &world.queue;
        let mut now = queue.pace.now();
        let latest = now + DAY / 2;
        let overdue = loop {
            let mut scheduler = queue.scheduler.lock();
            while scheduler.advance(now, 10) {}
            // What comes in its time is looked at by routing.
            if let Some(unit) = scheduler.start(now) {
                break (unit, false);
            }
            if let Some(unit) = scheduler.next_overdue(now) {
                break (unit, true);
            }
            now = scheduler.next_time().unwrap();
        };
        assert!(now <= latest, "in {now} ms");
        let (unit, is_overdue) = overdue;
        if is_overdue {
            Arc::clone(queue).end_overdue(unit).await;
            assert!(!world.message.status(0).unwrap().is_final());
            assert_eq!(queue.len(), 1, "it waits on");
        }
    }
}
