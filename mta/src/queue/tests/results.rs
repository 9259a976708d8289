//! What an attempt came to is written before its remote can know that it was heard.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::super::order::Tag;
use super::*;

/// How long a session that goes on too early has for it. One that does not is never taken for one that does.
const SOON: Duration = Duration::from_millis(300);

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
    let remote = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = SiteName::new(remote.local_addr().unwrap().to_string());
    let (told, mut begun) = watch::channel(0);
    tokio::spawn(take_all(remote, told));

    let folder = tempfile::tempdir().unwrap();
    let spool = Faulty::open(folder.path());
    let (held, mut written) = (Arc::clone(&spool.held), spool.writes.subscribe());
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
    let queue = Queue::new(Parts { messages_per_session: 2, ..parts(folder.path(), spool) });
    let limits = SitesConfig::default().limits(1);
    for message in &messages {
        queue.scheduler.lock().withdraw(message.id, |_| true);
        queue.push(message, &[0], "remote.test", Tag::default(), |scheduler| scheduler.site(&site, limits));
    }

    let unheard = held.write().await;
    let unit = queue.scheduler.lock().start(queue.pace.now()).unwrap();
    let working = tokio::spawn(Arc::clone(&queue).work(unit));
    begun.wait_for(|&begun| begun == 1).await.unwrap();
    let too_early = tokio::time::timeout(SOON, begun.wait_for(|&begun| begun == 2)).await.is_ok();
    assert!(!too_early, "the next message is begun, and what came of the last may be forgotten");
    drop(unheard);
    begun.wait_for(|&begun| begun == 2).await.unwrap();
    working.await.unwrap();
    written.wait_for(|&written| written >= 2).await.unwrap();
    assert!(messages.iter().all(|message| message.status(0).unwrap().is_final()));
}
