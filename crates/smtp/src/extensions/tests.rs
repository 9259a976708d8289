use super::*;

#[test]
fn what_is_advertised_reads_the_same() {
    let extensions = Extensions {
        pipelining: true,
        size: Some(52_428_800),
        eight_bit_mime: true,
        smtputf8: true,
        chunking: true,
        binary_mime: true,
        enhanced_status_codes: true,
        dsn: true,
        auth: Mechanisms::ALL,
        starttls: true,
        require_tls: true,
        mt_priority: true,
        limits: Limits { mail: Some(10), rcpt: Some(1000), rcpt_domains: Some(1) },
    };
    let text = extensions.advertise("mx.example.test");
    assert!(text.contains("\nLIMITS MAILMAX=10 RCPTMAX=1000 RCPTDOMAINMAX=1"), "{text}");
    assert_eq!(Extensions::parse(text.lines()), extensions);
    assert_eq!(Extensions::parse(Extensions::default().advertise("x").lines()), Extensions::default());
}

#[test]
fn what_others_write_is_understood() {
    let extensions =
        Extensions::parse(["PIPELINING", "size", "auth=LOGIN", "AUTH GSSAPI PLAIN", "XCLIENT", "SIZE x"]);
    assert!(!extensions.pipelining, "the first line is a greeting");
    assert_eq!(extensions.size, Some(0));
    assert_eq!(extensions.auth, Mechanisms::ALL);
}

#[test]
fn a_limit_that_makes_no_sense_is_none() {
    let extensions = Extensions::parse(["x", "LIMITS RCPTMAX=0 MAILMAX=abc FOO=1"]);
    assert_eq!(extensions.limits, Limits::default());
}
