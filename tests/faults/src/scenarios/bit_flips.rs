//! Bits that flip in the files of a stopped MDA.

use std::fs;
use std::path::{Path, PathBuf};

use pipeline_tests::load::{Door, Load, Mix, Sent};
use pipeline_tests::{Options, Pipeline, Tally, Verdict, eventually, metric};

use super::trial::{SMALL_SEGMENTS, wait_until_all_serve};
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const IN_A_STOPPED_STORE: Scenario = Scenario {
    name: "bit-flips",
    proves: "Flipped bits in the mail store are detected and told of, and everything else is served",
    how: "While the pipeline is down a bit flips at a random place, in turns in the rows (sled's files) and in a segment of \
          the journal. `mda check --bodies` looks at the store, the pipeline starts, and both inboxes are read. After \
          damage to the rows everything has to be there, for they are made anew; after damage to a segment everything but \
          what the server says that it cannot read, which `mda check` has to have found, and `waypost_mda_store_errors` \
          counts: no copy may be missing that it does not name. No message may be other than it was sent, and one flip at \
          least must be found. The bit in the segment flips back, and all has to be there.",
    promises: &[Promise::Kept, Promise::NothingSilent],
    run: in_a_stopped_store,
};

/// Messages that come in before each round, at each door.
const SOME: u64 = 10;

fn in_a_stopped_store(form: &Form) -> Outcome {
    let environment = SMALL_SEGMENTS.map(|(name, value)| (name, value.to_owned())).to_vec();
    let mut pipeline = form.pipeline(Options { environment, ..Options::default() });
    let mut sent = Vec::new();
    let (mut found, mut refusals) = (0, 0);
    let mut outcome = Outcome::default();
    let rounds = u64::from(form.rounds(4, 100));
    // Chance may have it that none of a few flips changes anything that is read: then some more.
    while outcome.rounds < rounds || found == 0 && outcome.rounds < 4 * rounds {
        take_mail(&pipeline, &mut sent, &mut outcome);
        pipeline.down();
        let store = pipeline.data().join("mda");
        if outcome.rounds % 2 == 0 {
            flip(&any_file(&store.join("state")));
            found += u64::from(check_finds_something(&pipeline));
            pipeline.up();
            all_is_there(&mut pipeline, &sent);
        } else {
            let segment = any_file(&store.join("journal"));
            let before = fs::read(&segment).expect("a segment");
            flip(&segment);
            let is_found = check_finds_something(&pipeline);
            found += u64::from(is_found);
            pipeline.up();
            refusals += what_is_missing_is_told(&pipeline, &sent, is_found);
            pipeline.down();
            fs::write(&segment, before).expect("the segment");
            pipeline.up();
            all_is_there(&mut pipeline, &sent);
        }
        outcome.rounds += 1;
    }
    outcome.add_verdict(&settled(&pipeline, &sent));
    if found == 0 {
        outcome.wrong.push("no flip was found: nothing has been shown".to_owned());
    }
    outcome.figure("flips that `mda check` found", format!("{found} (others changed nothing that is read)"));
    outcome.figure("copies that a client was told could not be read", refusals);
    outcome
}

/// Lets some mail come in.
fn take_mail(pipeline: &Pipeline, sent: &mut Vec<Sent>, outcome: &mut Outcome) {
    wait_until_all_serve(pipeline);
    let load = Load::start(pipeline, MIX);
    for door in [Door::Smtp, Door::Submissions] {
        eventually("mail to be taken", || (load.acknowledged(door) >= SOME).then_some(()));
    }
    let clients = load.stop();
    outcome.add_load(&clients);
    sent.extend(clients.sent);
    settled(pipeline, sent).check();
}

const MIX: Mix = Mix { smtp: 2, submissions: 2, reports: false, remote: false };

fn settled(pipeline: &Pipeline, sent: &[Sent]) -> Verdict {
    Tally::when_settled(pipeline).verdict(sent)
}

/// A file of a folder, the larger the likelier.
fn any_file(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder of the store");
    let files = entries.map(|entry| entry.expect("an entry")).filter_map(|entry| {
        let length = entry.metadata().ok().filter(fs::Metadata::is_file)?.len();
        (length > 0).then(|| (entry.path(), length))
    });
    let files: Vec<(PathBuf, u64)> = files.collect();
    let mut place = fastrand::u64(..files.iter().map(|(_, length)| length).sum::<u64>());
    for (path, length) in files {
        if place < length {
            return path;
        }
        place -= length;
    }
    panic!("{} is empty", folder.display())
}

/// Flips a bit somewhere in a file, not among zeros: space that is reserved means nothing.
fn flip(file: &Path) {
    let mut octets = fs::read(file).expect("a file of the store");
    let meaning: Vec<usize> = (0..octets.len()).filter(|&place| octets[place] != 0).collect();
    let place = meaning[fastrand::usize(..meaning.len())];
    octets[place] ^= 1 << fastrand::u8(..8);
    eprintln!("  a bit flips in {} at {place}", file.display());
    fs::write(file, octets).expect("a file that can be written");
}

fn check_finds_something(pipeline: &Pipeline) -> bool {
    let checked = pipeline.tool("mda", &["check", "--bodies"]);
    !checked.status.success()
}

/// After damage to the rows, everything. Damage may be met only when a row is read: then the next start makes them anew.
fn all_is_there(pipeline: &mut Pipeline, sent: &[Sent]) {
    wait_until_all_serve(pipeline);
    let (tally, refusals) = Tally::where_damaged(pipeline);
    if refusals > 0 {
        pipeline.down();
        pipeline.up();
        settled(pipeline, sent).check();
        return;
    }
    tally.verdict(sent).check();
}

/// After damage to a segment, everything but what the server says is damaged. Returns of how many copies it said so.
fn what_is_missing_is_told(pipeline: &Pipeline, sent: &[Sent], is_found: bool) -> u64 {
    wait_until_all_serve(pipeline);
    let (tally, refusals) = Tally::where_damaged(pipeline);
    let verdict = tally.verdict(sent);
    assert_eq!(verdict.duplicated, 0, "{:?}", verdict.wrong());
    if refusals == 0 {
        verdict.check();
        return 0;
    }
    assert!(
        verdict.lost <= refusals,
        "{} are missing, {refusals} were told of: {:?}",
        verdict.lost,
        verdict.wrong()
    );
    assert!(is_found, "`mda check --bodies` has not found what a client has");
    let counted = metric(pipeline, "mda", "waypost_mda_store_errors_total").expect("the metrics");
    assert!(counted > 0, "what a client was told was not counted");
    refusals
}
