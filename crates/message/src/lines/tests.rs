use proptest::prelude::*;

use super::*;

fn check(text: &[u8]) -> Result<(), LineError> {
    LineChecker::default().push(text)
}

#[test]
fn a_line_may_have_998_octets() {
    let line = "x".repeat(998);
    assert_eq!(check(format!("a\r\n{line}\r\n{line}\n{line}").as_bytes()), Ok(()));
    for end in ["\r\n", "\n", ""] {
        assert_eq!(check(format!("a\r\n{line}x{end}").as_bytes()), Err(LineError::TooLong { line: 2 }));
    }
    assert_eq!(check(format!("{line}\r").as_bytes()), Ok(()));
    assert_eq!(check(format!("{line}\rx").as_bytes()), Err(LineError::TooLong { line: 1 }));
}

#[test]
fn a_nul_is_found_in_its_line() {
    assert_eq!(check(b"a\r\nb\r\nc\0\r\n"), Err(LineError::Nul { line: 3 }));
    assert_eq!(check(b"\0"), Err(LineError::Nul { line: 1 }));
}

/// Of two faults the earlier line is named, however the text is cut.
fn expected(text: &[u8]) -> Result<(), LineError> {
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index as u64 + 1;
        let plain = line.strip_suffix(b"\r").unwrap_or(line);
        if plain.len() > MAX_LINE {
            return Err(LineError::TooLong { line: number });
        }
        if plain.contains(&0) {
            return Err(LineError::Nul { line: number });
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn cuts_change_nothing(lengths in proptest::collection::vec(990_usize..1003, 1..4), faults in 0_u8..8, cuts in proptest::collection::vec(0_usize..4000, 0..5)) {
        let mut text = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            text.extend(std::iter::repeat_n(b'x', *length));
            text.extend_from_slice(if faults >> index & 1 == 0 { b"\r\n" } else { b"\r\0" });
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut checker = LineChecker::default();
        let mut start = 0;
        let result = cuts.iter().try_for_each(|cut| {
            let chunk = &text[start..*cut];
            start = *cut;
            checker.push(chunk)
        });
        // A line with both faults may be reported for either.
        let line = |result| match result {
            Ok(()) => None,
            Err(LineError::TooLong { line } | LineError::Nul { line }) => Some(line),
        };
        prop_assert_eq!(line(result), line(expected(&text)));
    }
}
