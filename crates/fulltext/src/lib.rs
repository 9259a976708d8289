//! Which texts may hold some words, without reading them.
//!
//! A text is known by the *trigrams* in it, every three characters in a row. A text that lacks a trigram of the words
//! sought does not hold them; one that has all of them may, and has to be read. So an answer is never wrong: words are
//! found within longer words, as IMAP wants them, and whoever asks reads a few texts instead of all.
//!
//! The index is a copy of what others keep: it can be thrown away at any moment, and is when it cannot be read. It
//! knows nothing of mail.

#![forbid(unsafe_code)]

mod collector;
mod trigrams;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tantivy::query::{AllQuery, BooleanQuery, Query, TermQuery};
use tantivy::schema::{FAST, INDEXED, IndexRecordOption, Schema};
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

use collector::Ids;

/// The version of what is in the folder; another one is thrown away.
const VERSION: &str = "1";
/// Octets that a writer takes while it gathers.
const WRITER_MEMORY: usize = 24 << 20;
/// Trigrams that are looked up of the words sought: more would hardly narrow the answer.
const MAX_LOOKED_UP: usize = 24;

/// The part of a text that words are sought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What stands at its head.
    Head,
    /// What follows.
    Body,
}

/// Why an index cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made, read or removed.
    #[error("the search index in {dir}: {source}")]
    Folder {
        /// The index' folder.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The engine failed.
    #[error("the search index: {0}")]
    Engine(#[from] TantivyError),
}

/// The index in a folder. One process at a time.
pub struct TextIndex {
    index: tantivy::Index,
    reader: IndexReader,
    fields: Fields,
}

/// The fields of a document.
#[derive(Clone, Copy)]
struct Fields {
    id: tantivy::schema::Field,
    head: tantivy::schema::Field,
    body: tantivy::schema::Field,
}

impl TextIndex {
    /// Opens the index of a folder, or makes it. One of another version, or damaged, is made anew, and is empty.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        if is_ours(dir) {
            match Self::open_engine(dir) {
                Ok(index) => return Ok(index),
                Err(error) => {
                    tracing::warn!(dir = %dir.display(), %error, "a search index cannot be read: it is made anew");
                }
            }
        }
        Self::anew(dir)
    }

    /// Makes an empty index, whatever was in the folder.
    pub fn anew(dir: &Path) -> Result<Self, Error> {
        begin(dir).map_err(|source| Error::Folder { dir: dir.to_owned(), source })?;
        Self::open_engine(dir)
    }

    fn open_engine(dir: &Path) -> Result<Self, Error> {
        let (schema, fields) = schema();
        let index = tantivy::Index::open_or_create(
            tantivy::directory::MmapDirectory::open(dir).map_err(TantivyError::from)?,
            schema,
        )?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields })
    }

    /// The ids of all texts in the index, ascending. Of any other nothing is known.
    pub fn known(&self) -> Result<Vec<u64>, Error> {
        self.ids(&AllQuery)
    }

    /// The ids of the texts that may hold the words, ascending; `None` if that cannot be told of such words: they are
    /// shorter than a trigram. Case counts: texts and words are to be folded before.
    pub fn candidates(&self, part: Part, words: &str) -> Result<Option<Vec<u64>>, Error> {
        let trigrams = trigrams::of(words);
        if trigrams.is_empty() {
            return Ok(None);
        }
        let field = self.fields.of(part);
        let step = trigrams.len().div_ceil(MAX_LOOKED_UP);
        let terms = trigrams.into_iter().step_by(step).map(|trigram| {
            let term = Term::from_field_u64(field, trigram);
            Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>
        });
        self.ids(&BooleanQuery::intersection(terms.collect())).map(Some)
    }

    /// Adds texts, in one step at [`Writer::commit`]. One writer at a time.
    pub fn writer(&self) -> Result<Writer<'_>, Error> {
        Ok(Writer { index: self, writer: self.index.writer_with_num_threads(1, WRITER_MEMORY)? })
    }

    fn ids(&self, query: &dyn Query) -> Result<Vec<u64>, Error> {
        let mut ids = self.reader.searcher().search(query, &Ids)?;
        ids.sort_unstable();
        Ok(ids)
    }
}

/// Texts that are being added. Dropped before it is committed, it leaves nothing behind.
pub struct Writer<'a> {
    index: &'a TextIndex,
    writer: IndexWriter,
}

impl Writer<'_> {
    /// Adds a text. An id that is in the index already is then there twice, which does no harm.
    pub fn add(&self, id: u64, head: &str, body: &str) -> Result<(), Error> {
        let fields = &self.index.fields;
        let mut document = TantivyDocument::new();
        document.add_u64(fields.id, id);
        for trigram in trigrams::of(head) {
            document.add_u64(fields.head, trigram);
        }
        for trigram in trigrams::of(body) {
            document.add_u64(fields.body, trigram);
        }
        self.writer.add_document(document)?;
        Ok(())
    }

    /// Makes what was added known.
    pub fn commit(mut self) -> Result<(), Error> {
        self.writer.commit()?;
        self.writer.wait_merging_threads()?;
        self.index.reader.reload()?;
        Ok(())
    }
}

impl Fields {
    fn of(self, part: Part) -> tantivy::schema::Field {
        match part {
            Part::Head => self.head,
            Part::Body => self.body,
        }
    }
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let fields = Fields {
        id: builder.add_u64_field(collector::ID, FAST),
        head: builder.add_u64_field("head", INDEXED),
        body: builder.add_u64_field("body", INDEXED),
    };
    (builder.build(), fields)
}

fn version_file(dir: &Path) -> PathBuf {
    dir.join("VERSION")
}

fn is_ours(dir: &Path) -> bool {
    fs::read_to_string(version_file(dir)).is_ok_and(|version| version.trim() == VERSION)
}

/// Makes an empty folder of our version.
fn begin(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(dir)?;
    fs::write(version_file(dir), VERSION)
}
