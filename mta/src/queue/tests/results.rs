//! What an attempt came to is written before its remote can know that it was heard.

use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::super::order::Tag;
use super::*;

/// How long a session that goes on too early has for it. One that does not is never taken for one that does.
const SOON: Duration = Duration::from_millis(300);

/// A remote that takes all messages of one session, and messages that stand in line for it.
struct World {
    queue: Arc<Queue>,
    messages: Vec<Arc<Message>>,
    /// How many messages the remote has seen begun.
    begun: watch::Receiver<u32>,
}

impl World {
    async fn new(folder: &Path, spool: Faulty) -> Self {
        let remote = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = SiteName::new(remote.local_addr().unwrap().to_string());
        let (told, begun) = watch::channel(0);
        tokio::spawn(take_all(remote, told));
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
        Self { queue, messages, begun }
    }

    /// Lets one worker do all that is in line.
    async fn work(&self) {
        let unit = self.queue.scheduler.lock().start(self.queue.pace.now()).unwrap();
        Arc::clone(&self.queue).work(unit).await;
    }

    fn is_final(&self) -> Vec<bool> {
        self.messages.iter().map(|message| message.status(0).unwrap().is_final()).collect()
    }
}

/// Takes all messages of one session; tells how many were begun.
async fn take_all(remote: TcpListener, begun: watch::Sender<u32>) {
    let (mut stream, _) = remote.accept().await.unwrap();
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 remote.test\r\n").await.unwrap();
    let mut in_message = false;
    while let Ok(Some(line)) = lines.next_line().await {
        if in_message && line != "." {
            continue;
        }
        begun.send_modify(|begun| *begun += u32::from(line.starts_with("MAIL ")));
        in_message = line == "DATA";
        let reply: &[u8] = if in_message { b"354 go on\r\n" } else { b"250 yes\r\n" };
        writer.write_all(reply).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_when_the_result_of_its_last_message_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path());
    let (held, mut written) = (Arc::clone(&spool.held), spool.writes.subscribe());
    let world = Arc::new(World::new(folder.path(), spool).await);
    let mut begun = world.begun.clone();

    let unheard = held.write().await;
    let working = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.work().await }
    });
    begun.wait_for(|&begun| begun == 1).await.unwrap();
    let too_early = tokio::time::timeout(SOON, begun.wait_for(|&begun| begun == 2)).await.is_ok();
    assert!(!too_early, "the next message is begun, and what came of the last may be forgotten");
    drop(unheard);
    begun.wait_for(|&begun| begun == 2).await.unwrap();
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
    world.work().await;
    assert_eq!(*world.begun.borrow(), 1);
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
    world.work().await;
    assert_eq!(*world.begun.borrow(), 1);
    assert_eq!(world.is_final(), [false, false]);
}
