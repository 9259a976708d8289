//! The server is killed amid what its clients say: what was answered with OK has happened.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use super::{CLIENTS, Mailbox, NAMES, World, believed::Flags, host::Host, joined};

/// Commands of a client.
const COMMANDS: usize = 30;

/// What a client wants done.
enum Wish {
    Append { to: usize, flags: Flags, text: String },
    Flag { mailbox: usize, uids: Vec<u32>, flags: Flags },
}

impl Wish {
    fn command(&self) -> String {
        match self {
            Self::Append { to, flags, text } => {
                format!("APPEND {} ({}) {{{}+}}\r\n{text}", NAMES[*to], joined(flags), text.len())
            }
            Self::Flag { uids, flags, .. } => {
                let uids: Vec<String> = uids.iter().map(ToString::to_string).collect();
                format!("UID STORE {} +FLAGS.SILENT ({})", uids.join(","), joined(flags))
            }
        }
    }
}

impl World {
    /// Each client says one thing after the other until the server is killed. The model becomes what is there then, in
    /// which all must be that was answered.
    pub(super) async fn killed_amid_it(mut self) -> Self {
        let wishes: Vec<Vec<Wish>> = (0..CLIENTS).map(|at| self.wishes(at)).collect();
        let deadly = self.random.usize(1..CLIENTS * COMMANDS / 2);
        let (answers, killed) = (AtomicUsize::new(0), Notify::new());
        let streams = self.sessions.iter_mut().map(|session| &mut session.client.stream);
        let (counter, signal) = (&answers, &killed);
        let clients = streams.zip(&wishes).map(|(stream, wishes)| async move {
            let mut answered = Vec::new();
            for wish in wishes {
                let Some(tagged) = attempt(stream, &wish.command()).await else { break };
                answered.push((wish, tagged));
                if counter.fetch_add(1, Ordering::Relaxed) + 1 == deadly {
                    signal.notify_one();
                }
            }
            answered
        });
        let Host::Process(process) = &mut self.host else { panic!("a process alone can be killed") };
        let kill = async {
            killed.notified().await;
            process.kill();
        };
        let (answered, ()) = tokio::join!(join_all(clients), kill);
        let before = self.mailboxes.clone();
        let mut world = self.after_crash().await;
        world.take_over().await;
        let answered: Vec<_> = answered.into_iter().flatten().collect();
        assert!(answered.len() < CLIENTS * COMMANDS, "it was killed too late");
        for (wish, tagged) in answered {
            world.expect_done(wish, &tagged, &before).await;
        }
        world.check_all().await;
        world
    }

    fn wishes(&mut self, at: usize) -> Vec<Wish> {
        let wishes = (0..COMMANDS).map(|number| {
            // Nothing that is marked as deleted: nobody takes messages away meanwhile.
            let mut flags = self.some_flags();
            flags.insert("k1".to_owned());
            flags.remove("\\Deleted");
            let read_only = self.sessions[at].selected.as_ref().is_none_or(|selected| selected.read_only);
            match self.some_uids(at).filter(|(_, uids)| !read_only && !uids.is_empty()) {
                Some((_, uids)) if self.random.bool() => {
                    Wish::Flag { mailbox: self.selected(at).0, uids, flags }
                }
                _ => {
                    let text = format!("client {at} says {number}\r\n");
                    Wish::Append { to: self.random.usize(..NAMES.len()), flags, text }
                }
            }
        });
        wishes.collect()
    }

    async fn expect_done(&self, wish: &Wish, tagged: &str, before: &[Mailbox]) {
        assert!(tagged.starts_with("OK"), "{tagged}");
        match wish {
            Wish::Append { to, flags, text } => {
                let (_, uid) = tagged.split(']').next().unwrap().rsplit_once(' ').unwrap();
                self.expect_flags(*to, uid.parse().unwrap(), flags);
                let mut client = self.connect().await;
                client.ok(&format!("EXAMINE {}", NAMES[*to])).await;
                let fetched = client.ok(&format!("UID FETCH {uid} BODY.PEEK[]")).await.join("\n");
                assert!(fetched.contains(text), "{text}: {fetched}");
            }
            Wish::Flag { mailbox, uids, flags } => {
                // Some were gone before; their client had not been told.
                let there = uids.iter().filter(|uid| before[*mailbox].messages.contains_key(uid));
                there.for_each(|uid| self.expect_flags(*mailbox, *uid, flags));
            }
        }
    }

    fn expect_flags(&self, mailbox: usize, uid: u32, flags: &Flags) {
        let message = self.mailboxes[mailbox].messages.get(&uid);
        let message = message.unwrap_or_else(|| panic!("UID {uid} of {} is lost", NAMES[mailbox]));
        assert!(message.flags.is_superset(flags), "{uid}: {message:?} lacks some of {flags:?}");
    }
}

/// What a command is answered with; None if the connection ends before.
async fn attempt(stream: &mut TcpStream, command: &str) -> Option<String> {
    stream.write_all(format!("kill {command}\r\n").as_bytes()).await.ok()?;
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&received);
        if let Some(tagged) = text.lines().find_map(|line| line.strip_prefix("kill "))
            && text.ends_with("\r\n")
        {
            return Some(tagged.to_owned());
        }
    }
}
