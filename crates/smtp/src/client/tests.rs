use super::*;
use crate::parameters::{BodyType, DsnReturn, Mail, Notify, OriginalRecipient, Rcpt};
use crate::{Credentials, Password};

mod against_server;
mod cut_off;
mod opening;
mod transaction;

fn options() -> Options {
    Options::new("client.test".parse().unwrap())
}

fn envelope(recipients: &[&str]) -> Envelope {
    let mail = Mail { reverse_path: "alice@example.test".parse().unwrap(), ..Mail::default() };
    let recipients = recipients.iter().map(|address| Rcpt::new(address.parse().unwrap())).collect();
    Envelope { mail, recipients }
}

/// A session whose server is the test.
struct Dialogue {
    session: Session,
    event: Event,
}

impl Dialogue {
    fn new(options: Options, tls: bool) -> Self {
        let mut session = Session::new(options, tls);
        let event = session.poll();
        assert_eq!(event, Event::Wait(Stage::Greeting));
        Self { session, event }
    }

    /// Ready, at a server that offers `extensions`.
    fn ready(options: Options, extensions: &str) -> Self {
        let mut dialogue = Self::new(Options { start_tls: StartTls::Never, ..options }, false);
        assert_eq!(dialogue.hears("220 mx.example.test\r\n"), "EHLO client.test\r\n");
        dialogue.hears(&format!("250-mx.example.test\r\n{extensions}250 X\r\n"));
        assert_eq!(dialogue.event, Event::Ready);
        dialogue
    }

    /// The server says this. Returns what the client says to it.
    fn hears(&mut self, text: &str) -> String {
        self.session.input().extend_from_slice(text.as_bytes());
        self.goes_on()
    }

    fn goes_on(&mut self) -> String {
        self.event = self.session.poll();
        String::from_utf8(self.session.output().split().to_vec()).unwrap()
    }

    fn begins(&mut self, envelope: &Envelope) -> String {
        self.session.begin(envelope, None).unwrap();
        self.goes_on()
    }

    /// With the message at hand in one piece.
    fn begins_with(&mut self, envelope: &Envelope, content: &str) -> String {
        self.session.begin(envelope, Some(Bytes::copy_from_slice(content.as_bytes()))).unwrap();
        self.goes_on()
    }

    /// Sends the message, if it is asked for.
    fn sends(&mut self, content: &str) -> String {
        assert_eq!(self.event, Event::Send);
        self.session.send(content.as_bytes());
        self.session.finish();
        self.goes_on()
    }

    fn is_cut(&mut self) {
        self.session.disconnected(Reply::fixed(451, 4, 2, "Connection lost"));
        self.goes_on();
    }

    fn outcomes(&self) -> &[Outcome] {
        match &self.event {
            Event::Sent(outcomes) => outcomes,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> &Failure {
        match &self.event {
            Event::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }
}
