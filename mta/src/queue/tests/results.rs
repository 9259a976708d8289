//! What an attempt came to is written before its remote can know that it was heard.

use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::super::order::Tag;
use super::*;

/// How long a session that goes on too early has for it. One that does not is never taken for one that does.
const SOON: Duration = Duration::from_millis(300);

/// A remote that takes all messages of one session, and messages that stand in line for it.
struct World {
    queue: Arc<Queue>,
    messages: Vec<Arc<Message>>,
    seen: watch::Receiver<Seen>,
    /// The remote answers no `MAIL` while it is held.
    silence: Arc<RwLock<()>>,
}

/// How many messages the remote has seen begun, and how many sent.
#[derive(Default)]
struct Seen {
    begun: u32,
    sent: u32,
}

impl World {
    async fn new(folder: &Path, spool: Faulty) -> Self {
        let remote = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = SiteName::new(remote.local_addr().unwrap().to_string());
        let (told, seen) = watch::channel(Seen::default());
        let silence = Arc::default();
        tokio::spawn(take_all(remote, told, Arc::clone(&silence)));
        let mut messages = Vec::new();
        for user in ["one", "two"] {
            let elsewhere = RecipientStatus::default().steered(false, Some(site.as_str().into()));
            let recipient = Recipient { address: format!("{user}@remote.test"), ..Recipient::default() };
            let message = NewMessage { recipients: vec![(0, elsewhere)], ..new_message(vec![recipient]) };
            match spool.accept(message, Bytes::from_static(b"Subject: x\r\n\r\n")).await.unwrap() {
                Accepted::New(message) => messages.push(message),
                Accepted::Known => panic!("known"),
            }
        }
        let queue = Queue::new(Parts { messages_per_session: 2, ..parts(folder, spool) });
        let limits = SitesConfig::default().limits(1);
        for message in &messages {
            queue.scheduler.lock().withdraw(message.id, |_| true);
            queue.push(message, &[0], "remote.test", Tag::default(), |scheduler| {
                scheduler.site(&site, limits)
            });
        }
        Self { queue, messages, seen, silence }
    }

    /// Lets one worker do all that is in line.
    fn work(&self) -> JoinHandle<()> {
        let unit = self.queue.scheduler.lock().start(self.queue.pace.now()).unwrap();
        tokio::spawn(Arc::clone(&self.queue).work(unit))
    }

    fn is_final(&self) -> Vec<bool> {
        self.messages.iter().map(|message| message.status(0).unwrap().is_final()).collect()
    }
}

/// Takes all messages of one session.
async fn take_all(remote: TcpListener, seen: watch::Sender<Seen>, silence: Arc<RwLock<()>>) {
    let (mut stream, _) = remote.accept().await.unwrap();
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 remote.test\r\n").await.unwrap();
    let mut in_message = false;
    while let Ok(Some(line)) = lines.next_line().await {
        if in_message && line != "." {
            continue;
        }
        in_message = line == "DATA";
        seen.send_modify(|seen| seen.sent += u32::from(in_message));
        if line.starts_with("MAIL ") {
            seen.send_modify(|seen| seen.begun += 1);
            drop(silence.read().await);
        }
        let reply: &[u8] = if in_message { b"354 go on\r\n" } else { b"250 yes\r\n" };
        if writer.write_all(reply).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_when_the_result_of_its_last_message_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path());
    let (held, mut written) = (Arc::clone(&spool.held), spool.writes.subscribe());
    let world = World::new(folder.path(), spool).await;
    let mut seen = world.seen.clone();

    let unheard = held.write().await;
    let working = world.work();
    seen.wait_for(|seen| seen.begun == 1).await.unwrap();
    let too_early = tokio::time::timeout(SOON, seen.wait_for(|seen| seen.begun == 2)).await.is_ok();
    assert!(!too_early, "the next message is begun, and what came of the last may be forgotten");
    drop(unheard);
    seen.wait_for(|seen| seen.begun == 2).await.unwrap();
    working.await.unwrap();
    written.wait_for(|&written| written >= 2).await.unwrap();
    assert_eq!(world.is_final(), [true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_go_on_when_the_disk_has_no_room_for_the_result_of_its_last_message() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let world = World::new(folder.path(), Faulty::on_disk(folder.path(), faults.clone())).await;
    // It is admitted: only the write finds that there is no room.
    faults.limit_writes(Some(0));
    world.work().await.unwrap();
    assert_eq!(world.seen.borrow().begun, 1);
    assert_eq!(world.queue.len(), 1, "the next message waits");

    faults.limit_writes(None);
    world.queue.late.close();
    Arc::clone(&world.queue).write_late().await;
    assert_eq!(world.is_final(), [true, false]);
    assert_eq!(world.messages[1].status(0).unwrap().attempts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_go_on_when_the_spool_stops_with_the_result_of_its_last_message() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let world = World::new(folder.path(), Faulty::on_disk(folder.path(), faults.clone())).await;
    faults.fail_syncs(true);
    world.work().await.unwrap();
    assert_eq!(world.seen.borrow().begun, 1);
    assert_eq!(world.is_final(), [false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_sent_once_the_spool_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let world = World::new(folder.path(), Faulty::on_disk(folder.path(), faults.clone())).await;
    let (mut seen, silence) = (world.seen.clone(), world.silence.write().await);
    let working = world.work();
    seen.wait_for(|seen| seen.begun == 1).await.unwrap();
    faults.fail_syncs(true);
    let refused = world.queue.parts.spool.accept(new_message(Vec::new()), Bytes::new()).await;
    assert!(matches!(refused, Err(SpoolError::Stopped(_))), "{refused:?}");
    drop(silence);
    working.await.unwrap();
    assert_eq!(seen.borrow().sent, 0);
}
