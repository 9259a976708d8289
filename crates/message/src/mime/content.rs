//! What the header of a part says about its content (RFC 2045, 2183, 3282, 2557).

use std::borrow::Cow;

use super::structure::{Body, Disposition, Encoding, Part};
use crate::header::{self, Field};
use crate::parameters::{self, MAX_FIELD};
use crate::words;

/// Reads the fields of a header block into a part whose body is not known yet. `Content-Type` may be missing:
/// `default_type` stands for it. Of a field that is there twice, the first counts.
pub(super) fn part(block: &[u8], default_type: (&str, &str)) -> Part {
    let mut fields = ContentFields::default();
    for field in header::fields(block) {
        fields.note(field);
    }
    let (media_type, subtype, parameters) = fields.content_type(default_type);
    Part {
        header: 0..0,
        body: 0..0,
        lines: 0,
        media_type,
        subtype,
        parameters,
        id: fields.text(ID),
        description: fields.text(DESCRIPTION),
        encoding: fields.encoding(),
        md5: fields.text(MD5),
        disposition: fields.disposition(),
        languages: fields.languages(),
        location: fields.location(),
        content: Body::Leaf,
        next: None,
    }
}

/// Makes a part what anything is that cannot be parsed.
pub(super) fn degrade(part: &mut Part) {
    part.media_type = "text".into();
    part.subtype = "plain".into();
    part.parameters.clear();
    part.content = Body::Leaf;
}

const TYPE: usize = 0;
const ENCODING: usize = 1;
const ID: usize = 2;
const DESCRIPTION: usize = 3;
const MD5: usize = 4;
const DISPOSITION: usize = 5;
const LANGUAGE: usize = 6;
const LOCATION: usize = 7;
/// Behind `Content-`, in the order of the numbers above.
const NAMES: [&str; 8] =
    ["Type", "Transfer-Encoding", "ID", "Description", "MD5", "Disposition", "Language", "Location"];

/// Values of the fields of [`NAMES`], folded as they stand.
#[derive(Default)]
struct ContentFields<'a>([Option<&'a [u8]>; NAMES.len()]);

impl<'a> ContentFields<'a> {
    fn note(&mut self, field: Field<'a>) {
        let Some((prefix, rest)) = field.name.split_at_checked("Content-".len()) else { return };
        if !prefix.eq_ignore_ascii_case(b"Content-") {
            return;
        }
        if let Some(index) = NAMES.iter().position(|name| rest.eq_ignore_ascii_case(name.as_bytes())) {
            self.0[index].get_or_insert(&field.value[..field.value.len().min(MAX_FIELD)]);
        }
    }

    fn text(&self, index: usize) -> Option<String> {
        let unfolded: Cow<'_, [u8]> = header::unfold(self.0[index]?);
        Some(words::legible(&unfolded))
    }

    /// Type, subtype and parameters; text/plain if the field is malformed (RFC 2045 §5.2).
    fn content_type(&self, default_type: (&str, &str)) -> (String, String, Vec<parameters::Parameter>) {
        let Some(field) = self.0[TYPE] else {
            return (default_type.0.into(), default_type.1.into(), Vec::new());
        };
        let (value, parameters) = parameters::parse(field);
        match value.split_once('/').map(|(media_type, subtype)| (media_type.trim(), subtype.trim())) {
            Some((media_type, subtype)) if is_token(media_type) && is_token(subtype) => {
                (media_type.to_ascii_lowercase(), subtype.to_ascii_lowercase(), parameters)
            }
            _ => ("text".into(), "plain".into(), Vec::new()),
        }
    }

    fn encoding(&self) -> Encoding {
        let name = self.0[ENCODING].map(|field| parameters::parse(field).0).unwrap_or_default();
        if is_token(&name) { Encoding::from_name(&name) } else { Encoding::default() }
    }

    fn disposition(&self) -> Option<Disposition> {
        let (kind, parameters) = parameters::parse(self.0[DISPOSITION]?);
        is_token(&kind).then(|| Disposition { kind: kind.to_ascii_lowercase(), parameters })
    }

    fn languages(&self) -> Vec<String> {
        let value = self.0[LANGUAGE].map(|field| parameters::parse(field).0).unwrap_or_default();
        value.split(',').map(str::trim).filter(|tag| is_token(tag)).map(Into::into).collect()
    }

    /// Blanks in a location are folds (RFC 2557 §4.4).
    fn location(&self) -> Option<String> {
        self.text(LOCATION).map(|location| location.split_whitespace().collect())
    }
}

/// `token` of RFC 2045 §5.1.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
}
