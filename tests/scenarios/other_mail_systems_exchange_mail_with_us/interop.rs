//! `docs/interop.md`: what the scenarios found, one section each.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

const PREFACE: &str = "# Interoperation

What came of mail between Waypost and other mail systems as Debian builds them, in both directions. The scenarios in
`tests/scenarios/other_mail_systems_exchange_mail_with_us.rs` write this page and fail if what they find is not what
stands here; `WAYPOST_WRITE_INTEROP=1` lets them write it anew.
";

/// The rows of one section: what was tried, and what came of it.
pub(super) struct Section {
    heading: String,
    rows: Vec<(&'static str, String)>,
}

impl Section {
    pub(super) fn new(heading: String) -> Self {
        Self { heading, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn found(&mut self, tried: &'static str, came_of_it: impl Into<String>) {
        self.rows.push((tried, came_of_it.into()));
    }

    /// Holds the section against the one on the page, or writes it there.
    pub(super) fn check(self) {
        let rows: Vec<String> =
            self.rows.iter().map(|(tried, came_of_it)| format!("| {tried} | {came_of_it} |\n")).collect();
        let text = format!("\n| | |\n|---|---|\n{}", rows.concat());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interop.md");
        let rewrite = env::var_os("WAYPOST_WRITE_INTEROP").is_some();
        let mut file =
            File::options().read(true).write(rewrite).create(rewrite).truncate(false).open(&path).unwrap();
        // Other scenarios write their sections at the same time.
        file.lock().unwrap();
        let mut page = String::new();
        file.read_to_string(&mut page).unwrap();
        let mut sections: BTreeMap<&str, &str> =
            page.split("\n## ").skip(1).filter_map(|section| section.split_once('\n')).collect();
        if rewrite {
            sections.insert(&self.heading, &text);
            let section = |(heading, text): (&&str, &&str)| format!("\n## {heading}\n{}\n", text.trim_end());
            let sections: Vec<String> = sections.iter().map(section).collect();
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            file.write_all([PREFACE, &sections.concat()].concat().as_bytes()).unwrap();
        } else {
            let stands = sections.get(self.heading.as_str()).copied().unwrap_or_default();
            assert_eq!(
                stands.trim(),
                text.trim(),
                "docs/interop.md, {}; with WAYPOST_WRITE_INTEROP=1 this test writes it",
                self.heading
            );
        }
    }
}
