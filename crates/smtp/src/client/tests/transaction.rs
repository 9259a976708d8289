//! One message, and what becomes of it.

use super::*;

const PIPELINING: &str = "250-PIPELINING\r\n";

#[test]
fn a_pipelining_server_gets_it_all_at_once() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    let said = dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
    assert_eq!(
        said,
        "MAIL FROM:<alice@example.test>\r\nRCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\nDATA\r\n"
    );
    assert_eq!(dialogue.event, Event::Wait(Stage::Mail));
    dialogue.hears("250 OK\r\n250 OK\r\n550 5.1.1 who?\r\n");
    assert_eq!(dialogue.event, Event::Wait(Stage::Data));
    dialogue.hears("354 go\r\n");
    assert_eq!(dialogue.sends("a\r\n.b"), "a\r\n..b\r\n.\r\n");
    assert_eq!(dialogue.event, Event::Wait(Stage::End));
    dialogue.hears("250 2.0.0 queued\r\n");
    let [first, second] = dialogue.outcomes() else { panic!() };
    assert_eq!(*first, Outcome::Delivered(Reply::fixed(250, 0, 0, "queued")));
    let refused = Failure::from_peer(Stage::Rcpt, Reply::fixed(550, 1, 1, "who?"));
    assert_eq!(*second, Outcome::Permanent(refused));
    dialogue.goes_on();
    assert_eq!(dialogue.event, Event::Ready);
}

#[test]
fn any_other_server_gets_one_command_at_a_time() {
    let mut dialogue = Dialogue::ready(options(), "");
    assert_eq!(dialogue.begins(&envelope(&["b@example.test"])), "MAIL FROM:<alice@example.test>\r\n");
    assert_eq!(dialogue.hears("250 OK\r\n"), "RCPT TO:<b@example.test>\r\n");
    assert_eq!(dialogue.hears("250 OK\r\n"), "DATA\r\n");
    dialogue.hears("354 go\r\n");
    assert_eq!(dialogue.sends(""), ".\r\n");
    dialogue.hears("250 OK\r\n");
    assert!(dialogue.outcomes()[0].is_delivered());
}

#[test]
fn without_a_recipient_there_is_no_message() {
    let mut dialogue = Dialogue::ready(options(), "");
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n");
    assert_eq!(dialogue.hears("450 4.2.0 later\r\n"), "");
    assert!(matches!(dialogue.outcomes(), [Outcome::Transient(_)]));
    dialogue.goes_on();
    // The server still holds the sender.
    assert_eq!(dialogue.begins(&envelope(&["c@example.test"])), "RSET\r\n");
    assert_eq!(dialogue.hears("250 OK\r\n"), "MAIL FROM:<alice@example.test>\r\n");
}

#[test]
fn a_message_for_nobody_is_sent_empty() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    assert_eq!(dialogue.hears("250 OK\r\n550 no\r\n354 go\r\n"), ".\r\n");
    dialogue.hears("250 fine\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Permanent(_)]));
    dialogue.goes_on();
    assert_eq!(dialogue.event, Event::Ready);
}

#[test]
fn a_refused_sender_is_refused_for_all() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
    dialogue.hears("550 5.7.1 not you\r\n503 MAIL first\r\n503 MAIL first\r\n503 MAIL first\r\n");
    for outcome in dialogue.outcomes() {
        let refused = Failure::from_peer(Stage::Mail, Reply::fixed(550, 7, 1, "not you"));
        assert_eq!(*outcome, Outcome::Permanent(refused));
    }
}

#[test]
fn too_many_recipients_is_for_later_whatever_the_code() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test", "c@example.test", "d@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n452 4.5.3 enough\r\n552 enough\r\n354 go\r\n");
    dialogue.sends("x");
    dialogue.hears("250 OK\r\n");
    assert!(matches!(
        dialogue.outcomes(),
        [Outcome::Delivered(_), Outcome::Transient(_), Outcome::Transient(_)]
    ));
}

#[test]
fn the_servers_limit_of_recipients_is_kept() {
    let mut dialogue = Dialogue::ready(options(), "250-PIPELINING\r\n250-LIMITS RCPTMAX=1\r\n");
    let said = dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
    assert_eq!(said.matches("RCPT").count(), 1);
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.sends("x");
    dialogue.hears("250 OK\r\n");
    let [Outcome::Delivered(_), Outcome::Transient(failure)] = dialogue.outcomes() else { panic!() };
    assert!(failure.reply.code == 452 && !failure.from_peer);
}

#[test]
fn commands_are_not_sent_endlessly_ahead() {
    let addresses: Vec<String> = (0..500).map(|number| format!("b{number}@example.test")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    let mut commands = dialogue.begins(&envelope(&addresses)).lines().count();
    assert_eq!(commands, 100);
    for _ in 0..501 {
        commands += dialogue.hears("250 OK\r\n").lines().count();
    }
    assert_eq!(commands, 502);
    dialogue.hears("354 go\r\n");
    assert_eq!(dialogue.event, Event::Send);
}

#[test]
fn a_refusal_of_the_message_is_for_those_who_were_accepted() {
    for (code, permanent) in [(554, true), (451, false)] {
        let mut dialogue = Dialogue::ready(options(), PIPELINING);
        dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
        dialogue.hears("250 OK\r\n450 later\r\n250 OK\r\n354 go\r\n");
        dialogue.sends("x");
        dialogue.hears(&format!("{code} spam\r\n"));
        let [Outcome::Transient(first), second] = dialogue.outcomes() else { panic!() };
        assert_eq!(first.stage, Stage::Rcpt);
        assert_eq!(matches!(second, Outcome::Permanent(_)), permanent);
        dialogue.goes_on();
        assert_eq!(dialogue.event, Event::Ready);
    }
}

#[test]
fn a_connection_cut_between_replies_keeps_those_that_came() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test", "c@example.test", "d@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n550 no\r\n");
    dialogue.is_cut();
    let [Outcome::Transient(first), Outcome::Permanent(second), Outcome::Transient(_)] = dialogue.outcomes()
    else {
        panic!()
    };
    assert!(!first.from_peer && second.from_peer);
    dialogue.goes_on();
    assert!(matches!(dialogue.event, Event::Failed(_)));
}

#[test]
fn a_connection_cut_behind_the_dot_leaves_it_unknown() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n550 no\r\n354 go\r\n");
    dialogue.sends("x");
    dialogue.is_cut();
    assert!(matches!(dialogue.outcomes(), [Outcome::Unknown(_), Outcome::Permanent(_)]));
}

#[test]
fn a_421_behind_the_dot_leaves_it_unknown_too() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.sends("x");
    dialogue.hears("421 4.3.2 going down\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Unknown(failure)] if failure.from_peer));
    dialogue.goes_on();
    assert!(matches!(dialogue.event, Event::Failed(_)));
}

#[test]
fn a_connection_cut_in_the_message_is_a_transient_failure() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.session.send(b"half");
    dialogue.is_cut();
    assert!(matches!(dialogue.outcomes(), [Outcome::Transient(_)]));
}

#[test]
fn what_the_server_says_in_the_middle_of_the_message_counts() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.session.send(b"half");
    dialogue.hears("452 4.3.1 disk full\r\n");
    let [Outcome::Transient(failure)] = dialogue.outcomes() else { panic!() };
    assert!(failure.from_peer && failure.reply.code == 452);
    dialogue.goes_on();
    assert!(matches!(dialogue.event, Event::Failed(_)));
}

#[test]
fn a_refusal_for_ever_in_the_middle_of_the_message_is_for_ever() {
    for code in [552, 554] {
        let mut dialogue = Dialogue::ready(options(), PIPELINING);
        dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
        dialogue.hears("250 OK\r\n250 OK\r\n450 later\r\n354 go\r\n");
        dialogue.session.send(b"half");
        dialogue.hears(&format!("{code} 5.6.0 not this\r\n"));
        let [Outcome::Permanent(first), Outcome::Transient(second)] = dialogue.outcomes() else { panic!() };
        assert!(first.from_peer && first.stage == Stage::Body && first.reply.code == code);
        assert_eq!(second.stage, Stage::Rcpt);
        // The server still waits for the rest of the message.
        dialogue.goes_on();
        assert!(matches!(dialogue.event, Event::Failed(_)));
    }
}

#[test]
fn a_421_in_the_middle_of_the_message_is_about_the_session() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.session.send(b"half");
    dialogue.hears("421 4.3.2 going down\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Transient(failure)] if failure.from_peer));
}

#[test]
fn consent_in_the_middle_of_the_message_is_out_of_step() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.session.send(b"half");
    dialogue.hears("250 2.0.0 taken\r\n");
    let [Outcome::Transient(failure)] = dialogue.outcomes() else { panic!() };
    assert!(!failure.from_peer && failure.reply.is_transient());
}

#[test]
fn what_the_server_said_before_the_connection_was_given_up_counts() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.session.send(b"half");
    dialogue.session.input().extend_from_slice(b"552 5.3.4 too large\r\n");
    dialogue.is_cut();
    assert!(matches!(dialogue.outcomes(), [Outcome::Permanent(failure)] if failure.reply.code == 552));
    dialogue.goes_on();
    assert!(matches!(dialogue.event, Event::Failed(_)));
}

#[test]
fn a_421_ends_the_transaction_for_those_still_open() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    dialogue.begins(&envelope(&["b@example.test", "c@example.test"]));
    dialogue.hears("250 OK\r\n550 no\r\n421 4.7.0 enough\r\n");
    let [Outcome::Permanent(_), Outcome::Transient(failure)] = dialogue.outcomes() else { panic!() };
    assert_eq!(failure.reply.code, 421);
}

#[test]
fn a_server_out_of_step_is_given_up() {
    for (replies, stage) in [("354 go\r\n", Stage::Mail), ("250 OK\r\n250 OK\r\n250 OK\r\n", Stage::Data)] {
        let mut dialogue = Dialogue::ready(options(), PIPELINING);
        dialogue.begins(&envelope(&["b@example.test"]));
        dialogue.hears(replies);
        let [Outcome::Transient(failure)] = dialogue.outcomes() else { panic!() };
        assert_eq!(failure.stage, stage);
    }
}

#[test]
fn parameters_are_sent_where_they_are_offered() {
    let mut full = envelope(&["b@example.test"]);
    full.mail.size = Some(100);
    full.mail.body = BodyType::EightBitMime;
    full.mail.dsn_return = Some(DsnReturn::Headers);
    full.mail.envelope_id = Some("id 1".into());
    full.mail.priority = Some(-3);
    full.recipients[0].notify = Some(Notify::Never);
    full.recipients[0].original_recipient = OriginalRecipient::from_decoded("rfc822;x+y@example.test");
    let mut dialogue = Dialogue::ready(
        options(),
        "250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-MT-PRIORITY MIXER\r\n",
    );
    assert_eq!(
        dialogue.begins(&full),
        "MAIL FROM:<alice@example.test> SIZE=100 BODY=8BITMIME MT-PRIORITY=-3 RET=HDRS ENVID=id+201\r\n\
         RCPT TO:<b@example.test> NOTIFY=NEVER ORCPT=rfc822;x+2By@example.test\r\nDATA\r\n"
    );
    full.mail.body = BodyType::SevenBit;
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    assert_eq!(
        dialogue.begins(&full),
        "MAIL FROM:<alice@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n"
    );
}

#[test]
fn what_a_message_needs_is_never_dropped() {
    let needs = |change: fn(&mut Mail)| {
        let mut envelope = envelope(&["b@example.test"]);
        change(&mut envelope.mail);
        let mut dialogue = Dialogue::ready(options(), "250-SIZE 1000\r\n");
        let failure = dialogue.session.begin(&envelope, None).unwrap_err();
        assert!(dialogue.session.is_ready() && dialogue.session.output().is_empty());
        assert!(!failure.from_peer);
        failure.reply.enhanced.unwrap().to_string()
    };
    assert_eq!(needs(|mail| mail.smtputf8 = true), "5.6.7");
    assert_eq!(needs(|mail| mail.body = BodyType::EightBitMime), "5.6.3");
    assert_eq!(needs(|mail| mail.body = BodyType::BinaryMime), "5.6.3");
    assert_eq!(needs(|mail| mail.require_tls = true), "5.7.30");
    assert_eq!(needs(|mail| mail.size = Some(1001)), "5.3.4");
    assert_eq!(needs(|mail| mail.reverse_path = "ä@example.test".parse().unwrap()), "5.6.7");
}

#[test]
fn requiretls_that_is_offered_in_clear_is_worth_nothing() {
    let mut needy = envelope(&["b@example.test"]);
    needy.mail.require_tls = true;
    for tls in [false, true] {
        let mut dialogue = Dialogue::new(Options { start_tls: StartTls::Never, ..options() }, tls);
        dialogue.hears("220 mx.example.test\r\n");
        dialogue.hears("250-mx.example.test\r\n250 REQUIRETLS\r\n");
        if tls {
            let said = dialogue.begins(&needy);
            assert_eq!(said, "MAIL FROM:<alice@example.test> REQUIRETLS\r\n");
        } else {
            let failure = dialogue.session.begin(&needy, None).unwrap_err();
            assert_eq!(failure.reply.enhanced.unwrap().to_string(), "5.7.30");
            assert!(dialogue.session.is_ready() && dialogue.session.output().is_empty());
        }
    }
}

#[test]
fn an_address_in_utf8_fails_alone_and_a_domain_has_another_form() {
    let mut dialogue = Dialogue::ready(options(), PIPELINING);
    let said = dialogue.begins(&envelope(&["ö@example.test", "b@münchen.test"]));
    assert!(said.contains("RCPT TO:<b@xn--mnchen-3ya.test>\r\n") && !said.contains("SMTPUTF8"), "{said}");
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    dialogue.sends("x");
    dialogue.hears("250 OK\r\n");
    let [Outcome::Permanent(failure), Outcome::Delivered(_)] = dialogue.outcomes() else { panic!() };
    assert_eq!(failure.reply.code, 553);
}

const CHUNKING: &str = "250-PIPELINING\r\n250-CHUNKING\r\n";

fn chunked() -> Dialogue {
    Dialogue::ready(Options { chunking: true, ..options() }, CHUNKING)
}

#[test]
fn chunks_need_no_stuffing() {
    let mut dialogue = chunked();
    let said = dialogue.begins(&envelope(&["b@example.test"]));
    assert!(!said.contains("DATA"));
    dialogue.hears("250 OK\r\n250 OK\r\n");
    assert_eq!(dialogue.sends("a\r\n.b"), "BDAT 5\r\na\r\n.bBDAT 0 LAST\r\n");
    dialogue.hears("250 5 octets\r\n250 2.0.0 queued\r\n");
    assert!(dialogue.outcomes()[0].is_delivered());
}

#[test]
fn a_refused_chunk_is_the_end_of_the_message() {
    let mut dialogue = chunked();
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n250 OK\r\n");
    dialogue.session.send(b"half");
    dialogue.hears("552 5.3.4 too much\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Permanent(_)]));
    dialogue.goes_on();
    assert_eq!(dialogue.event, Event::Ready);
    assert!(dialogue.begins(&envelope(&["b@example.test"])).starts_with("RSET\r\nMAIL "));
}

#[test]
fn without_a_recipient_there_are_no_chunks() {
    let mut dialogue = chunked();
    dialogue.begins(&envelope(&["b@example.test"]));
    dialogue.hears("250 OK\r\n550 no\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Permanent(_)]));
}

#[test]
fn a_message_at_hand_goes_in_one_breath() {
    let mut dialogue = chunked();
    let said = dialogue.begins_with(&envelope(&["b@example.test", "c@example.test"]), ".a\r\n");
    assert_eq!(
        said,
        "MAIL FROM:<alice@example.test>\r\nRCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\n\
         BDAT 4 LAST\r\n.a\r\n"
    );
    dialogue.hears("250 OK\r\n250 OK\r\n550 5.1.1 who?\r\n250 2.0.0 queued\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Delivered(_), Outcome::Permanent(_)]));
    dialogue.goes_on();
    // The transaction has ended: nothing is to be reset.
    assert!(dialogue.begins_with(&envelope(&["b@example.test"]), "x").starts_with("MAIL "));
}

#[test]
fn a_message_that_went_for_nobody_is_thrown_away_by_the_server() {
    for (replies, stage) in [
        ("250 OK\r\n550 no\r\n503 no recipients\r\n", Stage::Rcpt),
        ("451 later\r\n503 no\r\n503 no\r\n", Stage::Mail),
    ] {
        let mut dialogue = chunked();
        dialogue.begins_with(&envelope(&["b@example.test"]), "x\r\n");
        dialogue.hears(replies);
        let [Outcome::Permanent(failure) | Outcome::Transient(failure)] = dialogue.outcomes() else {
            panic!()
        };
        assert!(failure.from_peer && failure.stage == stage, "{failure}");
        dialogue.goes_on();
        assert_eq!(dialogue.event, Event::Ready);
        assert!(dialogue.begins_with(&envelope(&["b@example.test"]), "x").starts_with("RSET\r\nMAIL "));
    }
}

#[test]
fn a_message_at_hand_waits_for_what_must_be_answered_first() {
    // No pipelining: one command at a time, a chunk among them.
    let mut dialogue = Dialogue::ready(Options { chunking: true, ..options() }, "250-CHUNKING\r\n");
    let content = "x\r\n";
    assert!(dialogue.begins_with(&envelope(&["b@example.test"]), content).starts_with("MAIL "));
    assert!(dialogue.hears("250 OK\r\n").starts_with("RCPT "));
    assert_eq!(dialogue.hears("250 OK\r\n"), "BDAT 3 LAST\r\nx\r\n");
    dialogue.hears("250 OK\r\n");
    assert!(dialogue.outcomes()[0].is_delivered());

    let mut dialogue = Dialogue::ready(Options { chunking: true, ..options() }, "250-CHUNKING\r\n");
    dialogue.begins_with(&envelope(&["b@example.test"]), content);
    dialogue.hears("250 OK\r\n");
    assert_eq!(dialogue.hears("550 no\r\n"), "");
    assert!(matches!(dialogue.outcomes(), [Outcome::Permanent(_)]));

    // No chunking: it is asked for as ever.
    let mut dialogue = Dialogue::ready(Options { chunking: true, ..options() }, PIPELINING);
    dialogue.begins_with(&envelope(&["b@example.test"]), content);
    dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
    assert_eq!(dialogue.sends(content), "x\r\n.\r\n");
}

#[test]
fn a_message_for_very_many_goes_once_the_first_were_answered() {
    let addresses: Vec<String> = (0..150).map(|number| format!("b{number}@example.test")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut dialogue = chunked();
    let mut said = dialogue.begins_with(&envelope(&addresses), "x");
    assert!(!said.contains("BDAT"));
    said += &dialogue.hears(&"250 OK\r\n".repeat(60));
    assert_eq!(said.matches("RCPT").count(), 150);
    assert!(said.ends_with("BDAT 1 LAST\r\nx"));
    dialogue.hears(&"250 OK\r\n".repeat(92));
    assert!(dialogue.outcomes().iter().all(Outcome::is_delivered));
}

#[test]
fn binary_mail_goes_in_chunks_only() {
    let mut binary = envelope(&["b@example.test"]);
    binary.mail.body = BodyType::BinaryMime;
    let mut dialogue = Dialogue::ready(options(), "250-PIPELINING\r\n250-BINARYMIME\r\n250-CHUNKING\r\n");
    assert_eq!(
        dialogue.begins_with(&binary, "\n\0"),
        "MAIL FROM:<alice@example.test> BODY=BINARYMIME\r\nRCPT TO:<b@example.test>\r\nBDAT 2 LAST\r\n\n\0"
    );
    let dialogue = Dialogue::ready(options(), "250-PIPELINING\r\n250-BINARYMIME\r\n");
    let mut session = dialogue.session;
    assert_eq!(session.begin(&binary, None).unwrap_err().reply.code, 554);
}

#[test]
fn the_servers_limit_of_messages_is_known() {
    let mut dialogue = Dialogue::ready(options(), "250-PIPELINING\r\n250-LIMITS MAILMAX=2\r\n");
    for room in [true, false] {
        dialogue.begins(&envelope(&["b@example.test"]));
        dialogue.hears("250 OK\r\n250 OK\r\n354 go\r\n");
        dialogue.sends("x");
        dialogue.hears("250 OK\r\n");
        dialogue.goes_on();
        assert_eq!(dialogue.session.has_room(), room);
    }
}

#[test]
fn a_probe_stops_behind_the_recipients_and_leaves_the_session_ready() {
    for offers in [PIPELINING, "250-PIPELINING\r\n250-CHUNKING\r\n", ""] {
        let mut dialogue = Dialogue::ready(options(), offers);
        dialogue.session.probe(&envelope(&["b@example.test", "c@example.test"])).unwrap();
        let mut said = dialogue.goes_on();
        for reply in ["250 OK\r\n", "250 2.1.5 known\r\n", "550 5.1.1 who?\r\n"] {
            said += &dialogue.hears(reply);
        }
        let commands =
            "MAIL FROM:<alice@example.test>\r\nRCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\n";
        assert_eq!(said, commands);
        let [first, second] = dialogue.outcomes() else { panic!() };
        assert_eq!(*first, Outcome::Delivered(Reply::fixed(250, 1, 5, "known")));
        assert!(matches!(second, Outcome::Permanent(_)));
        dialogue.goes_on();
        assert_eq!(dialogue.event, Event::Ready);
    }
}

#[test]
fn a_probe_that_the_sender_is_refused_in_says_so_of_all_recipients() {
    let mut dialogue = Dialogue::ready(options(), "");
    dialogue.session.probe(&envelope(&["b@example.test"])).unwrap();
    dialogue.goes_on();
    dialogue.hears("451 4.7.1 later\r\n");
    assert!(matches!(dialogue.outcomes(), [Outcome::Transient(_)]));
}
