use proptest::prelude::*;

use super::*;
use crate::corpus;

fn of(message: &str) -> String {
    preview(message.as_bytes(), &Structure::parse(message.as_bytes()))
}

#[test]
fn the_first_words_of_a_text_are_shown() {
    assert_eq!(of("Subject: a\r\n\r\n  Dear\r\n\r\nall,\tgood  morning.\r\n"), "Dear all, good morning.");
    assert_eq!(of("Subject: a\r\n\r\n"), "");
}

#[test]
fn encodings_and_charsets_are_taken_off() {
    let head =
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n";
    assert_eq!(of(&format!("{head}\r\ncaf=E9 =\r\nau lait\r\n")), "café au lait");
}

#[test]
fn what_is_quoted_is_left_out_if_there_is_more() {
    assert_eq!(of("Subject: a\r\n\r\n> You asked\r\n> this\r\nNo.\r\n"), "No.");
    assert_eq!(of("Subject: a\r\n\r\n> You asked\r\n> this\r\n"), "> You asked > this");
}

#[test]
fn html_is_read_where_there_is_no_text() {
    let html = "<html><head><title>News</title></head><style>p{color:red}</style><!-- a > b -->\
        <p>Tom &amp; J&#233;r&ocirc;me<br>a < b</p><script>alert('</p>')</script>&#x1F600;&bogus;&#99999999;";
    assert_eq!(
        of(&format!("Content-Type: text/html\r\n\r\n{html}")),
        "Tom & Jér&ocirc;me a < b 😀&bogus;&#99999999;"
    );
    let both = "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
        <b>rich</b>\r\n--x\r\n\r\nplain\r\n--x--\r\n";
    assert_eq!(of(both), "plain");
}

#[test]
fn attachments_are_not_shown() {
    let message = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Disposition: attachment\r\n\r\n\
        attached\r\n--x\r\n\r\nshown\r\n--x--\r\n";
    assert_eq!(of(message), "shown");
}

#[test]
fn it_is_never_too_long() {
    assert_eq!(of(&format!("Subject: a\r\n\r\n{}\r\n", "é".repeat(1_000))).chars().count(), MAX_CHARACTERS);
    let words = of(&format!("Subject: a\r\n\r\n{}\r\n", "four ".repeat(1_000)));
    assert_eq!(words.len(), MAX_CHARACTERS - 1);
    assert!(!words.ends_with(' '));
}

#[test]
fn every_message_has_a_preview_or_none() {
    for (path, message) in corpus::messages() {
        let shown = preview(&message, &Structure::parse(&message));
        assert!(shown.chars().count() <= MAX_CHARACTERS, "{}", path.display());
        assert!(!shown.contains(char::is_control), "{}: {shown}", path.display());
    }
}

proptest! {
    #[test]
    fn any_html_gives_text(html in "[<>&;#a-z/! é-]{0,80}") {
        let _ = html::text(&html);
    }
}
