//! The service over real sockets, with the real store.

mod client;
mod programs;

use proto::{
    mail::{Envelope, Recipient},
    mda::DeliverRequest,
};
use service::tls::Role;

use self::client::Client;
use crate::{config::PlaintextAuth, testing::TestService};

const ALICE: &str = "alice@example.test";
const PASSWORD: &str = "correct horse";

/// The service with Alice, and these messages in her INBOX.
async fn with_mail(messages: &[&str]) -> TestService {
    let service = TestService::start().await;
    service.create_account(ALICE, PASSWORD).await;
    deliver(&service, messages).await;
    service
}

async fn deliver(service: &TestService, messages: &[&str]) {
    let mut delivery = service.delivery(Role::Mta).await;
    for message in messages {
        let envelope = Envelope {
            message_id: message::MessageId::new().to_string(),
            reverse_path: "bob@elsewhere.test".to_owned(),
            recipients: vec![Recipient { address: ALICE.to_owned(), ..Recipient::default() }],
            ..Envelope::default()
        };
        let request = DeliverRequest {
            envelope: Some(envelope),
            data: bytes::Bytes::copy_from_slice(message.as_bytes()),
        };
        let receipt = delivery.deliver(tokio_stream::once(request)).await.unwrap().into_inner();
        assert_eq!(receipt.results[0].reply.as_ref().unwrap().code, 250);
    }
}

/// As it is stored: below what delivery adds.
fn stored(message: &str) -> String {
    format!("Return-Path: <bob@elsewhere.test>\r\n{message}")
}

#[tokio::test]
async fn a_session_lists_reads_and_deletes() {
    let messages =
        ["Subject: 1\r\n\r\none\r\n", "Subject: 2\r\n\r\n.\r\n..two\r\n", "Subject: 3\r\n\r\nno end"];
    let service = with_mail(&messages).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;

    let sizes: Vec<usize> = messages.iter().map(|message| stored(message).len()).collect();
    assert_eq!(client.ok("STAT").await, format!("+OK 3 {}", sizes.iter().sum::<usize>()));
    let listed = format!("1 {}\r\n2 {}\r\n3 {}\r\n", sizes[0], sizes[1], sizes[2]);
    assert_eq!(client.multiline("LIST").await, listed);
    assert_eq!(client.ok("LIST 2").await, format!("+OK 2 {}", sizes[1]));

    assert_eq!(client.multiline("RETR 1").await, stored(messages[0]));
    assert_eq!(client.multiline("RETR 2").await, stored(messages[1]), "dots come through");
    assert_eq!(client.multiline("RETR 3").await, stored(messages[2]) + "\r\n", "the last line gets its end");
    assert_eq!(client.multiline("TOP 1 0").await, stored("Subject: 1\r\n\r\n"));
    assert_eq!(client.multiline("TOP 2 1").await, stored("Subject: 2\r\n\r\n.\r\n"));

    client.ok("DELE 1").await;
    client.ok("DELE 2").await;
    client.ok("RSET").await;
    client.ok("DELE 2").await;
    client.ok("NOOP").await;
    client.ok("QUIT").await;
    client.closed().await;

    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    assert_eq!(client.multiline("LIST").await, format!("1 {}\r\n2 {}\r\n", sizes[0], sizes[2]));
    service.stop().await;
}

#[tokio::test]
async fn unique_ids_stay_and_are_never_used_again() {
    let service = with_mail(&["\r\none", "\r\ntwo"]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    let before = client.multiline("UIDL").await;
    let ids: Vec<&str> = before.split_whitespace().skip(1).step_by(2).collect();
    assert_eq!(client.ok("UIDL 2").await, format!("+OK 2 {}", ids[1]));
    client.ok("DELE 2").await;
    client.ok("QUIT").await;
    deliver(&service, &["\r\nthree"]).await;

    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    let after = client.multiline("UIDL").await;
    let new: Vec<&str> = after.split_whitespace().skip(1).step_by(2).collect();
    assert_eq!(new[0], ids[0]);
    assert!(!ids.contains(&new[1]));
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_deleted_without_quit() {
    let service = with_mail(&["\r\none"]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    client.ok("DELE 1").await;
    drop(client);
    let mut client = Client::log_in_when_free(&service, ALICE, PASSWORD).await;
    assert!(client.ok("STAT").await.starts_with("+OK 1 "));
    service.stop().await;
}

#[tokio::test]
async fn a_maildrop_has_one_session_at_a_time() {
    let service = with_mail(&["\r\none"]).await;
    let mut first = Client::connect(&service).await;
    first.log_in(ALICE, PASSWORD).await;
    let mut second = Client::connect(&service).await;
    second.ok(&format!("USER {ALICE}")).await;
    assert!(second.err(&format!("PASS {PASSWORD}")).await.starts_with("-ERR [IN-USE]"));
    first.ok("QUIT").await;
    second.log_in(ALICE, PASSWORD).await;
    service.stop().await;
}

#[tokio::test]
async fn a_message_larger_than_any_buffer_arrives_whole() {
    let line = ".dots and text, 32 octets in all";
    let message = format!("Subject: large\r\n\r\n{}", format!("{line}\r\n").repeat(60_000));
    let service = with_mail(&[]).await;
    deliver_large(&service, &message).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    assert!(client.multiline("RETR 1").await == stored(&message));
    let top = client.multiline("TOP 1 2").await;
    assert_eq!(top, stored(&format!("Subject: large\r\n\r\n{line}\r\n{line}\r\n")));
    client.ok("QUIT").await;
    service.stop().await;
}

async fn deliver_large(service: &TestService, message: &str) {
    let mut requests: Vec<DeliverRequest> = message
        .as_bytes()
        .chunks(64 * 1024)
        .map(|chunk| DeliverRequest { envelope: None, data: bytes::Bytes::copy_from_slice(chunk) })
        .collect();
    requests[0].envelope = Some(Envelope {
        message_id: message::MessageId::new().to_string(),
        reverse_path: "bob@elsewhere.test".to_owned(),
        recipients: vec![Recipient { address: ALICE.to_owned(), ..Recipient::default() }],
        ..Envelope::default()
    });
    let receipt =
        service.delivery(Role::Mta).await.deliver(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert_eq!(receipt.results[0].reply.as_ref().unwrap().code, 250);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let service = with_mail(&["\r\none", "\r\ntwo"]).await;
    let mut client = Client::connect(&service).await;
    client
        .send(&format!("USER {ALICE}\r\nPASS {PASSWORD}\r\nSTAT\r\nRETR 1\r\nXYZZY\r\nDELE 1\r\nQUIT\r\n"))
        .await;
    assert!(client.line().await.starts_with("+OK"));
    assert!(client.line().await.starts_with("+OK 2 messages"));
    assert!(client.line().await.starts_with("+OK 2 "));
    assert!(client.line().await.starts_with("+OK"));
    assert_eq!(client.text().await, stored("\r\none\r\n"));
    assert!(client.line().await.starts_with("-ERR"));
    assert!(client.line().await.starts_with("+OK"));
    assert!(client.line().await.starts_with("+OK"));
    client.closed().await;
    service.stop().await;
}

#[tokio::test]
async fn messages_arrive_whole_in_whatever_order_they_are_asked_for() {
    let text = |number: usize| format!("Subject: {number}\r\n\r\n{}\r\n", format!("{number} ").repeat(4_000));
    let messages: Vec<String> = (1..=24).map(text).collect();
    let service = with_mail(&messages.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    let in_turn = 1..=9;
    let skipping = [12, 13, 14, 3, 4, 4, 5, 24, 1, 2];
    for number in in_turn.chain(skipping).chain(15..=24) {
        let retrieved = client.multiline(&format!("RETR {number}")).await;
        assert!(retrieved == stored(&messages[number - 1]), "message {number}");
        assert!(client.multiline("TOP 7 0").await.ends_with("Subject: 7\r\n\r\n"));
    }
    service.stop().await;
}

#[tokio::test]
async fn what_was_read_ahead_and_is_removed_meanwhile_is_not_sent() {
    let service = with_mail(&["Subject: 1\r\n\r\n", "Subject: 2\r\n\r\n", "Subject: 3\r\n\r\n"]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    client.multiline("RETR 1").await;
    remove_by_imap(&service).await;
    remove_by_imap(&service).await;
    // As often as a client likes: it is no mistake of the client's.
    for _ in 0..30 {
        assert_eq!(client.err("RETR 2").await, "-ERR the message was removed by another session");
    }
    assert_eq!(client.multiline("RETR 3").await, stored("Subject: 3\r\n\r\n"));
    client.ok("QUIT").await;
    service.stop().await;
}

#[tokio::test]
async fn stls_secures_the_session() {
    let service = TestService::start_with(|config| config.plaintext_auth = PlaintextAuth::Never).await;
    service.create_account(ALICE, PASSWORD).await;
    let mut client = Client::connect(&service).await;
    let capabilities = client.multiline("CAPA").await;
    assert!(capabilities.contains("STLS\r\n") && !capabilities.contains("SASL"));
    client.err(&format!("USER {ALICE}")).await;
    let mut client = client.start_tls(&service).await;
    let capabilities = client.multiline("CAPA").await;
    assert!(
        !capabilities.contains("STLS\r\n") && capabilities.contains("SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 ")
    );
    client.log_in(ALICE, PASSWORD).await;
    client.ok("QUIT").await;
    client.closed().await;
    service.stop().await;
}

#[tokio::test]
async fn what_is_sent_in_clear_behind_stls_ends_the_session() {
    let service = with_mail(&[]).await;
    for injected in ["USER mallory\r\n", "x", "\r\n"] {
        let mut client = Client::connect(&service).await;
        client.send(&format!("STLS\r\n{injected}")).await;
        assert!(client.line().await.starts_with("-ERR"), "{injected:?}");
        client.closed().await;
    }
    service.stop().await;
}

#[tokio::test]
async fn tls_from_the_first_octet() {
    let service = with_mail(&["\r\none"]).await;
    let mut client = Client::connect_tls(&service).await;
    assert!(client.err("STLS").await.starts_with("-ERR"));
    client.log_in(ALICE, PASSWORD).await;
    assert_eq!(client.multiline("RETR 1").await, stored("\r\none\r\n"));
    client.ok("QUIT").await;
    client.closed().await;
    service.stop().await;
}

#[tokio::test]
async fn auth_plain_in_one_line_or_two() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    let service = with_mail(&[]).await;
    let response = BASE64_STANDARD.encode(format!("\0{ALICE}\0{PASSWORD}"));
    let mut client = Client::connect(&service).await;
    client.ok(&format!("AUTH PLAIN {response}")).await;
    client.ok("QUIT").await;
    let mut client = Client::connect(&service).await;
    for bad in ["*", "not base64!", "AAAA"] {
        client.send("AUTH PLAIN\r\n").await;
        assert_eq!(client.line().await, "+ ");
        client.err(bad).await;
    }
    client.send("AUTH PLAIN\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.ok(&response).await;
    service.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_and_the_right_one_still_works() {
    let service = TestService::start_with(|config| {
        config.passwords.failure_delay = std::time::Duration::ZERO.into();
        config.passwords.failures_per_user = 2;
    })
    .await;
    service.create_account(ALICE, PASSWORD).await;
    let mut client = Client::connect(&service).await;
    client.ok(&format!("USER {ALICE}")).await;
    assert!(client.err("PASS wrong").await.starts_with("-ERR [AUTH]"));
    client.log_in(ALICE, PASSWORD).await;
    service.stop().await;
}

#[tokio::test]
async fn a_line_without_end_is_refused_and_the_session_goes_on() {
    let service = with_mail(&[]).await;
    let mut client = Client::connect(&service).await;
    client.send(&"a".repeat(64 * 1024)).await;
    client.send("\r\n").await;
    assert!(client.line().await.starts_with("-ERR"));
    client.log_in(ALICE, PASSWORD).await;
    service.stop().await;
}

#[tokio::test]
async fn too_many_errors_end_the_session() {
    let service = TestService::start_with(|config| config.limits.session_errors = 3).await;
    let mut client = Client::connect(&service).await;
    for _ in 0..3 {
        client.err("GET / HTTP/1.1").await;
    }
    client.closed().await;
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_left_without_a_word() {
    let service = TestService::start_with(|config| {
        config.limits.login_timeout = std::time::Duration::from_millis(50).into();
    })
    .await;
    let mut client = Client::connect(&service).await;
    client.closed().await;
    service.stop().await;
}

#[tokio::test]
async fn a_message_that_another_session_removed_is_an_error_not_the_end() {
    let service = with_mail(&["\r\none", "\r\ntwo"]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    remove_by_imap(&service).await;
    assert!(client.err("RETR 1").await.starts_with("-ERR"));
    assert_eq!(client.multiline("RETR 2").await, stored("\r\ntwo\r\n"));
    client.ok("DELE 1").await;
    client.ok("QUIT").await;
    service.stop().await;
}

#[tokio::test]
async fn damaged_messages_keep_nobody_from_those_behind_them() {
    let service = TestService::start_with(|config| config.limits.session_errors = 3).await;
    service.create_account(ALICE, PASSWORD).await;
    deliver(&service, &["\r\none", "\r\ntwo", "\r\nthree", "\r\nfour", "\r\nfive"]).await;
    for words in ["\r\none", "\r\ntwo", "\r\nthree", "\r\nfour"] {
        service.damage_body(words);
    }
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    for number in 1..=4 {
        assert!(client.err(&format!("RETR {number}")).await.starts_with("-ERR [SYS/PERM]"));
    }
    assert_eq!(client.multiline("RETR 5").await, stored("\r\nfive\r\n"));
    client.ok("DELE 5").await;
    client.ok("QUIT").await;

    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    assert!(client.ok("STAT").await.starts_with("+OK 4 "));
    client.err("RETR 1").await;
    for _ in 0..3 {
        client.err("TOP 1 0").await;
    }
    client.closed().await;
    service.stop().await;
}

/// Removes the first message of Alice's INBOX.
async fn remove_by_imap(service: &TestService) {
    let mut imap = Client::raw(service.addresses.imap[0]).await;
    imap.line().await;
    for (tag, command) in [
        ("a", format!("LOGIN {ALICE} \"{PASSWORD}\"")),
        ("b", "SELECT INBOX".to_owned()),
        ("c", "STORE 1 +FLAGS.SILENT (\\Deleted)".to_owned()),
        ("d", "EXPUNGE".to_owned()),
        ("e", "LOGOUT".to_owned()),
    ] {
        imap.send(&format!("{tag} {command}\r\n")).await;
        loop {
            let line = imap.line().await;
            if let Some(outcome) = line.strip_prefix(&format!("{tag} ")) {
                assert!(outcome.starts_with("OK"), "{command}: {line}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn draining_tells_the_client_and_deletes_nothing() {
    let service = with_mail(&["\r\none"]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    client.ok("DELE 1").await;
    service.shutdown.start();
    assert!(client.line().await.starts_with("-ERR [SYS/TEMP]"));
    client.closed().await;
    service.stop().await;
}

#[tokio::test]
async fn a_changed_password_ends_the_session_and_deletes_nothing() {
    let service = with_mail(&["\r\none"]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    client.ok("DELE 1").await;
    let request = proto::mda::SetPasswordRequest {
        address: ALICE.to_owned(),
        password: "another".to_owned(),
        password_hash: String::new(),
    };
    service.directory(Role::Operator).await.set_password(request).await.unwrap();
    client.closed().await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, "another").await;
    assert!(client.ok("STAT").await.starts_with("+OK 1 "));
    service.stop().await;
}

#[tokio::test]
async fn a_header_in_utf8_is_kept_from_clients_that_have_not_asked_where_the_operator_wants_it() {
    let message = "Subject: gr\u{fc}n\r\n\r\nbody";
    let service = TestService::start_with(|config| config.maildrop.strict_utf8 = true).await;
    service.create_account(ALICE, PASSWORD).await;
    deliver(&service, &[message]).await;
    let mut client = Client::connect(&service).await;
    client.log_in(ALICE, PASSWORD).await;
    assert!(client.err("RETR 1").await.starts_with("-ERR [UTF8]"));
    assert!(client.err("UTF8").await.starts_with("-ERR"), "it is too late for it");
    client.ok("QUIT").await;
    let mut client = Client::connect(&service).await;
    client.ok("UTF8").await;
    client.log_in(ALICE, PASSWORD).await;
    assert_eq!(client.multiline("RETR 1").await, stored(&format!("{message}\r\n")));
    service.stop().await;
}

#[tokio::test]
async fn logins_that_come_too_soon_are_told_so() {
    let hour = std::time::Duration::from_hours(1);
    let service = TestService::start_with(|config| config.maildrop.login_delay = hour.into()).await;
    service.create_account(ALICE, PASSWORD).await;
    let mut client = Client::connect(&service).await;
    assert!(client.multiline("CAPA").await.contains("LOGIN-DELAY 3600\r\n"));
    client.log_in(ALICE, PASSWORD).await;
    client.ok("QUIT").await;
    let mut client = Client::connect(&service).await;
    client.ok(&format!("USER {ALICE}")).await;
    assert!(client.err(&format!("PASS {PASSWORD}")).await.starts_with("-ERR [LOGIN-DELAY]"));
    service.stop().await;
}
