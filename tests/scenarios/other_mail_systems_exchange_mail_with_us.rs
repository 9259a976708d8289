//! Between this mail system and others, which nobody here wrote: Postfix, Exim and OpenSMTPD, as receivers and as
//! senders, with the extensions that they have. What came of it stands in `docs/interop.md`.

mod exchange;
mod homeward;
mod interop;
mod letter;
mod outward;
mod policies;

use pipeline_tests::mta::{Exim, Mta, OpenSmtpd, Postfix, Setup};

/// Another mail system, and what it can do.
struct Peer {
    /// Starts it; `None` if it is not here.
    start: fn(&Setup<'_>) -> Option<Box<dyn Mta>>,
    smtputf8: bool,
    /// It takes messages by BDAT.
    takes_chunks: bool,
    /// It sends messages by BDAT.
    sends_chunks: bool,
    /// Where it is to offer no extension, it does not offer 8BITMIME either.
    can_do_without_8bitmime: bool,
}

const POSTFIX: Peer = Peer {
    start: |setup| Some(Box::new(Postfix::start(setup)?)),
    smtputf8: true,
    takes_chunks: true,
    sends_chunks: false,
    can_do_without_8bitmime: true,
};
const EXIM: Peer = Peer {
    start: |setup| Some(Box::new(Exim::start(setup)?)),
    smtputf8: true,
    takes_chunks: true,
    sends_chunks: true,
    can_do_without_8bitmime: false,
};
const OPENSMTPD: Peer = Peer {
    start: |setup| Some(Box::new(OpenSmtpd::start(setup)?)),
    smtputf8: false,
    takes_chunks: false,
    sends_chunks: false,
    can_do_without_8bitmime: false,
};

#[test]
fn waypost_sends_to_postfix() {
    outward::run(&POSTFIX);
}

#[test]
fn waypost_sends_to_exim() {
    outward::run(&EXIM);
}

#[test]
fn waypost_sends_to_opensmtpd() {
    outward::run(&OPENSMTPD);
}

#[test]
fn postfix_sends_to_waypost() {
    homeward::run(&POSTFIX);
}

#[test]
fn exim_sends_to_waypost() {
    homeward::run(&EXIM);
}

#[test]
fn opensmtpd_sends_to_waypost() {
    homeward::run(&OPENSMTPD);
}

#[test]
fn waypost_holds_postfix_to_what_its_domains_publish() {
    policies::run(&POSTFIX);
}

#[test]
fn waypost_holds_exim_to_what_its_domains_publish() {
    policies::run(&EXIM);
}

#[test]
fn waypost_holds_opensmtpd_to_what_its_domains_publish() {
    policies::run(&OPENSMTPD);
}
