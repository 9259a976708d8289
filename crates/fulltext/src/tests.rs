use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn index(texts: &[(u64, &str, &str)]) -> (TextIndex, TempDir) {
    let dir = TempDir::new().unwrap();
    let index = TextIndex::open(&dir.path().join("index")).unwrap();
    add(&index, texts);
    (index, dir)
}

fn add(index: &TextIndex, texts: &[(u64, &str, &str)]) {
    let writer = index.writer().unwrap();
    for (id, head, body) in texts {
        writer.add(*id, head, body).unwrap();
    }
    writer.commit().unwrap();
}

fn found(index: &TextIndex, part: Part, words: &str) -> Vec<u64> {
    index.candidates(part, words).unwrap().unwrap()
}

#[test]
fn words_are_found_within_words_and_across_them() {
    let (index, _dir) = index(&[(7, "subject: lunch", "the quick brown fox"), (3, "subject: quick", "slow")]);
    assert_eq!(index.known().unwrap(), [3, 7]);
    assert_eq!(found(&index, Part::Body, "uic"), [7]);
    assert_eq!(found(&index, Part::Body, "k brown f"), [7]);
    assert_eq!(found(&index, Part::Body, "quick red"), [] as [u64; 0]);
    assert_eq!(found(&index, Part::Head, "quick"), [3]);
    assert_eq!(found(&index, Part::Head, "subject"), [3, 7]);
    assert_eq!(index.candidates(Part::Head, "su").unwrap(), None);
}

#[test]
fn what_was_added_is_there_when_it_is_opened_again() {
    let dir = TempDir::new().unwrap();
    add(&TextIndex::open(dir.path()).unwrap(), &[(1, "", "one day")]);
    let index = TextIndex::open(dir.path()).unwrap();
    add(&index, &[(2, "", "two days")]);
    assert_eq!(found(&index, Part::Body, "day"), [1, 2]);
    // What was not committed is not there.
    index.writer().unwrap().add(3, "", "three days").unwrap();
    assert_eq!(index.known().unwrap(), [1, 2]);
}

#[test]
fn an_index_that_cannot_be_read_is_made_anew() {
    let dir = TempDir::new().unwrap();
    add(&TextIndex::open(dir.path()).unwrap(), &[(1, "", "one day")]);
    fs::write(dir.path().join("meta.json"), "{").unwrap();
    assert!(TextIndex::open(dir.path()).unwrap().known().unwrap().is_empty());

    add(&TextIndex::open(dir.path()).unwrap(), &[(1, "", "one day")]);
    fs::write(version_file(dir.path()), "0").unwrap();
    assert!(TextIndex::open(dir.path()).unwrap().known().unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn whatever_holds_the_words_is_found(
        texts in proptest::collection::vec("[abcé ]{0,12}", 1..12),
        words in "[abcé ]{3,5}",
    ) {
        let texts: Vec<(u64, &str, &str)> =
            texts.iter().zip(1..).map(|(text, id)| (id, "", text.as_str())).collect();
        let (index, _dir) = index(&texts);
        let found = found(&index, Part::Body, &words);
        for (id, _, text) in &texts {
            prop_assert!(!text.contains(&words) || found.contains(id), "{text:?} {words:?}");
        }
    }
}
