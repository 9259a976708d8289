//! Numbers of things, in words for people.

/// A number with what it counts, a noun in the singular: `1 body`, `2 bodies`.
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 {
        return format!("1 {noun}");
    }
    let stem = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match stem {
        Some(stem) => format!("{number} {stem}ies"),
        None if noun.ends_with(['s', 'x']) => format!("{number} {noun}es"),
        None => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_told_in_the_singular_and_all_others_in_the_plural() {
        for (number, noun, words) in [
            (0, "message", "0 messages"),
            (1, "message", "1 message"),
            (2, "journal record", "2 journal records"),
            (1, "mailbox", "1 mailbox"),
            (3, "mailbox", "3 mailboxes"),
            (1, "body", "1 body"),
            (2, "body", "2 bodies"),
            (2, "key", "2 keys"),
        ] {
            assert_eq!(counted(number, noun), words);
        }
    }
}
