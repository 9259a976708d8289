//! Both directions of the table.

use super::*;

fn reply(code: u32, enhanced: &str, text: &str) -> Reply {
    Reply { code, enhanced: enhanced.to_owned(), text: text.to_owned() }
}

#[test]
fn a_reply_survives_the_way_through_a_status() {
    for reply in [
        reply(550, "5.1.1", "<bob@example.test>: no such user here"),
        reply(451, "4.4.1", "first line\nsecond line"),
        reply(554, "", "no enhanced code, größer"),
        reply(421, "4.3.2", ""),
    ] {
        assert_eq!(reply_for(&status_for(&reply)), reply);
        assert_eq!(reply_for(&with_reply(Code::Internal, &reply)), reply);
    }
}

#[test]
fn a_temporary_status_is_never_a_permanent_reply() {
    let temporary = [
        Code::Cancelled,
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::ResourceExhausted,
        Code::Aborted,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unimplemented,
    ];
    for code in temporary {
        let reply = reply_for(&Status::new(code, "why"));
        assert!((400..500).contains(&reply.code), "{code:?}: {reply:?}");
    }
}

#[test]
fn basic_and_enhanced_code_are_of_one_class() {
    for (code, basic, enhanced) in TABLE {
        assert_eq!(basic / 100, enhanced[..1].parse::<u32>().unwrap(), "{code:?}");
    }
}

#[test]
fn a_temporary_reply_is_never_a_permanent_status_and_the_reverse() {
    let is_temporary = |code| in_smtp(code).0 < 500;
    for basic in 400..500 {
        assert!(is_temporary(in_grpc(&reply(basic, "", ""))), "{basic}");
    }
    for basic in 500..600 {
        assert!(!is_temporary(in_grpc(&reply(basic, "", ""))), "{basic}");
    }
}

#[test]
fn well_known_replies_have_telling_codes() {
    assert_eq!(in_grpc(&reply(550, "5.1.1", "")), Code::NotFound);
    assert_eq!(in_grpc(&reply(550, "5.7.1", "")), Code::PermissionDenied);
    assert_eq!(in_grpc(&reply(535, "5.7.8", "")), Code::Unauthenticated);
    assert_eq!(in_grpc(&reply(552, "5.3.4", "")), Code::OutOfRange);
    assert_eq!(in_grpc(&reply(452, "4.3.1", "")), Code::ResourceExhausted);
    assert_eq!(in_grpc(&reply(421, "", "")), Code::Unavailable);
    assert_eq!(in_grpc(&reply(550, "5.6.0", "")), Code::InvalidArgument);
}

#[test]
fn a_status_without_a_reply_becomes_one_line() {
    let status = Status::unavailable("no mta is reachable\r\n250 injected");
    assert_eq!(reply_for(&status), reply(451, "4.4.1", "no mta is reachable  250 injected"));
    assert!(!reply_for(&Status::new(Code::Internal, "")).text.is_empty());
}

#[test]
fn what_is_carried_but_is_no_reply_is_not_passed_on() {
    let status = with_reply(Code::NotFound, &reply(42, "", "nonsense"));
    assert_eq!(reply_for(&status).code, 550);
}
