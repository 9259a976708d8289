//! Commands shown to the user, so written that they work when pasted into a shell.

use std::env;
use std::path::{Path, PathBuf};

/// A word of a command, quoted if a POSIX shell would take it for something else.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path as such a word.
pub(crate) fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// How the user calls this program: by its name if the shell finds it so, else by its path.
pub(crate) fn this_program() -> String {
    let Ok(program) = env::current_exe() else { return "waypost".to_owned() };
    let found = env::var_os("PATH").and_then(|path| first_in(env::split_paths(&path), &program));
    match found {
        Some(name) => quote(&name),
        None => quote_path(&program),
    }
}

/// The program's name, if the first file of that name in these folders is the program.
fn first_in(folders: impl Iterator<Item = PathBuf>, program: &Path) -> Option<String> {
    let name = program.file_name()?;
    let first = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())?;
    (first.canonicalize().ok()? == program.canonicalize().ok()?).then(|| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_when_needed() {
        assert_eq!(quote("alice@example.test:x"), "alice@example.test:x");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's $5"), r"'it'\''s $5'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("imaps://127.0.0.1/INBOX;MAILINDEX=1"), "'imaps://127.0.0.1/INBOX;MAILINDEX=1'");
    }

    #[test]
    fn the_name_is_enough_only_where_it_means_this_program() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = ours.path().join("waypost");
        std::fs::write(&program, "").unwrap();
        let folders = |list: &[&tempfile::TempDir]| {
            list.iter().map(|folder| folder.path().to_owned()).collect::<Vec<_>>().into_iter()
        };
        assert_eq!(first_in(folders(&[&other, &ours]), &program).as_deref(), Some("waypost"));
        assert_eq!(first_in(folders(&[&other]), &program), None);
        std::fs::write(other.path().join("waypost"), "").unwrap();
        assert_eq!(first_in(folders(&[&other, &ours]), &program), None);
    }
}
