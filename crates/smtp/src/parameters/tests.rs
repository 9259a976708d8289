use proptest::prelude::*;

use super::*;

fn rcpt(text: &str) -> Result<Rcpt, CommandError> {
    match parse_rcpt(text)? {
        RcptCommand::Address(rcpt) => Ok(rcpt),
        RcptCommand::Postmaster { .. } => panic!("postmaster"),
    }
}

#[test]
fn every_parameter_of_mail_is_understood() {
    let mail = parse_mail(
        "<alice@example.test> SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B3 REQUIRETLS AUTH=<> MT-PRIORITY=-4",
    );
    let expected = Mail {
        reverse_path: "alice@example.test".parse().unwrap(),
        size: Some(1000),
        body: BodyType::EightBitMime,
        smtputf8: true,
        require_tls: true,
        dsn_return: Some(DsnReturn::Headers),
        envelope_id: Some("QQ+3".into()),
        priority: Some(-4),
    };
    assert_eq!(mail, Ok(expected));
}

#[test]
fn parameters_are_checked() {
    for parameters in [
        "SIZE",
        "SIZE=",
        "SIZE=x",
        "SIZE=-1",
        "SIZE=123456789012345678901",
        "BODY=9BIT",
        "RET=ALL",
        "SMTPUTF8=1",
        "REQUIRETLS=yes",
        "MT-PRIORITY",
        "MT-PRIORITY=",
        "MT-PRIORITY=10",
        "MT-PRIORITY=-0",
        "MT-PRIORITY=+1",
        "MT-PRIORITY=--1",
        "MT-PRIORITY=1 MT-PRIORITY=1",
        "ENVID=+0A",
        "ENVID=+4",
        "SIZE=1 SIZE=1",
        "SMTPUTF8 SMTPUTF8",
        "AUTH",
    ] {
        let result = parse_mail(&format!("<> {parameters}"));
        assert_eq!(result, Err(CommandError::ParameterValue), "{parameters}");
    }
    for parameters in [
        "NOTIFY=",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=OFTEN",
        "ORCPT=bob",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;a+0Ab",
    ] {
        let result = rcpt(&format!("<bob@example.test> {parameters}"));
        assert_eq!(result, Err(CommandError::ParameterValue), "{parameters}");
    }
}

#[test]
fn a_size_beyond_counting_is_the_largest() {
    assert_eq!(parse_mail("<> SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
}

#[test]
fn every_parameter_of_rcpt_is_understood() {
    let rcpt = rcpt("<bob@example.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+2Bx@example.test").unwrap();
    assert_eq!(rcpt.notify, Some(Notify::On { success: true, failure: false, delay: true }));
    let original = rcpt.original_recipient.unwrap();
    assert_eq!(original.to_string(), "rfc822;Bob+x@example.test");
    assert_eq!(original.encode(), "rfc822;Bob+2Bx@example.test");
    assert_eq!(rcpt.notify.unwrap().to_string(), "SUCCESS,DELAY");
}

#[test]
fn an_original_recipient_in_utf8_travels_in_ascii() {
    let rcpt = rcpt("<bob@example.test> ORCPT=utf-8;j\\x{F6}rg@example.test").unwrap();
    let original = rcpt.original_recipient.unwrap();
    assert_eq!(original.address, "jörg@example.test");
    assert_eq!(original.encode(), "utf-8;j\\x{F6}rg@example.test");
}

#[test]
fn a_bracket_in_quotes_does_not_end_a_path() {
    let rcpt = rcpt("<\"a>b\\\"\"@example.test> NOTIFY=NEVER").unwrap();
    assert_eq!(rcpt.address.to_string(), "\"a>b\\\"\"@example.test");
    assert_eq!(rcpt.notify, Some(Notify::Never));
}

#[test]
fn source_routes_are_dropped() {
    assert_eq!(
        rcpt("<@a.test,@[IPv6:::1]:bob@example.test>").unwrap().address.to_string(),
        "bob@example.test"
    );
    for path in ["<@a.test bob@example.test>", "<@:bob@example.test>", "<a.test,@b:bob@example.test>"] {
        assert_eq!(rcpt(path), Err(CommandError::Recipient), "{path}");
    }
}

#[test]
fn postmaster_needs_no_domain() {
    assert!(matches!(parse_rcpt("<PostMaster>"), Ok(RcptCommand::Postmaster { .. })));
}

proptest! {
    #[test]
    fn an_original_recipient_survives_the_wire(address in "[a-zäé+=@. ]{1,20}", utf8: bool) {
        let address_type = if utf8 { "utf-8" } else { "rfc822" }.to_owned();
        let original = OriginalRecipient { address_type, address };
        prop_assert_eq!(OriginalRecipient::parse(&original.encode()), Some(original));
    }
}
