use std::io::Read as _;
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::GzDecoder;
use jiff::Timestamp;
use message::{Address, MessageId};

use super::*;
use crate::tls_rpt::{PolicyKind, Report, ReportMail, Reporter, ResultType, file_name};

const DOMAIN: &str = "company-y.example";

/// The day of the example in RFC 8460 §5.3.
fn day() -> Day {
    let timestamp: Timestamp = "2016-04-01T12:00:00Z".parse().unwrap();
    Day::of(UNIX_EPOCH + Duration::from_secs(timestamp.as_second().cast_unsigned()))
}

fn sts() -> PolicyUsed {
    PolicyUsed {
        kind: PolicyKind::Sts,
        text: ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"]
            .map(str::to_owned)
            .to_vec(),
        domain: DOMAIN.into(),
        hosts: vec!["*.mail.company-y.example".into()],
    }
}

fn none() -> PolicyUsed {
    PolicyUsed { kind: PolicyKind::NoPolicyFound, text: Vec::new(), domain: DOMAIN.into(), hosts: Vec::new() }
}

fn failure(result_type: ResultType, reason: &str) -> Failure {
    Failure {
        result_type,
        sending_mta_ip: "2001:db8:abcd:0012::1".into(),
        receiving_mx_hostname: "mx1.mail.company-y.example".into(),
        receiving_ip: String::new(),
        failure_reason_code: reason.into(),
    }
}

fn reporter() -> Reporter {
    Reporter {
        organization: "Company-X".into(),
        contact: "sts-reporting@company-x.example".into(),
        submitter: "company-x.example".into(),
        node: "mta1".into(),
    }
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        assert!(ledger.record(day(), DOMAIN, &sts(), Ok(())));
    }
    for result_type in
        [ResultType::CertificateExpired, ResultType::StarttlsNotSupported, ResultType::CertificateExpired]
    {
        assert!(ledger.record(day(), DOMAIN, &sts(), Err(failure(result_type, ""))));
    }
    assert!(ledger.record(day(), DOMAIN, &none(), Ok(())));
    ledger
}

#[test]
fn the_report_has_the_form_of_the_standards_example() {
    let report = Report::new(&reporter(), day(), DOMAIN, ledger().tallies(day(), DOMAIN));
    let expected = serde_json::json!({
        "organization-name": "Company-X",
        "date-range": { "start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z" },
        "contact-info": "sts-reporting@company-x.example",
        "report-id": "1459468800.company-y.example.mta1@company-x.example",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string":
                        ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                    "policy-domain": "company-y.example",
                    "mx-host": ["*.mail.company-y.example"]
                },
                "summary": { "total-successful-session-count": 3, "total-failure-session-count": 3 },
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "2001:db8:abcd:0012::1",
                        "receiving-mx-hostname": "mx1.mail.company-y.example",
                        "failed-session-count": 2
                    },
                    {
                        "result-type": "starttls-not-supported",
                        "sending-mta-ip": "2001:db8:abcd:0012::1",
                        "receiving-mx-hostname": "mx1.mail.company-y.example",
                        "failed-session-count": 1
                    }
                ]
            },
            {
                "policy": { "policy-type": "no-policy-found", "policy-domain": "company-y.example" },
                "summary": { "total-successful-session-count": 1, "total-failure-session-count": 0 }
            }
        ]
    });
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);
}

#[test]
fn the_mail_is_a_multipart_report_with_the_packed_json() {
    let report = Report::new(&reporter(), day(), DOMAIN, ledger().tallies(day(), DOMAIN));
    let (from, to) = (
        Address::parse("tlsrpt@company-x.example").unwrap(),
        Address::parse("reports@company-y.example").unwrap(),
    );
    let mail = ReportMail {
        id: MessageId::new(),
        at: Timestamp::UNIX_EPOCH,
        from: &from,
        to: &to,
        reporter: &reporter(),
        domain: DOMAIN,
        day: day(),
        report: &report,
    };
    let mail = String::from_utf8(mail.build().unwrap()).unwrap();
    for line in [
        "From: <tlsrpt@company-x.example>",
        "To: <reports@company-y.example>",
        "Subject: Report Domain: company-y.example\r\n Submitter: company-x.example\r\n Report-ID: \
         <1459468800.company-y.example.mta1@company-x.example>",
        "TLS-Report-Domain: company-y.example",
        "TLS-Report-Submitter: company-x.example",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";",
        "Content-Type: application/tlsrpt+gzip",
        "Sessions that did not meet a policy: 3",
    ] {
        assert!(mail.contains(&format!("{line}\r\n")), "{line}\n{mail}");
    }
    assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "every line ends in CRLF");
    assert!(mail.lines().all(|line| line.len() <= 998));
    let structure = mail_parser::MessageParser::default().parse(mail.as_bytes()).unwrap();
    let attachment = structure.attachment(0).unwrap();
    let name = "company-x.example!company-y.example!1459468800!1459555199!mta1.json.gz";
    assert_eq!(file_name(&reporter(), day(), DOMAIN), name);
    assert_eq!(mail_parser::MimeHeaders::attachment_name(attachment), Some(name));
    let mut json = String::new();
    GzDecoder::new(attachment.contents()).read_to_string(&mut json).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn results_survive_being_written_and_read() {
    let ledger = ledger();
    let text = serde_json::to_string(&ledger).unwrap();
    assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
}

#[test]
fn days_that_are_over_are_due_until_they_are_settled() {
    let mut ledger = ledger();
    let next = Day::of(day().start() + Duration::from_hours(24));
    assert!(ledger.record(next, "other.test", &none(), Ok(())));
    assert_eq!(ledger.due(day()), []);
    assert_eq!(ledger.due(next), [(day(), DOMAIN.to_owned())]);
    ledger.settle(day(), DOMAIN);
    assert_eq!(ledger.due(next), []);
    assert_eq!(ledger.tallies(day(), DOMAIN), []);
    assert_eq!(ledger.forget_before(next), 0);
    assert_eq!(next.before(1), day());
    let later = Day::of(next.start() + Duration::from_hours(48));
    assert_eq!(ledger.forget_before(later), 1);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn what_would_grow_for_ever_is_counted_without_its_details() {
    let mut ledger = Ledger::default();
    for number in 0..MOST_FAILURES + 10 {
        let failure = failure(ResultType::ValidationFailure, &format!("{number} {}", "ä".repeat(1_000)));
        assert!(ledger.record(day(), DOMAIN, &sts(), Err(failure)));
    }
    let tally = &ledger.tallies(day(), DOMAIN)[0];
    assert_eq!((tally.failed, tally.failures.len()), (110, MOST_FAILURES));
    assert!(
        tally
            .failures
            .iter()
            .all(|(failure, _)| failure.failure_reason_code.chars().count() == MOST_OF_REASON)
    );
    for number in 1..MOST_POLICIES {
        let policy = PolicyUsed { text: vec![number.to_string()], ..none() };
        assert!(ledger.record(day(), DOMAIN, &policy, Ok(())));
    }
    assert!(!ledger.record(day(), DOMAIN, &none(), Ok(())));
    for number in 1..MOST_DOMAINS {
        assert!(ledger.record(day(), &format!("{number}.test"), &none(), Ok(())));
    }
    assert!(!ledger.record(day(), "one-more.test", &none(), Ok(())));
    assert!(ledger.record(day(), "1.test", &none(), Ok(())));
}

#[test]
fn of_a_large_policy_the_beginning_is_kept() {
    let hosts = |number: usize| -> Vec<String> {
        (0..number).map(|number| format!("{number:03}.{}.test", "x".repeat(50))).collect()
    };
    let policy = |number| PolicyUsed { text: hosts(number), hosts: hosts(number), ..sts() };
    let mut ledger = Ledger::default();
    for number in [99, 100] {
        assert!(ledger.record(day(), DOMAIN, &policy(number), Ok(())));
    }
    let [tally] = ledger.tallies(day(), DOMAIN) else { panic!("{ledger:?}") };
    assert_eq!((&tally.policy, tally.successful), (&policy(34), 2));
}

#[test]
fn all_together_takes_no_more_room_than_a_file_has() {
    let mut ledger = Ledger::default();
    // What takes most room as JSON: six octets for each.
    let reason = "\u{1}".repeat(MOST_OF_REASON);
    let mut domains = 0;
    while ledger.record(day(), &format!("{domains}.test"), &sts(), Ok(())) && domains < 5_000 {
        for number in 0..MOST_FAILURES {
            let mut failure = failure(ResultType::ValidationFailure, &reason);
            failure.receiving_ip = number.to_string();
            assert!(ledger.record(day(), &format!("{domains}.test"), &sts(), Err(failure)));
        }
        domains += 1;
    }
    assert!(domains < 1_000, "{domains}");
    let written = serde_json::to_string(&ledger).unwrap();
    assert!(written.len() < 200 << 20, "{} octets", written.len());
    assert_eq!(serde_json::from_str::<Ledger>(&written).unwrap(), ledger);

    ledger.settle(day(), "0.test");
    assert!(ledger.record(day(), "new.test", &sts(), Ok(())), "there is room again");
    ledger.forget_before(Day::of(day().start() + Duration::from_hours(24)));
    assert_eq!(ledger, Ledger::default());
}
