//! A session on its connection: reads lines, does what the session says, writes replies.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use service::{drain::Shutdown, listen::Permit};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, error, info};

use super::{
    Pop3,
    line::Lines,
    lock::Lock,
    maildrop::{Maildrop, Message},
    multiline::Encoder,
    reader::{Begun, Reader},
    session::{Action, LoginFailure, Session},
};
use crate::{
    ahead::PIECE,
    auth::{AuthError, Client, Exchange, Progress, SaslError, Stay},
    metrics::{LoginOutcome, Protocol},
    store::{Account, MailStore, MailboxId, MailboxName, StoreError, Uid, UidSet},
};

/// Octets that are read from a client at a time.
const READ: usize = 4096;

/// Octets of replies that are gathered before they are sent: pipelined commands are answered together.
const GATHER: usize = 32 * 1024;

/// A session and its connection.
pub(super) struct Connection<'a, S, T> {
    server: &'a Pop3<S>,
    shutdown: &'a Shutdown,
    stream: T,
    client: Client,
    peer: SocketAddr,
    session: Session,
    /// An AUTH that is under way.
    exchange: Option<Exchange>,
    lines: Lines,
    /// Replies not yet sent.
    out: Vec<u8>,
    /// Once logged in.
    open: Option<Open>,
    login_deadline: Instant,
    /// Until somebody has logged in.
    pub(super) stranger: Option<Permit>,
}

/// The maildrop of a session that is logged in.
struct Open {
    inbox: MailboxId,
    reader: Reader,
    _lock: Lock,
    stay: Stay,
}

/// How [`Connection::run`] ended.
pub(super) enum End {
    Closed,
    /// The client waits for the handshake.
    StartTls,
}

impl<'a, S: MailStore, T: AsyncRead + AsyncWrite + Unpin> Connection<'a, S, T> {
    pub(super) fn new(
        server: &'a Pop3<S>,
        stream: T,
        session: Session,
        client: Client,
        peer: SocketAddr,
        shutdown: &'a Shutdown,
    ) -> Self {
        let login_deadline = Instant::now() + *server.options.limits.login_timeout;
        let (lines, out) = (Lines::default(), Vec::new());
        Self {
            server,
            shutdown,
            stream,
            client,
            peer,
            session,
            exchange: None,
            lines,
            out,
            open: None,
            login_deadline,
            stranger: None,
        }
    }

    pub(super) fn greet(&mut self) {
        self.out.extend_from_slice(Session::greeting(&self.server.options.hostname).as_bytes());
    }

    pub(super) fn into_parts(self) -> (T, Session, Client) {
        (self.stream, self.session, self.client)
    }

    /// Serves the client until it leaves, is sent away, or wants TLS.
    pub(super) async fn run(&mut self) -> io::Result<End> {
        loop {
            while let Some(line) = self.lines.next() {
                let action = self.session.line(&line);
                if let Some(end) = self.perform(action).await? {
                    return Ok(end);
                }
            }
            self.flush().await?;
            if !self.receive().await? {
                return self.close().await;
            }
        }
    }

    /// Reads more from the client; false if it is to be left.
    async fn receive(&mut self) -> io::Result<bool> {
        let deadline = if self.session.is_logged_in() {
            Instant::now() + *self.server.options.limits.pop3_idle_timeout
        } else {
            self.login_deadline
        };
        let mut buffer = [0; READ];
        let over = self.open.as_ref().map(|open| open.stay.over().clone()).unwrap_or_default();
        let received = tokio::select! {
            biased;
            () = self.shutdown.started() => {
                // No response to anything, but between two responses: clients read it as that to their next command.
                self.out.extend_from_slice(b"-ERR [SYS/TEMP] the server is shutting down\r\n");
                return Ok(false);
            }
            // The password was changed: nothing is deleted.
            () = over.cancelled() => return Ok(false),
            received = timeout_at(deadline, self.stream.read(&mut buffer)) => received,
        };
        match received {
            // It left, or said nothing for too long: no response, and nothing is deleted (RFC 1939 §3).
            Ok(Ok(0)) | Err(_) => Ok(false),
            Ok(Ok(count)) => {
                self.lines.push(&buffer[..count]);
                Ok(true)
            }
            Ok(Err(error)) => Err(error),
        }
    }

    async fn perform(&mut self, action: Action) -> io::Result<Option<End>> {
        match action {
            Action::Reply(text) => self.reply(&text).await?,
            Action::Close(text) => {
                self.out.extend_from_slice(text.as_bytes());
                return self.close().await.map(Some);
            }
            Action::StartTls(text) => return self.start_tls(&text).await.map(Some),
            Action::LogIn { username, password } => {
                let authenticator = &self.server.authenticator;
                let checked = authenticator.authenticate(&username, &password, &self.client).await;
                let progress = checked.map(|account| Progress::Done(Box::new(account)));
                return self.proceed(progress.map_err(Into::into)).await;
            }
            Action::Begin { mechanism, initial } => {
                let client = self.client.clone();
                let begun = self.server.authenticator.begin(&mechanism, client, initial.as_deref()).await;
                let progress = begun.map(|(exchange, progress)| {
                    self.exchange = Some(exchange);
                    progress
                });
                return self.proceed(progress).await;
            }
            Action::Respond(response) => {
                let progress = match &mut self.exchange {
                    Some(exchange) => exchange.respond(&response).await,
                    None => Err(SaslError::Protocol(sasl::Error::Malformed)),
                };
                return self.proceed(progress).await;
            }
            Action::Send { message, lines } => {
                if let Some(refused) = self.send(message, lines).await? {
                    return Box::pin(self.perform(refused)).await;
                }
            }
            Action::Commit { uids } => {
                let reply = self.commit(uids).await;
                self.out.extend_from_slice(reply.as_bytes());
                return self.close().await.map(Some);
            }
        }
        Ok(None)
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        self.out.extend_from_slice(text.as_bytes());
        if self.out.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    async fn start_tls(&mut self, text: &str) -> io::Result<End> {
        if self.lines.has_more() {
            // Sent in clear behind STLS, perhaps by someone in between: whose words they are can no longer be told.
            debug!(peer = %self.peer, "pop3 client sent more behind STLS");
            self.out.extend_from_slice(b"-ERR nothing may follow STLS before TLS has begun\r\n");
            return self.close().await;
        }
        self.out.extend_from_slice(text.as_bytes());
        self.flush().await?;
        Ok(End::StartTls)
    }

    /// Goes on with a login.
    async fn proceed(&mut self, progress: Result<Progress, SaslError>) -> io::Result<Option<End>> {
        let action = match progress {
            Ok(Progress::Challenge(challenge)) => self.session.challenge(&challenge),
            Ok(Progress::Done(account)) => {
                self.exchange = None;
                self.server.options.metrics.login(Protocol::Pop3, LoginOutcome::Ok);
                let opened = self.open(&account).await;
                self.session.logged_in(opened)
            }
            Err(error) => {
                self.exchange = None;
                let failure = self.login_failed(error);
                self.session.logged_in(Err(failure))
            }
        };
        Box::pin(self.perform(action)).await
    }

    async fn open(&mut self, account: &Account) -> Result<Maildrop, LoginFailure> {
        info!(peer = %self.peer, account = account.name, "pop3 login");
        let lock = self.server.locks.lock(account.id).ok_or(LoginFailure::InUse)?;
        let delay = *self.server.options.maildrop.login_delay;
        if self.server.locks.is_too_soon(account.id, delay, Instant::now()) {
            return Err(LoginFailure::TooSoon);
        }
        let store = &self.server.store;
        let inbox = store
            .mailbox(account.id, &MailboxName::inbox())
            .and_then(|inbox| inbox.ok_or(StoreError::NoSuchMailbox))
            .map_err(|error| self.open_failed(&error))?;
        let news = store.index(inbox.id).await.map_err(|error| self.open_failed(&error))?;
        let index = Arc::clone(&news.borrow());
        self.server.locks.note(account.id, delay, Instant::now());
        self.stranger = None;
        let stay = self.server.authenticator.stay(account);
        self.open = Some(Open { inbox: inbox.id, reader: Reader::new(news), _lock: lock, stay });
        let messages = index.iter().map(|entry| (entry.uid(), entry.size()));
        Ok(Maildrop::new(inbox.uid_validity, messages).kept_for(inbox.retention))
    }

    fn login_failed(&self, error: SaslError) -> LoginFailure {
        let SaslError::Refused(refused) = error else { return LoginFailure::Exchange(error) };
        self.server.options.metrics.login(Protocol::Pop3, (&refused).into());
        match refused {
            AuthError::Wrong => LoginFailure::Credentials,
            AuthError::Throttled { .. } => LoginFailure::Throttled,
            AuthError::Unavailable(_) => LoginFailure::Temporary,
        }
    }

    fn open_failed(&self, error: &StoreError) -> LoginFailure {
        self.store_failed("cannot open a maildrop", error);
        if matches!(error, StoreError::CorruptState { .. }) {
            LoginFailure::Permanent
        } else {
            LoginFailure::Temporary
        }
    }

    /// Sends a message; or gives back what to do because it cannot be read.
    async fn send(&mut self, message: Message, lines: Option<u32>) -> io::Result<Option<Action>> {
        let Begun { email, size, first } = match self.begin(message.uid, lines.is_none()).await {
            Ok(read) => read,
            Err(StoreError::NoSuchMailbox | StoreError::Expunged) => {
                return Ok(Some(Session::not_sent("the message was removed by another session")));
            }
            Err(error) => {
                self.store_failed("cannot read a message", &error);
                let reason = match error {
                    StoreError::CorruptBody { .. } => "[SYS/PERM] the message is damaged",
                    _ => "[SYS/TEMP] the message cannot be read now",
                };
                return Ok(Some(self.session.unreadable(message.uid, reason)));
            }
        };
        if !self.session.takes_utf8() && !has_ascii_header(&first) {
            return Ok(Some(Session::not_sent("[UTF8] the message needs the command UTF8")));
        }
        self.out.extend_from_slice(format!("+OK {size} octets\r\n").as_bytes());
        let mut encoder = Encoder::new(lines);
        encoder.encode(&first, &mut self.out);
        let mut at = first.len() as u64;
        while at < size && !encoder.is_done() {
            self.flush().await?;
            let piece = self.server.store.read(email, at..at + PIECE).await;
            // Too late for an error: an end that is cut off is all that tells the client.
            let piece = piece.map_err(|error| {
                // Another session may have removed it, and its space was given back: no fault of the store.
                if !matches!(error, StoreError::Expunged) {
                    self.store_failed("cannot read a message", &error);
                }
                io::Error::other(error)
            })?;
            if piece.is_empty() {
                return Err(io::Error::other("a message is shorter than its row says"));
            }
            encoder.encode(&piece, &mut self.out);
            at += piece.len() as u64;
        }
        encoder.finish(&mut self.out);
        if self.out.len() >= GATHER {
            self.flush().await?;
        }
        Ok(None)
    }

    async fn begin(&mut self, uid: Uid, whole: bool) -> Result<Begun, StoreError> {
        let reader = &mut self.open.as_mut().ok_or(StoreError::NoSuchMailbox)?.reader;
        let store = &self.server.store;
        if whole { reader.begin(store, uid).await } else { reader.peek(store, uid).await }
    }

    /// Removes what was marked as deleted (RFC 1939 §6), lets go of the maildrop, and gives the last reply.
    async fn commit(&mut self, uids: Vec<Uid>) -> &'static str {
        // Let go before the reply: the client may come again as soon as it has it.
        let Some(open) = self.open.take() else { return "+OK bye\r\n" };
        if uids.is_empty() {
            return "+OK bye\r\n";
        }
        match self.server.store.expunge(open.inbox, UidSet::from_iter(uids), false).await {
            Ok(_) | Err(StoreError::NoSuchMailbox) => "+OK bye, the deleted messages are removed\r\n",
            Err(error) => {
                self.store_failed("cannot remove messages", &error);
                "-ERR [SYS/TEMP] the deleted messages were not removed\r\n"
            }
        }
    }

    fn store_failed(&self, what: &'static str, error: &StoreError) {
        self.server.options.metrics.store_errors.inc();
        error!(peer = %self.peer, %error, "{what}");
    }

    async fn close(&mut self) -> io::Result<End> {
        self.open = None;
        self.flush().await?;
        // A client that does not read what is left must not hold the connection.
        let _ = timeout(Duration::from_secs(5), self.stream.shutdown()).await;
        Ok(End::Closed)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        timeout(*self.server.options.limits.write_timeout, write).await??;
        self.out.clear();
        Ok(())
    }
}

/// Whether a header stands in ASCII alone; of a very long one, as far as it is looked at.
fn has_ascii_header(start: &[u8]) -> bool {
    let end = start.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap_or(start.len());
    start[..end].is_ascii()
}
