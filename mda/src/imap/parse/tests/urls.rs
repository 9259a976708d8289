//! URLs in CATENATE.

use crate::imap::parse::*;

fn url(text: &str) -> Option<MessageUrl> {
    message_url(text.as_bytes())
}

#[test]
fn messages_and_their_parts_have_urls() {
    let whole = |mailbox: Option<&str>, uid_validity, uid| MessageUrl {
        mailbox: mailbox.map(str::to_owned),
        uid_validity,
        uid,
        section: Section::default(),
        partial: None,
    };
    let drafts = whole(Some("Drafts"), Some(385_759_045), 20);
    assert_eq!(url("/Drafts;UIDVALIDITY=385759045/;UID=20"), Some(drafts.clone()));
    assert_eq!(url("Drafts;uidvalidity=385759045/;uid=20"), Some(drafts.clone()));
    assert_eq!(url("/a%20b/%C3%A9t%c3%a9/;UID=1"), Some(whole(Some("a b/été"), None, 1)));
    assert_eq!(url(";UID=7"), Some(whole(None, None, 7)));
    assert_eq!(url("/;UID=7"), Some(whole(None, None, 7)));
    let part = |part: &[u32], text| Section { part: part.to_vec(), text };
    for (text, section) in [
        ("HEADER", part(&[], Some(SectionText::Header))),
        ("1.MIME", part(&[1], Some(SectionText::Mime))),
        ("1.5.9", part(&[1, 5, 9], None)),
        (
            "HEADER.FIELDS%20(To%20Cc)",
            part(&[], Some(SectionText::Fields { names: vec!["To".into(), "Cc".into()], not: false })),
        ),
    ] {
        let found = url(&format!("/Drafts;UIDVALIDITY=385759045/;UID=20/;section={text}"));
        assert_eq!(found, Some(MessageUrl { section, ..drafts.clone() }), "{text}");
    }
    let partial = |text: &str| url(&format!("/x/;UID=1/;SECTION=TEXT/;PARTIAL={text}")).unwrap().partial;
    assert_eq!(partial("10.20"), Some(Partial { offset: 10, length: 20 }));
    assert_eq!(partial("10"), Some(Partial { offset: 10, length: u64::MAX }));
}

#[test]
fn other_urls_are_refused() {
    for text in [
        "",
        "/Drafts",
        "/Drafts/;UID=0",
        "/Drafts/;UID=x",
        "/Drafts/;UID=1;section=1",
        "/Drafts/;UID=1/;section=",
        "/Drafts/;UID=1/;section=1]",
        "/Drafts/;UID=1/;section=MIME",
        "/Drafts/;UID=1/;partial=1.0",
        "/Drafts/;UID=1/;urlauth=anonymous",
        "/Drafts;UIDVALIDITY=x/;UID=1",
        "/%F/;UID=1",
        "/%FF/;UID=1",
        "//host/Drafts/;UID=1",
        "imap://host/Drafts/;UID=1",
    ] {
        assert_eq!(url(text), None, "{text}");
    }
}
