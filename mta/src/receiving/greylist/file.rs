//! The greylist on disk: text, a line for each entry, written whole and put in place of the one before.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::{Passed, Seen, State, Triple};

/// The first line: of another format nothing is read.
const HEADER: &str = "waypost greylist 1";

/// Reads a file into the state. One that is not there holds nothing.
pub(super) fn load(path: &Path, state: &mut State) -> io::Result<()> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a greylist of this version"));
    }
    // A line that cannot be read is an entry less.
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let _ = network(&fields, state).or_else(|| triple(&fields, state));
    }
    Ok(())
}

fn network(fields: &[&str], state: &mut State) -> Option<()> {
    let &[network, triples, last] = fields else { return None };
    let passed = Passed { triples: triples.parse().ok()?, last: last.parse().ok()? };
    state.networks.insert(network.parse().ok()?, passed);
    Some(())
}

fn triple(fields: &[&str], state: &mut State) -> Option<()> {
    let &[network, sender, recipient, first, last, passed] = fields else { return None };
    let triple =
        Triple { network: network.parse().ok()?, sender: sender.to_owned(), recipient: recipient.to_owned() };
    let seen = Seen { first: first.parse().ok()?, last: last.parse().ok()?, passed: passed == "1" };
    state.triples.insert(triple, seen);
    Some(())
}

/// What [`load`] reads. No address of SMTP holds a control character.
pub(super) fn write(state: &State) -> String {
    let mut text = format!("{HEADER}\n");
    // Writing to a `String` cannot fail.
    for (network, passed) in state.networks.iter().filter(|(_, passed)| passed.triples > 0) {
        let _ = writeln!(text, "{network}\t{}\t{}", passed.triples, passed.last);
    }
    for (triple, seen) in state.triples.iter() {
        let Triple { network, sender, recipient } = triple;
        let passed = u8::from(seen.passed);
        let _ = writeln!(text, "{network}\t{sender}\t{recipient}\t{}\t{}\t{passed}", seen.first, seen.last);
    }
    text
}

/// Puts a file in the place of another: at every moment there is one or the other, whole.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
