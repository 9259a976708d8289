//! Cuts an address list into words and signs (RFC 5322 §3.2), in one pass over the octets.

use memchr::{memchr, memmem};

use crate::words;

/// Octets of an encoded-word at most: RFC 2047 §2 says 75, many programs write more.
const MAX_ENCODED_WORD: usize = 1000;

/// A word, a sign or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Blanks or a comment stand before it.
    pub(super) spaced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An atom with its dots, an encoded-word or a domain literal, as it stands.
    Atom(String),
    /// The content of a quoted string.
    Quoted(String),
    /// The content of a comment, with the comments in it.
    Comment(String),
    /// One of `< > @ , ; :`.
    Sign(u8),
}

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    /// No such sign closes anything any more, so opening ones are text: looking again each time would take quadratic time.
    unclosed_quote: bool,
    unclosed_comment: bool,
    unclosed_literal: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: value, unclosed_quote: false, unclosed_comment: false, unclosed_literal: false }
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// `"…"`; a quote that nothing closes is left out (RFC 7103 §7.1.6).
    fn quoted(&mut self) -> Option<Kind> {
        if !self.unclosed_quote {
            match quoted_length(self.rest) {
                Some(length) => {
                    let quoted = self.take(length);
                    return Some(Kind::Quoted(unescaped(&quoted[1..length - 1])));
                }
                None => self.unclosed_quote = true,
            }
        }
        self.take(1);
        None
    }

    /// `(…)`; a parenthesis that nothing closes is left out (RFC 7103 §7.1.4).
    fn comment(&mut self) -> Option<Kind> {
        if !self.unclosed_comment {
            match comment_length(self.rest) {
                Some(length) => {
                    let comment = self.take(length);
                    return Some(Kind::Comment(unescaped(&comment[1..length - 1])));
                }
                None => self.unclosed_comment = true,
            }
        }
        self.take(1);
        None
    }

    /// `[…]`, or an atom that begins with the bracket.
    fn literal(&mut self) -> Kind {
        if !self.unclosed_literal {
            match memchr(b']', self.rest) {
                Some(end) => return Kind::Atom(words::legible(self.take(end + 1))),
                None => self.unclosed_literal = true,
            }
        }
        self.atom()
    }

    /// An atom, or an encoded-word with signs in it, as some programs write them (`=?utf-8?q?Doe,_Jane?=`).
    fn atom(&mut self) -> Kind {
        if let Some(length) = encoded_word_length(self.rest) {
            return Kind::Atom(words::legible(self.take(length)));
        }
        let more = self.rest[1..].iter().take_while(|byte| !is_special(**byte)).count();
        Kind::Atom(words::legible(self.take(1 + more)))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let mut spaced = false;
        loop {
            let kind = match self.rest.first()? {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.take(1);
                    spaced = true;
                    continue;
                }
                b'"' => self.quoted(),
                b'(' => self.comment(),
                b'[' => Some(self.literal()),
                sign @ (b'<' | b'>' | b'@' | b',' | b';' | b':') => {
                    self.take(1);
                    Some(Kind::Sign(*sign))
                }
                _ => Some(self.atom()),
            };
            if let Some(kind) = kind {
                return Some(Token { kind, spaced });
            }
        }
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'(' | b'<' | b'>' | b'@' | b',' | b';' | b':')
}

/// Octets of the quoted string at the start, with its quotes.
fn quoted_length(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match rest.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Octets of the comment at the start, with the comments in it.
fn comment_length(rest: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Octets of the encoded-word at the start: `=?charset?encoding?text?=` without blanks (RFC 2047 §2).
fn encoded_word_length(rest: &[u8]) -> Option<usize> {
    let rest = &rest[..rest.len().min(MAX_ENCODED_WORD)];
    let after_charset = 3 + memchr(b'?', rest.strip_prefix(b"=?")?)?;
    let content = rest.get(after_charset + 1..)?.strip_prefix(b"?")?;
    let end = memmem::find(content, b"?=")?;
    let blank = content[..end].iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    (!blank).then_some(after_charset + 2 + end + 2)
}

/// Without the backslashes that take the next character as it is, and without line ends.
fn unescaped(content: &[u8]) -> String {
    let mut plain = Vec::with_capacity(content.len());
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            // One before a fold hides no part of it.
            b'\\' => plain.extend(bytes.next().filter(|byte| !matches!(byte, b'\r' | b'\n'))),
            b'\r' | b'\n' => {}
            _ => plain.push(byte),
        }
    }
    words::legible(&plain)
}
