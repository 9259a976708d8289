//! A panic loses nobody: whoever was at work, what he was at waits, once, and his place is free again.

use super::super::order::Tag;
use super::*;

/// Where nobody listens. Its route needs no look-up.
const NOWHERE: &str = "127.0.0.1:1";

struct World {
    queue: Arc<Queue>,
    bug_in: Arc<AtomicUsize>,
    is_full: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl World {
    /// A queue in which nothing is in line.
    fn new(has_bug: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Faulty { has_bug, ..Faulty::open(folder.path()) };
        let (bug_in, is_full) = (Arc::clone(&spool.bug_in), Arc::clone(&spool.is_full));
        let parts =
            Parts { sites: SitesConfig { most: 5, ..SitesConfig::default() }, ..parts(folder.path(), spool) };
        Self { queue: Queue::new(parts), bug_in, is_full, _folder: folder }
    }

    async fn message(&self) -> Arc<Message> {
        let recipient = Recipient { address: "bob@remote.test".into(), ..Recipient::default() };
        let status = RecipientStatus::default().steered(false, Some(NOWHERE.into()));
        let message = NewMessage { recipients: vec![(0, status)], ..new_message(vec![recipient]) };
        match self.queue.parts.spool.accept(message, Bytes::from_static(b"x")).await.unwrap() {
            Accepted::New(message) => message,
            Accepted::Known => panic!("known"),
        }
    }

    /// A message that stands in line.
    async fn in_line(&self) -> Arc<Message> {
        let message = self.message().await;
        let limits = SitesConfig::default().limits(1);
        self.queue.push(&message, &[0], "remote.test", Tag::default(), |scheduler| {
            scheduler.site(&SiteName::new(NOWHERE), limits)
        });
        message
    }

    /// Lets one worker do all that is in line.
    async fn work(&self) {
        let unit = self.queue.scheduler.lock().start(self.queue.pace.now()).unwrap();
        Arc::clone(&self.queue).work(unit).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_last_result_is_written() {
    let world = World::new(false);
    let message = world.in_line().await;
    // The beginning of the attempt, and its end.
    world.bug_in.store(2, Ordering::SeqCst);
    world.work().await;
    assert_eq!(message.status(0).unwrap().state, proto::mta::RecipientState::InFlight);
    assert_eq!(world.queue.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_next_begins() {
    let world = World::new(false);
    let (first, second) = (world.in_line().await, world.in_line().await);
    world.bug_in.store(3, Ordering::SeqCst);
    world.work().await;
    let attempts = |message: &Message| message.status(0).unwrap().attempts;
    assert_eq!((attempts(&first), attempts(&second)), (1, 0));
    assert!(first.status(0).unwrap().last.is_some(), "its result was written");
    assert_eq!(world.queue.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_overdue_unit_comes_to_its_end() {
    let world = World::new(true);
    world.in_line().await;
    let unit = {
        let (mut scheduler, later) = (world.queue.scheduler.lock(), u64::MAX);
        while scheduler.advance(later, 10) {}
        scheduler.next_overdue(later).unwrap()
    };
    world.queue.ending.fetch_add(1, Ordering::SeqCst);
    Arc::clone(&world.queue).end_overdue(unit).await;
    assert_eq!(world.queue.ending.load(Ordering::SeqCst), 0);
    assert_eq!(world.queue.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_late_result_is_written() {
    let world = World::new(false);
    let message = world.message().await;
    world.is_full.store(true, Ordering::SeqCst);
    let deferred = Verdict::Deferred(crate::reply::reply(450, "4.2.1", "not now"));
    world.queue.settle(&message, "mx", vec![Outcome::local(0, 1, deferred)]).await;
    world.is_full.store(false, Ordering::SeqCst);
    world.bug_in.store(1, Ordering::SeqCst);
    world.queue.late.close();
    Arc::clone(&world.queue).write_late().await;
    assert_eq!(world.queue.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_recipients_were_put_in_line_again() {
    let world = World::new(false);
    let message = world.in_line().await;
    let unit = world.queue.scheduler.lock().start(world.queue.pace.now()).unwrap();
    world.queue.stall(&message, vec![0], Tag::default());
    world.queue.put_off(&unit).await;
    assert_eq!(world.queue.len(), 1, "once");
}
