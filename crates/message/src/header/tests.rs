use proptest::prelude::*;

use super::*;

/// Names and values as text, which is easier to compare.
fn parsed(block: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields(block).map(|field| (text(field.name), text(&field.unfolded()))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn fields_are_read_up_to_the_blank_line() {
    let message = b"Subject: one\r\n two\r\nTo:bob@example.test\r\nX-Empty:\r\n\r\nBody: no\r\n";
    assert_eq!(
        parsed(message),
        pairs(&[("Subject", "one two"), ("To", "bob@example.test"), ("X-Empty", "")])
    );
    let subject = fields(message).next().expect("a field");
    assert!(subject.is("SUBJECT"));
    assert_eq!(subject.value, b" one\r\n two");
    assert_eq!(subject.raw, b"Subject: one\r\n two\r\n");
    assert_eq!(first(message, "to"), Some(&b"bob@example.test"[..]));
    assert_eq!(first(message, "body"), None);
}

#[test]
fn a_bare_lf_ends_a_line_and_the_last_needs_no_end() {
    assert_eq!(parsed(b"A: 1\n 2\nB: 3\n\nC: 4"), pairs(&[("A", "1 2"), ("B", "3")]));
    assert_eq!(parsed(b"A: 1\r\nB: 3"), pairs(&[("A", "1"), ("B", "3")]));
    assert_eq!(parsed(b""), pairs(&[]));
    assert_eq!(parsed(b"\r\nA: 1\r\n"), pairs(&[]));
}

#[test]
fn a_line_that_is_no_field_belongs_to_the_field_before_it() {
    let block = b"Subject: a reminder\r\nabout the game at 7:30\r\nDate: now\r\n\r\n";
    assert_eq!(parsed(block), pairs(&[("Subject", "a reminder about the game at 7:30"), ("Date", "now")]));
    let malformed: Vec<_> = fields(block).map(|field| field.malformed_line()).collect();
    assert_eq!(malformed, [Some(1), None]);
}

#[test]
fn lines_at_the_top_that_are_no_field_have_no_name() {
    let block = b"From bob@example.test Mon Jan  1 00:00:00 2024\r\n>From x\r\nTo: bob\r\n\r\n";
    let read: Vec<Field<'_>> = fields(block).collect();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].name, b"");
    assert!(!read[0].is_well_formed());
    assert!(read[1].is("to"));
}

#[test]
fn odd_spacing_and_octets_are_read() {
    let block = b"Subject \t: caf\xe9\r\nX-Y:\r\n \r\n z\r\nA:b:c\r\n";
    let read: Vec<Field<'_>> = fields(block).collect();
    assert_eq!(read.len(), 3);
    assert!(read[0].is("subject"));
    assert_eq!(read[0].unfolded().as_ref(), b"caf\xe9");
    assert_eq!(read[1].unfolded().as_ref(), b"z");
    assert_eq!(read[2].value, b"b:c");
    assert!(read.iter().all(Field::is_well_formed));
}

#[test]
fn the_length_holds_the_blank_line() {
    assert_eq!(length(b"A: 1\r\n\r\nbody"), 8);
    assert_eq!(length(b"A: 1\n\nbody"), 6);
    assert_eq!(length(b"A: 1\n\r\nbody"), 7);
    assert_eq!(length(b"\r\nbody"), 2);
    assert_eq!(length(b"A: 1\r\n \r\nB: 2"), 13);
    assert_eq!(length(b"A: 1\r\n\r\r\nB: 2"), 13);
    assert_eq!(length(b""), 0);
}

proptest! {
    #[test]
    fn the_fields_and_the_blank_line_are_the_block(block in "[a-c:\r\n \té]{0,60}") {
        let block = block.as_bytes();
        let mut iterator = fields(block);
        let mut together = Vec::new();
        for field in iterator.by_ref() {
            prop_assert_eq!(field.offset, together.len());
            together.extend_from_slice(field.raw);
        }
        prop_assert_eq!(iterator.offset(), together.len());
        let blank_line = &block[together.len()..length(block)];
        prop_assert!(matches!(blank_line, b"" | b"\n" | b"\r\n"));
        together.extend_from_slice(blank_line);
        prop_assert_eq!(together.as_slice(), &block[..length(block)]);
    }

    #[test]
    fn the_end_is_found_over_any_boundaries(block in "[ab\r\n ]{0,30}", cut in 0_usize..30) {
        let block = block.as_bytes();
        let cut = cut.min(block.len());
        let mut finder = EndFinder::default();
        let found = finder.push(&block[..cut]).or_else(|| finder.push(&block[cut..]).map(|n| n + cut));
        prop_assert_eq!(found.unwrap_or(block.len()), length(block));
    }
}
