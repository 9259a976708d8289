//! Address lists in header fields (RFC 5322 §3.4, §4.4), as IMAP's ENVELOPE lists them (RFC 9051 §7.5.2).

mod lexer;

#[cfg(test)]
mod tests;

use std::iter::Peekable;

use crate::address::{Address, LocalPart};
use lexer::{Kind, Lexer, Token};

/// Entries in a list at most; what comes behind them is left out.
pub const MAX_ENTRIES: usize = 5_000;

/// Reads an address list: never fails, takes the obsolete syntax and, where RFC 7103 §7.1 has an opinion, the broken.
///
/// What is no address comes as a mailbox without a domain.
pub fn parse(value: &[u8]) -> Vec<Entry> {
    let mut parser = Parser { tokens: Lexer::new(value).peekable(), entries: Vec::new(), in_group: false };
    while parser.entries.len() < MAX_ENTRIES && parser.element() {}
    if parser.in_group {
        parser.entries.push(Entry::GroupEnd);
    }
    parser.entries
}

/// One element of an address list. A group is its start, its mailboxes, its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A mailbox, in a group or not.
    Mailbox(Mailbox),
    /// `name:`, with the name of the group, unquoted.
    GroupStart(String),
    /// `;`
    GroupEnd,
}

/// `name <@route:local-part@domain>`; text that is not UTF-8 is guessed at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Display name, or the comment that stands for one; unquoted, encoded-words still encoded.
    pub name: Option<String>,
    /// The obsolete source route, `@one,@two`, without its colon.
    pub route: Option<String>,
    /// The local part, unquoted.
    pub local_part: String,
    /// The domain or domain literal, without blanks and comments; empty if there is none.
    pub domain: String,
}

impl Mailbox {
    /// The address, if it is one by the envelope's rules.
    pub fn address(&self) -> Option<Address> {
        let local_part = LocalPart::from_unquoted(&self.local_part).ok()?;
        Address::new(local_part, self.domain.parse().ok()?).ok()
    }
}

struct Parser<'a> {
    tokens: Peekable<Lexer<'a>>,
    entries: Vec<Entry>,
    in_group: bool,
}

impl Parser<'_> {
    /// Reads up to the next comma, or the start or end of a group. `false`: there was nothing more.
    fn element(&mut self) -> bool {
        let mut element = Element::default();
        loop {
            let Some(token) = self.tokens.next() else {
                self.entries.extend(element.mailbox().map(Entry::Mailbox));
                return false;
            };
            match token.kind {
                Kind::Sign(b',') => break,
                Kind::Sign(b';') => {
                    self.entries.extend(element.mailbox().map(Entry::Mailbox));
                    if self.in_group {
                        self.in_group = false;
                        self.entries.push(Entry::GroupEnd);
                    }
                    return true;
                }
                Kind::Sign(b':') if !self.in_group && element.may_be_group_name() => {
                    self.in_group = true;
                    self.entries.push(Entry::GroupStart(phrase(&element.words)));
                    return true;
                }
                Kind::Sign(b'<') => {
                    if self.angle(&mut element) {
                        break;
                    }
                }
                Kind::Sign(b'>') => {}
                Kind::Comment(comment) => element.comment = Some(comment),
                _ => element.words.push(token),
            }
        }
        self.entries.extend(element.mailbox().map(Entry::Mailbox));
        true
    }

    /// Reads the rest of `<…>`. `true`: a comma ended it, for want of a bracket (RFC 7103 §7.1.5).
    fn angle(&mut self, element: &mut Element) -> bool {
        let mut words = Vec::new();
        let mut route = None;
        let mut comma = false;
        for token in self.tokens.by_ref() {
            match &token.kind {
                Kind::Sign(b'>') => break,
                Kind::Sign(b'<') | Kind::Comment(_) => {}
                Kind::Sign(b':') if route.is_none() && starts_route(&words) => {
                    route = Some(joined(&words));
                    words.clear();
                }
                // The commas of a route, of which it may have several in a row (RFC 5322 §4.4).
                Kind::Sign(b',') if route.is_none() && (words.is_empty() || starts_route(&words)) => {
                    words.push(token);
                }
                Kind::Sign(b',' | b';') => {
                    comma = true;
                    break;
                }
                _ => words.push(token),
            }
        }
        // `<<a@b>>`: the brackets that are left over (RFC 7103 §7.1.2).
        while self.tokens.next_if(|token| token.kind == Kind::Sign(b'>')).is_some() {}
        if element.address.is_none() {
            element.address = Some(words);
            element.route = route;
        }
        comma
    }
}

/// What was read of an element of the list.
#[derive(Default)]
struct Element {
    /// Words and `@` outside of angle brackets.
    words: Vec<Token>,
    /// What stands in angle brackets, without its route.
    address: Option<Vec<Token>>,
    route: Option<String>,
    /// The last comment.
    comment: Option<String>,
}

impl Element {
    fn may_be_group_name(&self) -> bool {
        self.address.is_none() && !self.words.is_empty() && !self.words.iter().any(is_at)
    }

    fn mailbox(self) -> Option<Mailbox> {
        if let Some(address) = self.address {
            let (_, local_part, domain) = split_address(&address);
            let name = Some(phrase(&self.words)).filter(|name| !name.is_empty()).or(self.comment);
            return Some(Mailbox { name, route: self.route, local_part, domain });
        }
        if self.words.is_empty() {
            return None;
        }
        let (before, local_part, domain) = split_address(&self.words);
        let name = Some(phrase(before)).filter(|name| !name.is_empty()).or(self.comment);
        Some(Mailbox { name, route: None, local_part, domain })
    }
}

/// Parts words into a phrase before the address, if there is one, the local part and the domain.
fn split_address(words: &[Token]) -> (&[Token], String, String) {
    let Some(at) = words.iter().rposition(is_at) else {
        return (&[], phrase(words), String::new());
    };
    // Blanks may stand around dots (RFC 5322 §4.4); elsewhere they part the name from the address.
    let mut start = at.saturating_sub(1);
    while start > 0 && belongs_together(&words[start - 1], &words[start]) {
        start -= 1;
    }
    let mut end = (at + 2).min(words.len());
    while end < words.len() && belongs_together(&words[end - 1], &words[end]) {
        end += 1;
    }
    (&words[..start], joined(&words[start..at]), joined(&words[at + 1..end]))
}

fn belongs_together(first: &Token, second: &Token) -> bool {
    !second.spaced || token_text(first).ends_with('.') || token_text(second).starts_with('.')
}

fn starts_route(words: &[Token]) -> bool {
    words.iter().find(|word| word.kind != Kind::Sign(b',')).is_some_and(is_at)
}

fn is_at(token: &Token) -> bool {
    token.kind == Kind::Sign(b'@')
}

/// Words as people read them, blanks between them as one.
fn phrase(words: &[Token]) -> String {
    let mut phrase = String::new();
    for word in words {
        if word.spaced && !phrase.is_empty() {
            phrase.push(' ');
        }
        phrase.push_str(token_text(word));
    }
    phrase
}

/// Words without the blanks between them.
fn joined(words: &[Token]) -> String {
    words.iter().map(token_text).collect()
}

fn token_text(token: &Token) -> &str {
    match &token.kind {
        Kind::Atom(text) | Kind::Quoted(text) | Kind::Comment(text) => text,
        Kind::Sign(b'@') => "@",
        Kind::Sign(b':') => ":",
        Kind::Sign(_) => ",",
    }
}
