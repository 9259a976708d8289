//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).

use message::mime::{Body, Disposition, Parameter, Part, Structure};

use super::Responses;

impl Responses {
    /// `body`: the structure of a whole message; `extended` with the extension data of BODYSTRUCTURE.
    pub(in crate::imap) fn structure(&mut self, structure: &Structure, extended: bool) -> &mut Self {
        self.part(structure, structure.root(), extended)
    }

    /// Recursion ends: the parser of structures caps their depth at 100.
    fn part(&mut self, structure: &Structure, part: &Part, extended: bool) -> &mut Self {
        self.raw("(");
        match &part.content {
            Body::Multipart { .. } => self.multipart(structure, part, extended),
            Body::Leaf | Body::Message { .. } => self.single(structure, part, extended),
        };
        self.raw(")")
    }

    fn multipart(&mut self, structure: &Structure, part: &Part, extended: bool) -> &mut Self {
        let mut empty = true;
        for child in structure.children(part) {
            self.part(structure, child, extended);
            empty = false;
        }
        if empty {
            // The grammar wants one part at least.
            self.raw("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)");
        }
        self.raw(" ").string(part.subtype.as_bytes());
        if extended {
            self.raw(" ").parameters(&part.parameters).extension(part);
        }
        self
    }

    fn single(&mut self, structure: &Structure, part: &Part, extended: bool) -> &mut Self {
        self.string(part.media_type.as_bytes()).raw(" ").string(part.subtype.as_bytes());
        self.raw(" ").parameters(&part.parameters);
        self.raw(" ").optional(part.id.as_deref());
        self.raw(" ").optional(part.description.as_deref());
        self.raw(" ").string(part.encoding.name().as_bytes());
        self.raw(" ").number(part.body.len() as u64);
        if let (Body::Message { envelope, .. }, Some(message)) = (&part.content, structure.message_in(part)) {
            self.raw(" ").envelope(envelope).raw(" ").part(structure, message, extended);
            self.raw(" ").number(part.lines as u64);
        } else if part.media_type == "text" {
            self.raw(" ").number(part.lines as u64);
        }
        if extended {
            self.raw(" ").optional(part.md5.as_deref()).extension(part);
        }
        self
    }

    /// Disposition, language, location: what both forms of extension data end with.
    fn extension(&mut self, part: &Part) -> &mut Self {
        self.raw(" ").disposition(part.disposition.as_ref());
        match part.languages.as_slice() {
            [] => self.raw(" NIL"),
            [one] => self.raw(" ").string(one.as_bytes()),
            several => {
                self.raw(" (");
                for (index, language) in several.iter().enumerate() {
                    self.raw(if index > 0 { " " } else { "" }).string(language.as_bytes());
                }
                self.raw(")")
            }
        };
        self.raw(" ").optional(part.location.as_deref())
    }

    fn disposition(&mut self, disposition: Option<&Disposition>) -> &mut Self {
        match disposition {
            None => self.raw("NIL"),
            Some(Disposition { kind, parameters }) => {
                self.raw("(").string(kind.as_bytes()).raw(" ").parameters(parameters).raw(")")
            }
        }
    }

    fn parameters(&mut self, parameters: &[Parameter]) -> &mut Self {
        if parameters.is_empty() {
            return self.raw("NIL");
        }
        self.raw("(");
        for (index, parameter) in parameters.iter().enumerate() {
            self.raw(if index > 0 { " " } else { "" });
            if parameter.extended {
                self.string(format!("{}*", parameter.name).as_bytes());
                self.raw(" ").string(extended_value(&parameter.value).as_bytes());
            } else {
                self.string(parameter.name.as_bytes()).raw(" ").string(parameter.value.as_bytes());
            }
        }
        self.raw(")")
    }
}

/// `utf-8''…` (RFC 2231 §4): the form in which clients expect the value of a `name*`.
fn extended_value(value: &str) -> String {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let mut encoded = String::from("utf-8''");
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(octet));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(octet >> 4)]));
            encoded.push(char::from(HEX[usize::from(octet & 15)]));
        }
    }
    encoded
}
