//! Random commands of several clients on shared mailboxes, over sockets: each client, going by nothing but what it is
//! sent, must know what a simple model says it must know. Now and then all of them speak at once, and now and then the
//! power fails, or the server is killed.
//!
//! `IMAP_MODEL_STEPS` and `IMAP_MODEL_SEED` make it longer, and other.

mod believed;
mod host;
mod kill;
mod truth;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tokio::net::TcpStream;

use super::client::{Client, PASSWORD, Server, USER};
use believed::{Believed, Flags, parse_set};
use host::Host;
use truth::{Change, Mailbox, Message};

const NAMES: [&str; 3] = ["INBOX", "Archive", "Trash"];
const FLAGS: [&str; 5] = ["\\Seen", "\\Deleted", "\\Flagged", "k1", "k2"];
const CLIENTS: usize = 5;
/// Steps between crashes, at least; a long test has three hundred of them.
const PHASE: u32 = 400;
/// Messages of a mailbox, about.
const ENOUGH: usize = 40;

/// What a client has enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    CondStore,
    QResync,
    UidOnly,
}

struct Session {
    client: Client<TcpStream>,
    kind: Kind,
    selected: Option<Selected>,
    /// What a client that resynchronises has kept of each mailbox.
    cached: BTreeMap<usize, Cached>,
}

#[derive(Clone)]
struct Cached {
    believed: Believed,
    modseq: u64,
}

struct Selected {
    mailbox: usize,
    read_only: bool,
    believed: Believed,
    /// The UIDs that the client must know of, by number.
    expected: Vec<u32>,
}

struct World {
    host: Host,
    mailboxes: Vec<Mailbox>,
    validities: Vec<String>,
    sessions: Vec<Session>,
    random: fastrand::Rng,
    log: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_knows_what_it_must() {
    let (steps, seed) = (number("IMAP_MODEL_STEPS", 1_200), number("IMAP_MODEL_SEED", 1));
    let mut world = World::new(Host::here(Server::start().await).await, seed).await;
    for step in 1..=steps {
        world.step().await;
        if step % PHASE.max(steps / 300) == 0 {
            world.check_all().await;
            world = world.after_crash().await;
            world.check_all().await;
        }
    }
    world.check_all().await;
    world.host.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_was_told_outlives_the_server_that_is_killed() {
    let (steps, seed) = (number("IMAP_MODEL_STEPS", 1_200), number("IMAP_MODEL_SEED", 1));
    let mut world = World::new(Host::process(), seed).await;
    for step in 1..=steps {
        world.step().await;
        if step % PHASE.max(steps / 300) == 0 {
            world = world.killed_amid_it().await;
        }
    }
    world.check_all().await;
    world.host.end();
}

fn number(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

impl World {
    async fn new(host: Host, seed: u32) -> Self {
        let mailboxes = vec![Mailbox::new(); NAMES.len()];
        Self::over(host, mailboxes, fastrand::Rng::with_seed(seed.into()), Vec::new()).await
    }

    async fn over(host: Host, mailboxes: Vec<Mailbox>, random: fastrand::Rng, log: Vec<String>) -> Self {
        let (validities, sessions) = (Vec::new(), Vec::new());
        let mut world = Self { host, mailboxes, validities, sessions, random, log };
        let mut client = world.connect().await;
        for name in NAMES {
            let status = client.ok(&format!("STATUS {name} (UIDVALIDITY)")).await.join("");
            let validity = status.trim_end_matches(')').rsplit(' ').next().unwrap();
            world.validities.push(validity.to_owned());
        }
        for at in 0..CLIENTS {
            let kind = [Kind::Plain, Kind::CondStore, Kind::QResync, Kind::UidOnly][at % 4];
            let session = world.new_session(kind, BTreeMap::new()).await;
            world.sessions.push(session);
        }
        world
    }

    async fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.host.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Client::greeted(stream, None).await;
        client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
        client
    }

    async fn new_session(&self, kind: Kind, cached: BTreeMap<usize, Cached>) -> Session {
        let mut client = self.connect().await;
        match kind {
            Kind::Plain => {}
            Kind::CondStore => drop(client.ok("ENABLE CONDSTORE").await),
            Kind::QResync => drop(client.ok("ENABLE QRESYNC").await),
            Kind::UidOnly => drop(client.ok("ENABLE UIDONLY CONDSTORE").await),
        }
        Session { client, kind, selected: None, cached }
    }

    /// The clients' connections break, and the store is what a crash leaves; the model knows nothing of it.
    async fn after_crash(mut self) -> Self {
        let kept: Vec<_> = self.sessions.drain(..).map(|session| session.cached).collect();
        let host = self.host.crashed().await;
        let mut world = Self::over(host, self.mailboxes, self.random, self.log).await;
        for (session, cached) in world.sessions.iter_mut().zip(kept) {
            session.cached = cached;
        }
        world
    }

    async fn step(&mut self) {
        if self.log.len() > 1_000 {
            self.log.drain(..900);
        }
        let at = self.random.usize(..CLIENTS);
        if self.random.u8(..40) == 0 {
            return self.all_at_once().await;
        }
        if self.sessions[at].selected.is_none() {
            return self.select(at).await;
        }
        match self.random.u8(..100) {
            0..14 => self.append(at).await,
            14..38 => self.store(at).await,
            38..46 => self.expunge(at).await,
            46..54 => self.copy_or_move(at).await,
            54..70 => self.fetch(at).await,
            70..76 => self.search(at).await,
            76..80 => self.follow_search(at).await,
            80..90 => drop(self.command(at, "NOOP").await),
            90..94 => self.idle(at).await,
            94..98 => self.select(at).await,
            _ => self.reconnect(at).await,
        }
    }

    /// Sends a command, lets the client hear what comes, and checks what it knows then. Gives the responses.
    async fn command(&mut self, at: usize, command: &str) -> (Vec<String>, String) {
        self.log.push(format!("{at}: {command}"));
        let numbers_stay = ["FETCH", "STORE", "SEARCH"].iter().any(|verb| command.starts_with(verb));
        let session = &mut self.sessions[at];
        let (untagged, tagged) = session.client.command(command).await;
        if let Some(selected) = &mut session.selected {
            selected.believed.hear_all(&untagged, numbers_stay);
        }
        self.expect(at, numbers_stay);
        self.learn(at).await;
        self.check(at);
        (untagged, tagged)
    }

    /// What the client must know of after a command: all that is there, and while numbers stay what was there before.
    fn expect(&mut self, at: usize, numbers_stay: bool) {
        let Some(selected) = &mut self.sessions[at].selected else { return };
        let now = self.mailboxes[selected.mailbox].uids();
        if numbers_stay {
            let last = selected.expected.last().copied().unwrap_or(0);
            selected.expected.extend(now.into_iter().filter(|uid| *uid > last));
        } else {
            selected.expected = now;
        }
    }

    /// Asks for what the client does not know of new messages.
    async fn learn(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let Some(selected) = &mut session.selected else { return };
        if !selected.believed.has_unknown() {
            return;
        }
        let items = if session.kind == Kind::Plain { "(UID FLAGS)" } else { "(UID FLAGS MODSEQ)" };
        let first = selected.believed.learnt + 1;
        let (untagged, tagged) = session.client.command(&format!("UID FETCH {first}:* {items}")).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
        selected.believed.hear_all(&untagged, false);
        selected.believed.has_learnt();
        assert!(!selected.believed.has_unknown());
        self.expect(at, false);
    }

    fn check(&self, at: usize) {
        let Session { selected: Some(selected), kind, .. } = &self.sessions[at] else { return };
        let mailbox = &self.mailboxes[selected.mailbox];
        let fail = |what: &str| -> ! {
            let last = self.log[self.log.len().saturating_sub(30)..].join("\n");
            panic!(
                "client {at} ({kind:?}): {what}\nexpected {:?}\nof {:?}\nbelieved {:?}\n{last}",
                selected.expected, mailbox.messages, selected.believed
            );
        };
        if selected.believed.messages.len() != selected.expected.len() {
            fail("another number of messages");
        }
        if let Some((flag, followed)) = &selected.believed.followed {
            let has_flag = |(_, message): &(&u32, &Message)| message.flags.contains(flag);
            let found = mailbox.messages.iter().filter(has_flag).map(|(uid, _)| uid);
            if !found.eq(followed) {
                fail("other results than a new search gives");
            }
        }
        for (believed, uid) in selected.believed.messages.iter().zip(&selected.expected) {
            if believed.uid != Some(*uid) {
                fail("another UID");
            }
            let Some(Message { flags, modseq }) = mailbox.messages.get(uid) else { continue };
            if believed.flags.as_ref().is_some_and(|believed| believed != flags) {
                fail(&format!("other flags of {uid}"));
            }
            if *kind != Kind::Plain && believed.modseq.is_some_and(|believed| believed != *modseq) {
                fail(&format!("another modseq of {uid}"));
            }
        }
    }

    async fn select(&mut self, at: usize) {
        let mailbox = self.random.usize(..NAMES.len());
        let read_only = self.random.u8(..5) == 0;
        self.leave(at);
        let session = &mut self.sessions[at];
        let verb = if read_only { "EXAMINE" } else { "SELECT" };
        let cached = session.cached.get(&mailbox).filter(|_| session.kind == Kind::QResync).cloned();
        let parameter = match &cached {
            Some(cached) => format!(" (QRESYNC ({} {}))", self.validities[mailbox], cached.modseq),
            None => String::new(),
        };
        let command = format!("{verb} {}{parameter}", NAMES[mailbox]);
        self.log.push(format!("{at}: {command}"));
        let (untagged, tagged) = session.client.command(&command).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
        let mut believed = cached.map_or_else(Believed::default, |cached| cached.believed);
        believed.followed = None;
        for uids in untagged.iter().filter_map(|line| line.strip_prefix("* VANISHED (EARLIER) ")) {
            let gone = parse_set(uids);
            believed.messages.retain(|message| message.uid.is_none_or(|uid| !gone.contains(&uid)));
        }
        // What is left is what was known before; the rest is new.
        for line in untagged.iter().filter(|line| line.ends_with(" EXISTS") || line.contains(" FETCH ")) {
            believed.hear(line, false);
        }
        let highest = untagged.iter().find_map(|line| line.strip_prefix("* OK [HIGHESTMODSEQ "));
        let highest: u64 = highest.unwrap().split(']').next().unwrap().parse().unwrap();
        assert_eq!(highest, self.mailboxes[mailbox].modseq);
        session.selected = Some(Selected { mailbox, read_only, believed, expected: Vec::new() });
        self.expect(at, false);
        self.learn(at).await;
        self.check(at);
        self.fetch_all(at).await;
    }

    /// A client that keeps what it knows does so when it leaves a mailbox, fully told.
    fn leave(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let Some(selected) = session.selected.take() else { return };
        let mailbox = &self.mailboxes[selected.mailbox];
        if session.kind == Kind::QResync && selected.expected == mailbox.uids() {
            // It was told all up to its last command; later changes come again, at worst.
            let told = selected.believed.messages.iter().filter_map(|message| message.modseq).max();
            let is_current = selected.believed.messages.iter().all(|message| {
                let now = message.uid.and_then(|uid| mailbox.messages.get(&uid));
                now.is_some_and(|now| message.modseq == Some(now.modseq))
            });
            if let Some(told) = told.filter(|_| is_current) {
                session.cached.insert(selected.mailbox, Cached { believed: selected.believed, modseq: told });
            }
        }
    }

    /// The client learns what it does not know, so that all of it is checked from now on.
    async fn fetch_all(&mut self, at: usize) {
        let items = if self.sessions[at].kind == Kind::Plain { "FLAGS" } else { "(FLAGS MODSEQ)" };
        self.command(at, &format!("UID FETCH 1:* {items}")).await;
        let Some(selected) = &self.sessions[at].selected else { return };
        assert!(selected.believed.messages.iter().all(|message| message.flags.is_some()));
    }

    /// The end of a client's connection, without a word.
    async fn reconnect(&mut self, at: usize) {
        self.log.push(format!("{at}: reconnects"));
        self.leave(at);
        let Session { kind, cached, .. } = &self.sessions[at];
        let session = self.new_session(*kind, cached.clone()).await;
        self.sessions[at] = session;
    }

    async fn append(&mut self, at: usize) {
        let to = self.random.usize(..NAMES.len());
        if self.mailboxes[to].messages.len() > ENOUGH {
            return self.expunge(at).await;
        }
        let flags = self.some_flags();
        self.mailboxes[to].add([flags.clone()]);
        let message = "Subject: x\r\n\r\ntext\r\n";
        let command =
            format!("APPEND {} ({}) {{{}+}}\r\n{message}", NAMES[to], joined(&flags), message.len());
        let uid = self.mailboxes[to].uid_next - 1;
        let (_, tagged) = self.command(at, &command).await;
        assert!(tagged.starts_with(&format!("OK [APPENDUID {} {uid}]", self.validities[to])), "{tagged}");
    }

    async fn store(&mut self, at: usize) {
        let Some((by_uid, set, uids)) = self.some_messages(at) else { return };
        let (mailbox, read_only) = self.selected(at);
        let change = [Change::Add, Change::Remove, Change::Replace][self.random.usize(..3)];
        let flags = self.some_flags();
        let silent = self.random.bool();
        let highest = self.mailboxes[mailbox].modseq;
        let unchanged_since = (self.sessions[at].kind != Kind::Plain && self.random.u8(..3) == 0)
            .then(|| self.random.u64(highest.saturating_sub(12)..=highest));
        let condition =
            unchanged_since.map_or_else(String::new, |since| format!("(UNCHANGEDSINCE {since}) "));
        let verb = if by_uid { "UID STORE" } else { "STORE" };
        let silently = if silent { ".SILENT" } else { "" };
        let item = change.item();
        let command = format!("{verb} {set} {condition}{item}{silently} ({})", joined(&flags));
        if read_only {
            let (_, tagged) = self.command(at, &command).await;
            assert!(tagged.starts_with("NO"), "{tagged}");
            return;
        }
        let modified = self.mailboxes[mailbox].store(&uids, change, &flags, unchanged_since);
        if silent && let Some(selected) = &mut self.sessions[at].selected {
            // What a silent STORE makes of flags the client knows by itself.
            for uid in uids.iter().filter(|uid| !modified.contains(uid)) {
                if let Some(message) = selected.believed.message(*uid) {
                    message.flags = message.flags.as_ref().map(|before| change.of(before, &flags));
                }
            }
        }
        let expected = self.sessions[at].selected.as_ref().unwrap().expected.clone();
        let (_, tagged) = self.command(at, &command).await;
        let left =
            tagged.strip_prefix("OK [MODIFIED ").map(|rest| parse_set(rest.split(']').next().unwrap()));
        let left = left.unwrap_or_default().into_iter();
        let left: Vec<u32> =
            if by_uid { left.collect() } else { left.map(|number| expected[number as usize - 1]).collect() };
        assert_eq!(left, modified, "{command}: {tagged}");
    }

    async fn expunge(&mut self, at: usize) {
        let (mailbox, read_only) = self.selected(at);
        let some = if self.random.bool() { self.some_uids(at) } else { None };
        let command =
            some.as_ref().map_or_else(|| "EXPUNGE".to_owned(), |(set, _)| format!("UID EXPUNGE {set}"));
        if !read_only {
            self.mailboxes[mailbox].expunge(|uid, message| {
                message.flags.contains("\\Deleted")
                    && some.as_ref().is_none_or(|(_, uids)| uids.contains(&uid))
            });
        }
        let (_, tagged) = self.command(at, &command).await;
        assert_eq!(tagged.starts_with("OK"), !read_only, "{tagged}");
        if let Some(highest) = tagged.strip_prefix("OK [HIGHESTMODSEQ ") {
            assert_eq!(highest.split(']').next().unwrap(), self.mailboxes[mailbox].modseq.to_string());
        }
    }

    async fn copy_or_move(&mut self, at: usize) {
        let Some((by_uid, set, uids)) = self.some_messages(at) else { return };
        let (from, read_only) = self.selected(at);
        let to = self.random.usize(..NAMES.len());
        let moves = self.random.bool() || self.mailboxes[to].messages.len() > ENOUGH;
        if !(moves && read_only) {
            let uids: Vec<u32> =
                uids.into_iter().filter(|uid| self.mailboxes[from].messages.contains_key(uid)).collect();
            let copies: Vec<Flags> =
                uids.iter().map(|uid| self.mailboxes[from].messages[uid].flags.clone()).collect();
            self.mailboxes[to].add(copies);
            if moves {
                self.mailboxes[from].expunge(|uid, _| uids.contains(&uid));
            }
        }
        let verb = if moves { "MOVE" } else { "COPY" };
        let uid = if by_uid { "UID " } else { "" };
        let (_, tagged) = self.command(at, &format!("{uid}{verb} {set} {}", NAMES[to])).await;
        assert_eq!(tagged.starts_with("OK"), !(moves && read_only), "{tagged}");
    }

    async fn fetch(&mut self, at: usize) {
        let Some((by_uid, set, uids)) = self.some_messages(at) else { return };
        let (mailbox, read_only) = self.selected(at);
        let uid = if by_uid { "UID " } else { "" };
        let item = ["FLAGS", "(UID FLAGS INTERNALDATE)", "RFC822.SIZE", "BODY.PEEK[TEXT]", "BODY[]"]
            [self.random.usize(..5)];
        if item == "BODY[]" && !read_only {
            self.mailboxes[mailbox].store(&uids, Change::Add, &Flags::from(["\\Seen".to_owned()]), None);
        }
        let (untagged, tagged) = self.command(at, &format!("{uid}FETCH {set} {item}")).await;
        let there = uids.iter().filter(|uid| self.mailboxes[mailbox].messages.contains_key(uid)).count();
        assert_eq!(tagged.starts_with("OK"), by_uid || there == uids.len(), "{tagged}");
        assert!(untagged.iter().filter(|line| line.contains("FETCH ")).count() >= there, "{untagged:?}");
    }

    async fn search(&mut self, at: usize) {
        let (mailbox, _) = self.selected(at);
        let by_uid = self.sessions[at].kind == Kind::UidOnly || self.random.bool();
        let flag = FLAGS[self.random.usize(..FLAGS.len())];
        let key = flag.strip_prefix('\\').map_or_else(|| format!("KEYWORD {flag}"), str::to_uppercase);
        let verb = if by_uid { "UID SEARCH" } else { "SEARCH" };
        // All that is to be heard before is heard first, so that the numbers are the model's.
        self.command(at, "NOOP").await;
        let (untagged, tagged) = self.command(at, &format!("{verb} {key}")).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
        let messages = (1..).zip(&self.mailboxes[mailbox].messages);
        let matching = messages.filter(|(_, (_, message))| message.flags.contains(flag));
        let found = matching.map(|(number, (uid, _))| if by_uid { *uid } else { number });
        let words: Vec<String> = std::iter::once("* SEARCH".to_owned())
            .chain(found.map(|number: u32| number.to_string()))
            .collect();
        assert!(untagged.contains(&words.join(" ")), "{words:?} is not in {untagged:?}");
    }

    /// The client hears from now on which messages have a flag.
    async fn follow_search(&mut self, at: usize) {
        let flag = FLAGS[self.random.usize(..FLAGS.len())];
        let key = flag.strip_prefix('\\').map_or_else(|| format!("KEYWORD {flag}"), str::to_uppercase);
        if let Some(selected) = &mut self.sessions[at].selected {
            selected.believed.followed = None;
        }
        self.command(at, "CANCELUPDATE \"followed\"").await;
        let Session { client, selected: Some(selected), .. } = &mut self.sessions[at] else { return };
        client.tagged_as("followed");
        selected.believed.followed = Some((flag.to_owned(), BTreeSet::new()));
        let (_, tagged) = self.command(at, &format!("UID SEARCH RETURN (UPDATE ALL) {key}")).await;
        assert!(tagged.starts_with("OK"), "{tagged}");
    }

    async fn idle(&mut self, at: usize) {
        self.log.push(format!("{at}: IDLE"));
        let session = &mut self.sessions[at];
        session.client.send("i IDLE\r\n").await;
        assert!(session.client.line().await.starts_with("+ "));
        session.client.send("DONE\r\n").await;
        let (untagged, tagged) = session.client.responses("i").await;
        assert!(tagged.starts_with("OK"), "{tagged}");
        if let Some(selected) = &mut session.selected {
            selected.believed.hear_all(&untagged, false);
        }
        self.expect(at, false);
        self.learn(at).await;
        self.check(at);
    }

    /// All clients say something at the same time. In which order it happens nobody knows: the model takes from a
    /// client that comes later what became of it, and all must agree with that.
    async fn all_at_once(&mut self) {
        let mut commands = Vec::new();
        for at in 0..CLIENTS {
            let set = self.some_uids(at);
            let flags = joined(&self.some_flags());
            commands.push(match (set, self.random.u8(..5)) {
                (Some((set, _)), 0 | 1) => format!("UID STORE {set} +FLAGS ({flags})"),
                (Some((set, _)), 2) => format!("UID MOVE {set} {}", NAMES[self.random.usize(..NAMES.len())]),
                (Some(_), 3) => "EXPUNGE".to_owned(),
                _ => format!("APPEND {} {{1+}}\r\nx", NAMES[self.random.usize(..NAMES.len())]),
            });
            self.log.push(format!("{at}: at once {}", commands[at].replace("\r\n", " ")));
        }
        let said = self.sessions.iter_mut().zip(&commands).map(|(session, command)| async move {
            let (untagged, _) = session.client.command(command).await;
            if let Some(selected) = &mut session.selected {
                selected.believed.hear_all(&untagged, false);
                // A message that came and is not known by its UID may go by it.
                if selected.believed.has_unknown() {
                    let first = selected.believed.learnt + 1;
                    let learn = format!("UID FETCH {first}:* (UID FLAGS)");
                    let (untagged, _) = session.client.command(&learn).await;
                    selected.believed.hear_all(&untagged, false);
                    selected.believed.has_learnt();
                }
            }
        });
        join_all(said).await;
        self.take_over().await;
        for at in 0..CLIENTS {
            if self.sessions[at].selected.is_some() {
                self.command(at, "NOOP").await;
                self.fetch_all(at).await;
            }
        }
    }

    /// The model becomes what a new client finds, if that can have come of what it was.
    async fn take_over(&mut self) {
        let mut client = self.connect().await;
        for (name, mailbox) in NAMES.iter().zip(&mut self.mailboxes) {
            let selected = client.ok(&format!("EXAMINE {name}")).await.join("\n");
            let code = |name: &str| -> u64 {
                let (_, rest) = selected.split_once(&format!("[{name} ")).unwrap();
                rest.split(']').next().unwrap().parse().unwrap()
            };
            let (uid_next, highest) = (code("UIDNEXT") as u32, code("HIGHESTMODSEQ"));
            let mut found = Believed::default();
            let exists = selected.lines().find(|line| line.ends_with(" EXISTS")).unwrap();
            found.hear(exists, false);
            for line in client.ok("UID FETCH 1:* (UID FLAGS MODSEQ)").await {
                found.hear(&line, false);
            }
            let found = found.messages.into_iter().map(|message| {
                let (flags, modseq) = (message.flags.unwrap(), message.modseq.unwrap());
                (message.uid.unwrap(), Message { flags, modseq })
            });
            let found: BTreeMap<u32, Message> = found.collect();
            for (uid, message) in &found {
                assert!(*uid < uid_next && message.modseq <= highest);
                match mailbox.messages.get(uid) {
                    Some(before) if before.modseq == message.modseq => assert_eq!(before, message),
                    Some(before) => assert!(before.modseq < message.modseq),
                    None => assert!(*uid >= mailbox.uid_next, "UID {uid} came back"),
                }
                assert!(mailbox.messages.get(uid) == Some(message) || message.modseq > mailbox.modseq);
            }
            let gone = (1..uid_next).filter(|uid| {
                let was = mailbox.messages.contains_key(uid) || *uid >= mailbox.uid_next;
                was && !found.contains_key(uid)
            });
            mailbox.vanished.extend(gone.map(|uid| (uid, highest)));
            (mailbox.messages, mailbox.uid_next, mailbox.modseq) = (found, uid_next, highest);
        }
    }

    /// A new client finds exactly what the model has, also by what changed since some moment.
    async fn check_all(&mut self) {
        let mut client = self.connect().await;
        client.ok("ENABLE QRESYNC").await;
        for (name, mailbox) in NAMES.iter().zip(&self.mailboxes) {
            let status = client.ok(&format!("STATUS {name} (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)")).await;
            let unseen =
                mailbox.messages.values().filter(|message| !message.flags.contains("\\Seen")).count();
            let (messages, Mailbox { uid_next, modseq, .. }) = (mailbox.messages.len(), mailbox);
            let expected =
                format!("(MESSAGES {messages} UIDNEXT {uid_next} UNSEEN {unseen} HIGHESTMODSEQ {modseq})");
            assert!(status[0].ends_with(&expected), "{status:?}: {expected}");
            client.ok(&format!("EXAMINE {name}")).await;
            let since = self.random.u64(1..=*modseq);
            let told = client.ok(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)")).await;
            let vanished = told.iter().find_map(|line| line.strip_prefix("* VANISHED (EARLIER) "));
            let vanished = vanished.map(parse_set).unwrap_or_default();
            let mut expected: Vec<u32> =
                mailbox.vanished.iter().filter(|(_, at)| *at > since).map(|(uid, _)| *uid).collect();
            expected.sort_unstable();
            // After a burst the model knows no more than that they went in it.
            assert!(vanished.iter().all(|uid| expected.contains(uid)), "{vanished:?} of {expected:?}");
            let changed = told.iter().filter(|line| line.contains(" FETCH ")).count();
            assert_eq!(changed, mailbox.messages.values().filter(|message| message.modseq > since).count());
        }
    }

    fn selected(&self, at: usize) -> (usize, bool) {
        let selected = self.sessions[at].selected.as_ref().unwrap();
        (selected.mailbox, selected.read_only)
    }

    fn some_flags(&mut self) -> Flags {
        FLAGS.iter().filter(|_| self.random.u8(..4) == 0).map(|flag| (*flag).to_owned()).collect()
    }

    /// A set of numbers or UIDs, and the UIDs that it means; None if the client knows of no message.
    fn some_messages(&mut self, at: usize) -> Option<(bool, String, Vec<u32>)> {
        if self.sessions[at].kind == Kind::UidOnly || self.random.bool() {
            return self.some_uids(at).map(|(set, uids)| (true, set, uids));
        }
        let expected = self.sessions[at].selected.as_ref()?.expected.clone();
        let first = self.random.usize(..expected.len().max(1));
        let last = (first + self.random.usize(..4)).min(expected.len().checked_sub(1)?);
        let uids = expected[first..=last].to_vec();
        Some((false, format!("{}:{}", last + 1, first + 1), uids))
    }

    /// A set of UIDs, some of which may be of no message, and those of it that the client knows.
    fn some_uids(&mut self, at: usize) -> Option<(String, Vec<u32>)> {
        let expected = self.sessions[at].selected.as_ref()?.expected.clone();
        let middle = *expected.get(self.random.usize(..expected.len().max(1)))?;
        let (first, last) =
            (middle.saturating_sub(self.random.u32(..3)).max(1), middle + self.random.u32(..4));
        let uids = expected.into_iter().filter(|uid| (first..=last).contains(uid)).collect();
        Some((format!("{first}:{last}"), uids))
    }
}

fn joined(flags: &Flags) -> String {
    flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
