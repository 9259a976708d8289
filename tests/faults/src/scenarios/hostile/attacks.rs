//! What is sent: noise, absurdities, and valid sessions made invalid at random.

use std::iter;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Smtp,
    Imap,
    Pop3,
    Http,
    Grpc,
}

/// Whose mailbox the attackers know. What becomes of its mail does not matter.
pub(super) const VICTIM: &str = "mallory@example.test";

/// What clients say that hardly speak: the beginning of many protocols, and the end of none.
pub(super) const GREETING: &[u8] = b"EHLO guest.test guest.test guest.test guest.test guest.test";

/// Repeated octets and commands at most.
const LONGEST: usize = 1 << 20;
const FLOOD: usize = 5_000;

const PROTOCOLS: [Protocol; 5] =
    [Protocol::Smtp, Protocol::Imap, Protocol::Pop3, Protocol::Http, Protocol::Grpc];

/// The steps of an attack at random. `hello` is how a client of TLS begins.
pub(super) fn steps(protocol: Protocol, hello: &[u8]) -> Vec<Vec<u8>> {
    match fastrand::u8(..16) {
        0 => vec![noise(fastrand::usize(1..LONGEST / 16))],
        1 => vec![vec![b'a'; fastrand::usize(LONGEST / 64..LONGEST)]],
        2 => vec![hello[..fastrand::usize(..hello.len())].to_vec()],
        3 => vec![mutated(hello.to_vec())],
        4 => vec![upgrade(protocol), hello[..fastrand::usize(..hello.len())].to_vec()],
        5 => vec![repeated(protocol).repeat(fastrand::usize(1..FLOOD))],
        6 => session(PROTOCOLS[fastrand::usize(..PROTOCOLS.len())]),
        7..10 => absurd(protocol),
        10 => with_nuls(session(protocol)),
        _ => broken(session(protocol)),
    }
}

/// A valid session.
fn session(protocol: Protocol) -> Vec<Vec<u8>> {
    let lines: &[&str] = match protocol {
        Protocol::Smtp => &[
            "",
            "EHLO client.test",
            "AUTH PLAIN AG1hbGxvcnlAZXhhbXBsZS50ZXN0AHNlY3JldA==",
            "MAIL FROM:<mallory@example.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x",
            "RCPT TO:<mallory@example.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;mallory@example.test",
            "DATA",
            "From: mallory@example.test\r\nTo: mallory@example.test\r\nSubject: =?utf-8?q?x?=\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n..text\r\n--b--\r\n.",
            "MAIL FROM:<mallory@example.test>",
            "RCPT TO:<mallory@example.test>",
            "BDAT 34\r\nFrom: mallory@example.test\r\n\r\ntext",
            "BDAT 0 LAST",
            "RSET",
            "VRFY mallory",
            "QUIT",
        ],
        Protocol::Imap => &[
            "",
            "a CAPABILITY",
            "b LOGIN mallory@example.test secret",
            "c CREATE Box",
            "d APPEND INBOX (\\Seen $x) {23+}\r\nSubject: appended\r\n\r\nhi",
            "e SELECT INBOX (CONDSTORE)",
            "f FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.10>)",
            "g UID SEARCH RETURN (ALL COUNT) OR TEXT appended NOT (FROM {3+}\r\nbob SINCE 1-Jan-2020)",
            "h STORE 1 +FLAGS.SILENT (\\Flagged)",
            "i UID MOVE 1 Box",
            "j LIST (SUBSCRIBED) \"\" (\"*\" \"%\") RETURN (STATUS (MESSAGES SIZE))",
            "k IDLE",
            "DONE",
            "l LOGOUT",
        ],
        Protocol::Pop3 => &[
            "",
            "CAPA",
            "USER mallory@example.test",
            "PASS secret",
            "STAT",
            "UIDL 1",
            "TOP 1 3",
            "RETR 1",
            "DELE 1",
            "QUIT",
        ],
        Protocol::Http => &[
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\n",
            "GET /readyz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            "HEAD /healthz HTTP/1.0\r\n",
        ],
        Protocol::Grpc => return vec![[PREFACE, &settings(), &call(1, true), &message(1, 0, b"")].concat()],
    };
    lines
        .iter()
        .map(|line| if line.is_empty() { Vec::new() } else { [line, "\r\n"].concat().into() })
        .collect()
}

/// A command that may be given again and again.
fn repeated(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Smtp => b"NOOP\r\n".to_vec(),
        Protocol::Imap => b"a NOOP\r\n".to_vec(),
        Protocol::Pop3 => b"CAPA\r\n".to_vec(),
        Protocol::Http => b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        Protocol::Grpc => frame(6, 0, 0, &[0; 8]),
    }
}

/// Asks for TLS in a session in clear.
fn upgrade(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Smtp => b"EHLO client.test\r\nSTARTTLS\r\n".to_vec(),
        Protocol::Imap => b"a STARTTLS\r\n".to_vec(),
        Protocol::Pop3 => b"STLS\r\n".to_vec(),
        Protocol::Http | Protocol::Grpc => PREFACE.to_vec(),
    }
}

/// A session that announces what nobody could hold, or never ends what it begins.
fn absurd(protocol: Protocol) -> Vec<Vec<u8>> {
    let many = fastrand::usize(1..LONGEST / 8);
    let choices: Vec<Vec<u8>> = match protocol {
        Protocol::Smtp => vec![
            b"BDAT 18446744073709551615 LAST\r\nx".to_vec(),
            b"MAIL FROM:<mallory@example.test> SIZE=99999999999999999999\r\n".to_vec(),
            [b"MAIL FROM:<", &vec![b'a'; many][..], b"@example.test>\r\n"].concat(),
            [b"AUTH PLAIN ", &vec![b'A'; many][..], b"\r\n"].concat(),
            b"RCPT TO:<mallory@example.test>\r\n".repeat(many / 32),
            b"AUTH LOGIN\r\n*\r\n".repeat(many / 1024),
        ],
        Protocol::Imap => vec![
            b"a LOGIN {4294967295}\r\n".to_vec(),
            b"a LOGIN {99999999999999999999+}\r\n".to_vec(),
            b"b APPEND INBOX {9223372036854775807}\r\nx".to_vec(),
            b"b APPEND INBOX {1000000000+}\r\nx".to_vec(),
            [b"b SEARCH ", &b"(".repeat(many)[..]].concat(),
            [b"b SEARCH ", &b"OR ".repeat(many)[..], b"ALL\r\n"].concat(),
            [b"b FETCH 1 (", &b"BODY[1.1.1.1] ".repeat(many / 16)[..], b")\r\n"].concat(),
            [b"b FETCH ", &b"1:*,".repeat(many)[..], b"1 FLAGS\r\n"].concat(),
            b"b FETCH 4294967295:18446744073709551615 FLAGS\r\n".to_vec(),
            b"a LOGIN {1}\r\n".repeat(many / 1024),
        ],
        Protocol::Pop3 => vec![
            b"RETR 18446744073709551616\r\nTOP 1 -1\r\nUIDL 0\r\n".to_vec(),
            [b"USER ", &vec![b'a'; many][..], b"\r\n"].concat(),
            b"USER mallory@example.test\r\nPASS wrong\r\n".repeat(20),
            [b"AUTH PLAIN\r\n", &vec![b'A'; many][..], b"\r\n"].concat(),
        ],
        Protocol::Http => vec![
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nx".to_vec(),
            b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nx"
                .to_vec(),
            [b"GET /", &vec![b'a'; many][..], b" HTTP/1.1\r\n\r\n"].concat(),
            [b"GET / HTTP/1.1\r\n", &b"X: y\r\n".repeat(many / 6)[..], b"\r\n"].concat(),
        ],
        Protocol::Grpc => return vec![[PREFACE, &settings(), &absurd_frames(many)].concat()],
    };
    let attack = choices[fastrand::usize(..choices.len())].clone();
    let mut steps = session(protocol);
    // Before a login the limits are others than behind it.
    steps.truncate(fastrand::usize(..steps.len()));
    steps.push(attack);
    steps
}

/// How HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn absurd_frames(many: usize) -> Vec<u8> {
    let streams = || (0..many as u32 / 64).map(|number| 2 * number + 1);
    match fastrand::u8(..7) {
        // A frame and a message of gRPC that are larger than allowed.
        0 => [&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1][..], &vec![0; many]].concat(),
        1 => [call(1, false), frame(0, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff, 0])].concat(),
        // A header that never ends.
        2 => {
            let more = frame(9, 0, 1, &header("x", "y"));
            [frame(1, 0, 1, &header("a", "b")), more.repeat(many / more.len())].concat()
        }
        // Calls that are reset, or never end.
        3 => streams()
            .flat_map(|stream| [call(stream, false), frame(3, 0, stream, &[0, 0, 0, 8])].concat())
            .collect(),
        4 => streams().flat_map(|stream| call(stream, false)).collect(),
        5 => settings().repeat(many / 9),
        // Windows that grow beyond all bounds.
        _ => frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2),
    }
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// Begins a call that anybody may make; `ends` says whether the header is whole.
fn call(stream: u32, ends: bool) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let fields: Vec<u8> = fields.iter().flat_map(|(name, value)| header(name, value)).collect();
    frame(1, if ends || fastrand::bool() { 4 } else { 0 }, stream, &fields)
}

fn message(stream: u32, flag: u8, octets: &[u8]) -> Vec<u8> {
    let length = u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes();
    frame(0, 1, stream, &[&[flag][..], &length, octets].concat())
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field that is not compressed (RFC 7541 §6.2.2); name and value are shorter than 127 octets.
fn header(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8][..], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// Steps left out, repeated and exchanged; octets in them changed, cut out, repeated and inserted.
fn broken(mut steps: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for _ in 0..fastrand::usize(1..4) {
        let place = fastrand::usize(..steps.len());
        match fastrand::u8(..8) {
            0 if steps.len() > 1 => drop(steps.remove(place)),
            1 => steps.insert(place, steps[place].clone()),
            2 => steps.swap(0, place),
            // All that follows at once.
            3 => {
                let rest = steps.split_off(place).concat();
                steps.push(rest);
            }
            _ => steps[place] = mutated(steps[place].clone()),
        }
    }
    steps
}

fn mutated(mut octets: Vec<u8>) -> Vec<u8> {
    for _ in 0..fastrand::usize(1..8) {
        let from = fastrand::usize(..=octets.len());
        let to = fastrand::usize(from..=octets.len().min(from + 32));
        match fastrand::u8(..5) {
            0 => drop(octets.drain(from..to)),
            1 => octets.extend_from_within(from..to),
            2 => octets.truncate(to),
            3 => drop(octets.splice(from..from, noise(fastrand::usize(..16)))),
            _ => octets[from..to].iter_mut().for_each(|octet| *octet ^= 1 << fastrand::u8(..8)),
        }
    }
    octets
}

fn with_nuls(mut steps: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for step in &mut steps {
        if fastrand::bool() {
            let place = fastrand::usize(..=step.len());
            step.insert(place, 0);
        }
    }
    steps
}

fn noise(length: usize) -> Vec<u8> {
    iter::repeat_with(|| fastrand::u8(..)).take(length).collect()
}
