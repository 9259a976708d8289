//! `docs/performance.md`, with its charts and the figures that both are made of.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use pipeline_tests::grouped;

use super::goals::verdicts;
use super::plots::{Plot, plots};
use super::results::Results;
use super::tables::{of_case, of_goals};
use super::{Line, Origin};
use crate::cases::catalogue;

const METHOD: &str = "# Performance

This page is written by `bench report` from [the figures](performance/figures.jsonl), and those by `bench run`:

```sh
tests/install-peers                                  # as root: Postfix and Dovecot, from Debian's packages
cargo run --profile dist -p bench -- run             # as root, for Postfix and Dovecot change users
cargo run --profile dist -p bench -- run --only growth-size,growth-sessions,growth-queue,growth-mailbox
cargo run --profile dist -p bench -- run --only imap-mailbox --systems waypost,sdbox-synced
cargo run --profile dist -p bench -- report target/bench/*.jsonl --docs docs
```

## Method

- Waypost is what `waypost up` runs: three processes that talk gRPC over mutual TLS, and their supervisor. It is built into the
  program that measures, so that both are of one commit (a run of another build says so below), with the profile that is
  shipped. Postfix and Dovecot are Debian's, set up for throughput (more processes, which are used again; no pause for mail that
  arrives; no limits for clients; 20 deliveries to Dovecot at a time, 50 to another server) and durable as they come:
  everybody syncs a message before its acknowledgement, and nothing lies in memory alone. Dovecot's flags do, for a while:
  only where it says *all synced* was it told to sync them too before its OK (`mail_fsync = always`), as Waypost does always.
- Everything is on loopback, in a folder of its own on one disk, on cores that the systems share with the load generator. The
  systems take turns, case by case, each started anew without any mail; one runs at a time. The figures are medians of the
  rounds, with the least and the most of them; those of all runs below count together. A load of mail or of POP3 lasts 4 s at each point (latency 8 s, appends 2 s), a
  step of an IMAP client 1 s; a step that is called *first* is done once.
- The load generator is one thread of Rust. *load's* is how much of a core it took until its operations were done: near 1 the
  generator is the bound and not the system, and the ratio is too small. It counts what is acknowledged; how many messages lie
  in the mailboxes is counted in the end, by files for Dovecot and by the totals of `waypost account list` for Waypost (or in
  the generator's own sink). Contents are not compared here.
- CPU µs are of all processes of a system, for one operation. They are counted by control groups, unless it is said
  otherwise below. MiB is the most memory that they had when it was looked at: just before the load, just after it, and during
  it at 2 s and every 4 s from then on. Pages that several processes share count once (Pss). Flushes are those that all disks
  of the machine were asked for meanwhile.
- Dovecot's passwords are kept in clear, and Waypost's are hashed with the least costs, so that servers are compared and not
  hashes.
- A ratio in a row is how many times Waypost's figure is that row's.
";

/// Writes the page, its charts and its figures into a folder of documentation.
pub(crate) fn write(lines: &[Line], docs: &Path) -> anyhow::Result<()> {
    let results = Results::of(lines);
    let plots = plots(&results);
    let folder = docs.join("performance");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for plot in &plots {
        put(&folder.join(&plot.file), &plot.svg)?;
    }
    let mut figures = String::new();
    for line in lines {
        figures.extend([&serde_json::to_string(line)?, "\n"]);
    }
    put(&folder.join("figures.jsonl"), &figures)?;
    put(&docs.join("performance.md"), &page(&results, &plots))
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn page(results: &Results<'_>, plots: &[Plot]) -> String {
    let mut page = METHOD.to_owned();
    page.push_str("\n## Machine\n\n");
    for origin in distinct(&results.origins) {
        page += &of_origin(origin);
    }
    page += &doubts(results);
    let verdicts = verdicts(results);
    if !verdicts.is_empty() {
        page.push_str("\n## Goals\n\nEach has to hold at every setting; the ratio is the worst one.\n\n");
        page += &of_goals(&verdicts).markdown();
    }
    page.push_str("\n## Figures\n");
    let catalogue = catalogue();
    for case in &results.cases {
        let known = catalogue.iter().find(|(name, _)| *name == case.name);
        let about = known.map(|(_, about)| format!("\n{}.\n", capital(about))).unwrap_or_default();
        let _ = write!(page, "\n### {}\n{about}\n{}", case.name, of_case(case).markdown());
    }
    if !plots.is_empty() {
        page.push_str("\n## Growth\n");
        for plot in plots {
            let _ = write!(page, "\n![{}](performance/{})\n", plot.title, plot.file);
        }
    }
    if !results.failed.is_empty() {
        page.push_str("\n## Not measured\n\n");
        for failed in &results.failed {
            let at = failed.point.as_ref().map(|point| format!(" at {point}")).unwrap_or_default();
            let _ = writeln!(
                page,
                "- {}{at}, {}, round {}: {}",
                failed.case, failed.system, failed.round, failed.reason
            );
        }
    }
    page
}

/// Runs on the same machine, of the same commit, on the same day are told of once.
fn distinct<'a>(origins: &[&'a Origin]) -> Vec<&'a Origin> {
    let mut distinct: Vec<&Origin> = Vec::new();
    for origin in origins {
        let of_day = |origin: &Origin| Origin { date: day(origin).to_owned(), ..origin.clone() };
        if !distinct.iter().any(|known| of_day(known) == of_day(origin)) {
            distinct.push(origin);
        }
    }
    distinct
}

fn day(origin: &Origin) -> &str {
    origin.date.split('T').next().unwrap_or_default()
}

fn of_origin(origin: &Origin) -> String {
    let Origin { machine, disk, peers, rounds, accounts, .. } = origin;
    let build = origin.build();
    let extent =
        if *rounds == 0 { String::new() } else { format!(" Rounds: {rounds}; accounts: {accounts}.") };
    let peers = if peers.is_empty() { String::new() } else { format!(" {}.", peers.join(", ")) };
    format!("- {}: Waypost of {build}.{peers}{extent} {machine}; {disk}\n", day(origin))
}

/// What to know of the figures before they are believed.
fn doubts(results: &Results<'_>) -> String {
    let mut doubts = String::new();
    let by_trees = results.systems_with(|cost| cost.by_trees);
    if !by_trees.is_empty() {
        let _ = writeln!(
            doubts,
            "- CPU time of {} was counted by trees of processes: what ended meanwhile is not in it.",
            by_trees.join(" and ")
        );
    }
    let broken_off = results.origins.len().saturating_sub(results.ended);
    if broken_off > 0 {
        let _ = writeln!(
            doubts,
            "- Of {} runs {broken_off} broke off. What was measured until then counts, so some systems have more rounds.",
            results.origins.len()
        );
    }
    let disturbed = results.count(|cost| cost.strangers_cpu > DISTURBED * cost.seconds);
    if disturbed > 0 {
        let _ = writeln!(
            doubts,
            "- During {} of {} measurements work that gives way, or other machines on the same hardware, took more than \
             {} % of a core.",
            grouped(disturbed),
            grouped(results.count(|_| true)),
            DISTURBED * 100.0
        );
    }
    doubts
}

/// Of a core: what strangers may take of it before it is said.
const DISTURBED: f64 = 0.05;

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::line;
    use super::*;

    #[test]
    fn the_page_shows_goals_figures_and_charts_that_are_there() {
        let lines = [
            Line::Origin(Origin { date: "2026-11-28T08:00:00Z".into(), ..Origin::default() }),
            Line::Origin(Origin { date: "2026-11-28T09:00:00Z".into(), ..Origin::default() }),
            line("inbound", "Waypost", 4096, 1000, 0.5),
            line("inbound", "Postfix", 4096, 50, 10.0),
            line("growth-size", "Waypost", 1024, 1000, 0.5),
            line("growth-size", "Waypost", 4096, 900, 0.5),
        ];
        let docs = tempfile::tempdir().unwrap();
        write(&lines, docs.path()).unwrap();
        let read = |name: &str| fs::read_to_string(docs.path().join(name)).unwrap();
        let page = read("performance.md");
        for part in [
            "2026-11-28: Waypost",
            "rate at least 10.0 ×",
            "### inbound\n\nMail to port 25",
            "growth-size.svg",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches("2026-11-28").count(), 1, "{page}");
        assert!(read("performance/growth-size.svg").starts_with("<svg "));
        let kept: Vec<Line> = read("performance/figures.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(kept, lines);
    }
}
