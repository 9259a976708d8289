//! What is to be read of HTML: no parser, only as much as a preview needs.

/// Elements whose content nobody reads.
const HIDDEN: [&str; 4] = ["style", "script", "head", "title"];

/// Names of character references that text in mail has; others stay as they are.
const NAMED: [(&str, char); 14] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("zwnj", '\u{200c}'),
    ("copy", '©'),
    ("euro", '€'),
    ("hellip", '…'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
];

/// The text between tags. A tag is a blank, so that words do not run together.
pub(super) fn text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if rest.starts_with('<') { pass_tag(rest, &mut text) } else { reference(rest, &mut text) };
    }
    text.push_str(rest);
    text
}

/// Passes over a tag, a comment, or an element that is not read.
fn pass_tag<'a>(rest: &'a str, text: &mut String) -> &'a str {
    if let Some(comment) = rest.strip_prefix("<!--") {
        return behind(comment, "-->");
    }
    let name = &rest[1..];
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '!' | '?')) {
        // Not a tag: somebody wrote `a < b`.
        text.push('<');
        return name;
    }
    text.push(' ');
    let end = name.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(name.len());
    let behind_tag = behind(name, ">");
    let hidden = HIDDEN.into_iter().find(|hidden| name[..end].eq_ignore_ascii_case(hidden));
    hidden.map_or(behind_tag, |hidden| behind_closing(behind_tag, hidden))
}

/// What stands behind the closing tag of an element.
fn behind_closing<'a>(text: &'a str, element: &str) -> &'a str {
    for (at, _) in text.match_indices("</") {
        let name = &text.as_bytes()[at + 2..];
        if name.get(..element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element.as_bytes())) {
            return behind(&text[at..], ">");
        }
    }
    ""
}

/// What stands behind the first `end`; nothing if there is none.
fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Decodes a character reference; what is none stays.
fn reference<'a>(rest: &'a str, text: &mut String) -> &'a str {
    // No name here is longer, and a number that is cannot be a character.
    const LONGEST: usize = 10;
    let semicolon = rest.bytes().take(LONGEST).position(|octet| octet == b';');
    let decoded = semicolon.and_then(|end| Some((decode(&rest[1..end])?, &rest[end + 1..])));
    if let Some((character, behind)) = decoded {
        text.push(character);
        return behind;
    }
    text.push('&');
    &rest[1..]
}

fn decode(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return NAMED.iter().find(|(known, _)| *known == name).map(|(_, character)| *character);
    };
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => number.parse(),
    };
    char::from_u32(number.ok()?)
}
