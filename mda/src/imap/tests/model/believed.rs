//! What a client believes of its mailbox, from nothing but what it was sent.

use std::collections::BTreeSet;

/// Flags by name.
pub(super) type Flags = BTreeSet<String>;

#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    pub(super) uid: Option<u32>,
    pub(super) flags: Option<Flags>,
    pub(super) modseq: Option<u64>,
}

/// Messages by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Believed {
    pub(super) messages: Vec<Message>,
    /// There is no message up to this UID that it does not know.
    pub(super) learnt: u32,
    /// The flag that a search asks for whose results are followed, and the UIDs of those.
    pub(super) followed: Option<(String, BTreeSet<u32>)>,
}

impl Believed {
    pub(super) fn hear_all(&mut self, lines: &[String], numbers_stay: bool) {
        for line in lines {
            self.hear(line, numbers_stay);
        }
    }

    /// Takes in an untagged response; `numbers_stay` while none may say that a message is gone.
    pub(super) fn hear(&mut self, line: &str, numbers_stay: bool) {
        let rest = line.strip_prefix("* ").expect(line);
        let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match (first.parse::<u32>(), first) {
            (Ok(number), _) if rest == "EXISTS" => {
                assert!(number as usize >= self.messages.len(), "fewer than there were: {line}");
                self.messages.resize_with(number as usize, Message::default);
            }
            (Ok(number), _) if rest == "EXPUNGE" => {
                assert!(!numbers_stay && number >= 1, "not now: {line}");
                self.messages.remove(number as usize - 1);
            }
            (Ok(number), _) if rest.starts_with("FETCH (") => {
                let message = self.messages.get_mut(number as usize - 1).expect(line);
                message.hear(rest, line);
            }
            (_, "VANISHED") if !rest.starts_with("(EARLIER)") => {
                assert!(!numbers_stay, "not now: {line}");
                for uid in parse_set(rest) {
                    self.vanish(uid, line);
                }
            }
            (_, "ESEARCH") => {
                let Some((_, followed)) = &mut self.followed else { return };
                for uid in results(rest, "REMOVEFROM (0 ") {
                    let is_there =
                        self.messages.iter().any(|message| message.uid.is_none_or(|known| known == uid));
                    assert!(is_there, "it was gone before: {line}");
                    assert!(followed.remove(&uid), "{uid} was none: {line}");
                }
                for uid in results(rest, "ADDTO (0 ").into_iter().chain(results(rest, "ALL ")) {
                    assert!(followed.insert(uid), "{uid} was one: {line}");
                }
            }
            (Ok(uid), _) if rest.starts_with("UIDFETCH (") => {
                let uid = Some(uid);
                let known = self.messages.iter().position(|message| message.uid == uid);
                // One of those it does not know yet.
                let unknown = || self.messages.iter().position(|message| message.uid.is_none());
                let at = known.or_else(unknown).expect(line);
                self.messages[at].uid = uid;
                self.messages[at].hear(rest, line);
                if !self.has_unknown() {
                    self.messages.sort_by_key(|message| message.uid);
                }
            }
            _ => {}
        }
    }

    fn vanish(&mut self, uid: u32, line: &str) {
        let known = self.messages.iter().position(|message| message.uid == Some(uid));
        // It came and went before the client could ask for its UID.
        let unknown = || self.messages.iter().position(|message| message.uid.is_none());
        self.messages.remove(known.or_else(unknown).expect(line));
    }

    pub(super) fn has_unknown(&self) -> bool {
        self.messages.iter().any(|message| message.uid.is_none())
    }

    /// The client has asked for what it did not know; more may have come meanwhile.
    pub(super) fn has_learnt(&mut self) {
        if self.has_unknown() {
            return;
        }
        self.learnt = self.messages.iter().filter_map(|message| message.uid).fold(self.learnt, u32::max);
    }

    pub(super) fn message(&mut self, uid: u32) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.uid == Some(uid))
    }
}

impl Message {
    fn hear(&mut self, fetched: &str, line: &str) {
        if let Some(uid) = between(fetched, "UID ", &[' ', ')']).and_then(|uid| uid.parse().ok()) {
            assert!(self.uid.is_none_or(|known| known == uid), "another UID: {line}");
            self.uid = Some(uid);
        }
        if let Some(flags) = between(fetched, "FLAGS (", &[')']) {
            self.flags = Some(flags.split_whitespace().map(str::to_owned).collect());
        }
        if let Some(modseq) = between(fetched, "MODSEQ (", &[')']).and_then(|text| text.parse().ok()) {
            assert!(self.modseq.is_none_or(|known| known <= modseq), "it went back: {line}");
            self.modseq = Some(modseq);
        }
    }
}

/// What stands behind a name, up to one of these.
fn between<'a>(text: &'a str, name: &str, ends: &[char]) -> Option<&'a str> {
    let start = text
        .match_indices(name)
        .map(|(at, _)| at)
        .find(|at| matches!(text.as_bytes()[at - 1], b' ' | b'('))?;
    let value = &text[start + name.len()..];
    Some(&value[..value.find(ends)?])
}

/// What stands behind an item of ESEARCH.
fn results(text: &str, item: &str) -> Vec<u32> {
    let set = text.split_once(item).and_then(|(_, rest)| rest.split([')', ' ']).next());
    set.map(parse_set).unwrap_or_default()
}

pub(super) fn parse_set(text: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().expect(text);
    let ranges = text.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    ranges.flat_map(|(first, last)| number(first)..=number(last)).collect()
}
