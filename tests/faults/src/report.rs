//! `docs/reliability.md`: what is promised, how that is tested, and the last figures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use pipeline_tests::Table;

use crate::results::{Results, Run};
use crate::{Promise, SCENARIOS, Scenario, table};

const ABOUT: &str = "# Reliability

This page is written by `cargo run --release -p faults -- --report docs/reliability.md`, from the results of the runs that
`docs/reliability.json` keeps: of each scenario the newest run of the longest form, and a newer one that failed. What any of them found can be found again:

```sh
cargo run --release -p faults -- --list                         # which scenarios there are
cargo run --release -p faults -- --long                         # the long form of all, for hours
cargo run --release -p faults -- --only kill-any --rounds 100   # one of them
```

The services are real processes, started by `waypost up`; so are their files, sockets and certificates. Mail comes in over
SMTP and submission, several clients at once, each message with a token of its own; when all is over the inboxes of the two
recipients are read back over IMAP. Of each message the Subject, which is the token, and every octet of the body are
compared. The program ends with an error if anything that was acknowledged is missing, or there twice. The short forms are ordinary tests (`cargo test --workspace`).
";

const PROMISES: [(Promise, &str); 4] = [
    (Promise::Kept, "**A 250 is a promise.** What was acknowledged survives `kill -9` at any moment"),
    (Promise::Once, "**Delivered once.** A retry after a lost reply adds nothing to a mailbox"),
    (
        Promise::NothingSilent,
        "**Nothing silent.** What cannot be read or stored is told of and counted, and never stops the mail behind it",
    ),
    (
        Promise::Bounded,
        "**Nothing unbounded.** At a limit there is a temporary error: never a stall, a crash, or memory without end",
    ),
];

/// What a killed process cannot show: the kernel still writes what it left. The tests of the journal and the store that do
/// are ordinary ones.
const POWER_LOSS: [&str; 2] = [
    "**And stable storage holds it.** What was acknowledged survives a loss of power after any step, in which all, none or \
     some of what was not synced is lost",
    "`cargo test -p journal --lib power`, `cargo test -p mda --lib power`; with `POWER_LOSS_IMAGES=20` for longer",
];

/// Writes the report of what there is.
pub(crate) fn write(results: &Results, path: &Path) -> anyhow::Result<()> {
    fs::write(path, text(results)).with_context(|| format!("cannot write {}", path.display()))
}

fn text(results: &Results) -> String {
    let known: Vec<(&Scenario, Vec<&Run>)> =
        SCENARIOS.iter().map(|scenario| (*scenario, results.of(scenario.name))).collect();
    [ABOUT.to_owned(), promises(), figures(&known), details(&known)].join("\n")
}

fn promises() -> String {
    let mut table = Table::new(["promise", "tested by"], 2);
    for (promise, said) in PROMISES {
        let tests = SCENARIOS.iter().filter(|scenario| scenario.promises.contains(&promise));
        let tests: Vec<String> = tests.map(|scenario| format!("[{0}](#{0})", scenario.name)).collect();
        table.row([said, &tests.join(", ")]);
        if promise == Promise::Kept {
            table.row(POWER_LOSS);
        }
    }
    format!("## What is promised\n\n{}", table.markdown())
}

fn figures(known: &[(&Scenario, Vec<&Run>)]) -> String {
    let runs = known.iter().flat_map(|(_, runs)| runs).copied();
    format!(
        "## The last figures\n\nMessages are counted for *acknowledged*, *refused for now* and *no answer*; copies, one for each recipient, for\n\
         *delivered*, *duplicated* and *lost*.\n\n{}",
        table::of_runs(runs, "**failed**").markdown()
    )
}

fn details(known: &[(&Scenario, Vec<&Run>)]) -> String {
    let mut text = "## The scenarios\n".to_owned();
    for (scenario, runs) in known {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n### {}\n\n{}. {}\n", scenario.name, scenario.proves, scenario.how);
        if runs.is_empty() {
            text += "\nIt has not been run.\n";
        }
        for run in runs {
            text += "\n";
            text += &of_run(run);
        }
    }
    text
}

/// What a run came to, as a list.
fn of_run(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for figure in &run.outcome.figures {
        let _ = writeln!(text, "- {}: {}", figure.label, figure.value);
    }
    for wrong in &run.outcome.wrong {
        let _ = writeln!(text, "- **wrong**: {}", wrong.lines().next().unwrap_or_default());
    }
    let origin = &run.origin;
    let _ = writeln!(
        text,
        "- {} form, {:.0} s, seed {}, {}, commit {}, {}",
        run.form(),
        run.seconds,
        run.seed,
        origin.date,
        origin.commit,
        origin.machine
    );
    text
}
