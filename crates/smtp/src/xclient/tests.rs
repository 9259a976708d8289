use proptest::prelude::*;

use super::*;

#[test]
fn every_attribute_is_understood() {
    let client = XClient::parse(
        "NAME=spike.example.test ADDR=192.0.2.7 PORT=4711 proto=ESMTP HELO=a+2Bb.example.test \
         LOGIN=alice@example.test DESTADDR=IPV6:2001:db8::1 DESTPORT=25",
    );
    let expected = XClient {
        address: Some("192.0.2.7".parse().unwrap()),
        port: Some(4711),
        helo: Some("a+b.example.test".into()),
        esmtp: Some(true),
        login: Some("alice@example.test".into()),
        destination: Some("2001:db8::1".parse().unwrap()),
        destination_port: Some(25),
    };
    assert_eq!(client, Ok(expected));
}

#[test]
fn what_the_proxy_does_not_know_is_not_known() {
    let client =
        XClient::parse("NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] HELO=[TEMPUNAVAIL] LOGIN=[unavailable]");
    assert_eq!(client, Ok(XClient::default()));
}

#[test]
fn attributes_are_checked() {
    for (arguments, error) in [
        ("", CommandError::Arguments),
        ("ADDR", CommandError::Arguments),
        ("ADDR=", CommandError::ParameterValue),
        ("ADDR=example.test", CommandError::ParameterValue),
        ("ADDR=IPV6:192.0.2.7", CommandError::ParameterValue),
        ("PORT=70000", CommandError::ParameterValue),
        ("PROTO=LMTP", CommandError::ParameterValue),
        ("HELO=a+0D+0Ab", CommandError::ParameterValue),
        ("HELO=a+zz", CommandError::ParameterValue),
        ("COLOUR=red", CommandError::UnknownParameter),
    ] {
        assert_eq!(XClient::parse(arguments), Err(error), "{arguments}");
    }
    let long = format!("HELO={}", "a".repeat(256));
    assert_eq!(XClient::parse(&long), Err(CommandError::ParameterValue));
}

proptest! {
    #[test]
    fn no_arguments_panic(arguments in "(ADDR|HELO|PORT)?=?\\PC{0,40}") {
        let _ = XClient::parse(&arguments);
    }
}
