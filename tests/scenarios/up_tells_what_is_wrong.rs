//! `waypost up` comes up, stops and comes back as its help says; where it cannot, it says why in one line.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pipeline_tests::{Options, Pipeline, eventually};

use crate::WAYPOST;

#[test]
fn bad_flags() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    for (flags, expected) in [
        (&["--nope"][..], "'--nope'"),
        (&["--account", "alice"], "expected ADDRESS=PASSWORD, for example"),
        (&["--account", "alice@example.test="], "the password is empty"),
        (&["--domain", "no domain"], "'no domain' for '--domain <NAME>'"),
        (&["--domain", "[127.0.0.1]"], "an address literal is not a domain"),
        (&["--port-offset", "60000"], "65535 is the last"),
        (&["--port-offset", "many"], "'many' for '--port-offset <N>'"),
        (&["--mta-nodes", "0"], "'0' for '--mta-nodes <N>'"),
        (&["--resolver", "localhost"], "'localhost' for '--resolver <ADDR:PORT>'"),
        (&["--remote-smtp-port", "0"], "'0' for '--remote-smtp-port <N>'"),
    ] {
        let line = refused(&dir, flags);
        assert!(line.contains(expected), "{flags:?}: no {expected} in: {line}");
        assert!(!dir.exists(), "{flags:?} leaves nothing behind");
    }
}

#[test]
fn a_folder_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for dir in [file.clone(), file.join("below")] {
        let line = refused(&dir, &[]);
        assert!(line.contains(&format!("cannot use the folder {}", dir.display())), "{line}");
        assert!(line.contains("--dir"), "it says what to do: {line}");
    }
}

#[test]
fn a_folder_or_a_port_that_is_taken() {
    let mut pipeline = Pipeline::start(WAYPOST, &Options::default());
    let line = refused(&pipeline.data(), &[]);
    assert!(
        line.contains(&format!("(process {})", supervisor(&pipeline))),
        "it names who runs there: {line}"
    );

    let pop3s = pipeline.address("mda", "pop3s");
    let offset = (pop3s.port() - 995).to_string();
    pipeline.down();
    let _taken = TcpListener::bind(pop3s).unwrap();
    let line = refused(&pipeline.path("other"), &["--port-offset", &offset]);
    assert!(line.contains(&format!("port {} for pop3s of mda", pop3s.port())), "{line}");
    assert!(line.contains("--port-offset"), "it says what to do: {line}");
}

#[test]
fn a_service_that_cannot_start_ends_the_others() {
    let mut pipeline = Pipeline::start(WAYPOST, &Options::default());
    let offset = (pipeline.address("mta", "smtp").port() - 25).to_string();
    pipeline.down();
    let dir = pipeline.path("broken");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("mda"), "a file where the mail store should be").unwrap();
    let output = up(&dir, &["--port-offset", &offset]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.lines().any(|line| line.starts_with("waypost: cannot start mda: ")), "{said}");
    assert!(said.contains("  mda: cannot open the mail store: "), "the end of its log is shown: {said}");
    assert_eq!(processes_in(&dir), BTreeMap::new());
    assert!(!dir.join("ready.json").exists());
}

#[test]
fn stopping_ends_all_and_the_next_start_finds_all() {
    let mut pipeline = Pipeline::start(WAYPOST, &Options::default());
    let id = pipeline.waypost_ok(&send("bob@example.test", "kept"));
    let before = inbox(&pipeline, "bob@example.test");
    for signal in ["TERM", "INT"] {
        let running = processes_in(&pipeline.data());
        assert_eq!(running.len(), 4, "up and three services: {running:?}");
        signal_to(supervisor(&pipeline), signal);
        // Asserts that it ends with success.
        pipeline.down();
        assert_eq!(processes_in(&pipeline.data()), BTreeMap::new(), "after SIG{signal}");
        assert!(!pipeline.data().join("ready.json").exists(), "after SIG{signal}");
        pipeline.up();
    }
    assert_eq!(
        inbox(&pipeline, "bob@example.test"),
        before,
        "mail, UIDs and UIDVALIDITY outlive the restarts"
    );
    assert!(pipeline.waypost_ok(&["trace", &id]).contains("INBOX of bob@example.test"));
    let logged_in = [&send("bob@example.test", "again")[..], &["--password", "secret"]].concat();
    pipeline.waypost_ok(&logged_in);
}

#[test]
fn a_service_that_dies_is_started_again() {
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    for service in ["mda", "mta", "msa"] {
        let old = pipeline.pid(service).expect("its process");
        pipeline.kill(service);
        let new =
            eventually("another process in ready.json", || pipeline.pid(service).filter(|pid| *pid != old));
        assert!(processes_in(&pipeline.data()).contains_key(&new), "{service} runs as {new}");
    }
    eventually("mail to flow", || {
        pipeline.waypost(&send("bob@example.test", "still here")).status.success().then_some(())
    });
    let log = fs::read_to_string(pipeline.data().join("log/up.log")).unwrap();
    assert!(log.contains("mda was killed by signal 9"), "{log}");
}

#[test]
fn everything_stands_where_the_help_says() {
    let options = Options { arguments: two_domains(), mta_nodes: 2, ..Options::default() };
    let pipeline = Pipeline::start(WAYPOST, &options);
    for name in ["ca", "mail", "msa", "mta", "mda", "operator"] {
        assert!(pipeline.data().join(format!("tls/{name}.pem")).is_file(), "{name}");
        assert!(is_private(&pipeline.data().join(format!("tls/{name}.key"))), "{name}");
    }
    for name in ["msa", "mta", "mta1", "mda"] {
        assert!(is_private(&pipeline.data().join(format!("config/{name}.toml"))), "{name}");
        assert!(pipeline.data().join(format!("log/{name}.log")).is_file(), "{name}");
        assert!(pipeline.pid(name).is_some(), "{name}");
    }
    assert_eq!(pipeline.address("mta1", "smtp").port(), pipeline.address("mta", "smtp").port() + 100);
}

#[test]
fn several_domains_have_accounts_of_their_own() {
    let pipeline = Pipeline::start(WAYPOST, &Options { arguments: two_domains(), ..Options::default() });
    let to_the_other = ["send", "--from", "alice@example.test", "--to", "dave@second.test", "--body", "x"];
    pipeline.waypost_ok(&[&to_the_other[..], &["--password", "secret"]].concat());
    assert_eq!(messages(&pipeline, "dave@second.test"), 1);
    let back = ["send", "--from", "dave@second.test", "--to", "alice@example.test", "--body", "x"];
    pipeline.waypost_ok(&[&back[..], &["--password", "other"]].concat());
    assert_eq!(messages(&pipeline, "alice@example.test"), 1);
}

#[test]
fn an_operator_keeps_the_accounts() {
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let carol = "carol@example.test";
    let as_carol = |password: &str| {
        let message =
            ["send", "--from", carol, "--to", "bob@example.test", "--body", "x", "--password", password];
        pipeline.waypost(&message)
    };
    pipeline.waypost_ok(&["account", "add", carol, "--password", "first"]);
    assert!(pipeline.waypost_ok(&["account", "list"]).contains(carol));
    assert!(says(&pipeline.waypost(&["account", "add", carol, "--password", "x"])).contains("already"));
    assert!(as_carol("first").status.success());

    pipeline.waypost_ok(&["account", "password", carol, "--password", "second"]);
    let refused = says(&as_carol("first"));
    assert!(refused.contains("535 5.7.8"), "the old password: {refused}");
    assert!(as_carol("second").status.success());

    pipeline.waypost_ok(&["account", "remove", carol]);
    assert!(!pipeline.waypost_ok(&["account", "list"]).contains(carol));
    let refused = says(&as_carol("second"));
    assert!(refused.contains("535 5.7.8"), "an account that is gone: {refused}");
    let refused = says(&pipeline.waypost(&send(carol, "too late")));
    assert!(refused.contains("550 5.1.1"), "mail for an account that is gone: {refused}");
}

#[test]
fn an_operator_follows_a_message() {
    let pipeline = Pipeline::start(WAYPOST, &Options::default());
    let id = pipeline.waypost_ok(&send("bob@example.test", "followed"));
    let story = eventually("the story of the message", || {
        let story = says(&pipeline.waypost(&["trace", &id]));
        story.contains("bob@example.test: delivered").then_some(story)
    });
    assert!(story.contains("received from"), "{story}");
    assert!(story.contains("lies in mailbox INBOX of bob@example.test, UID 1"), "{story}");
    assert!(says(&pipeline.waypost(&["queue", "list"])).contains("nothing waits"));
    assert_eq!(messages(&pipeline, "bob@example.test"), 1);

    for wrong in
        [&["trace", "0193f0a5-7c1e-7b1a-9c55-0d1f6a3b2c4d"][..], &["mailbox", "list", "nobody@example.test"]]
    {
        let output = pipeline.waypost(wrong);
        assert!(!output.status.success() && says(&output).lines().count() == 1, "{wrong:?}: {output:?}");
    }
}

#[test]
fn every_help_shows_an_example() {
    for command in [
        &[][..],
        &["up"],
        &["account"],
        &["account", "add"],
        &["account", "list"],
        &["account", "password"],
        &["account", "remove"],
        &["send"],
        &["trace"],
        &["queue"],
        &["queue", "list"],
        &["mailbox"],
        &["mailbox", "list"],
        &["mailbox", "status"],
    ] {
        let output = Command::new(WAYPOST).args(command).arg("--help").output().unwrap();
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
        let example = ["waypost"].iter().chain(command).copied().collect::<Vec<_>>().join(" ");
        assert!(output.status.success() && examples.contains(&example), "{example} --help:\n{help}");
    }
}

fn two_domains() -> Vec<String> {
    let arguments =
        ["--domain", "example.test", "--domain", "second.test", "--account", "dave@second.test=other"];
    arguments.map(str::to_owned).to_vec()
}

/// What `up` says that has to fail at once, in one line.
fn refused(dir: &Path, flags: &[&str]) -> String {
    let output = up(dir, flags);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(1 | 2)), "{flags:?}: {:?} {said}", output.status);
    assert_eq!(said.lines().count(), 1, "{flags:?}: {said}");
    assert!(said.starts_with("waypost: ") && output.stdout.is_empty(), "{flags:?}: {output:?}");
    said
}

/// Runs `up` to its end; `timeout` ends one that does not fail, with a status of its own.
fn up(dir: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", WAYPOST, "up", "--dir"]).arg(dir).args(flags);
    command.stdin(Stdio::null()).output().expect("timeout starts")
}

fn send<'a>(to: &'a str, body: &'a str) -> [&'a str; 7] {
    ["send", "--from", "alice@example.test", "--to", to, "--body", body]
}

fn says(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn inbox(pipeline: &Pipeline, account: &str) -> serde_json::Value {
    let json = pipeline.waypost_ok(&["mailbox", "status", account, "INBOX", "--json"]);
    serde_json::from_str(&json).expect("JSON")
}

fn messages(pipeline: &Pipeline, account: &str) -> u64 {
    inbox(pipeline, account)["messages"].as_u64().expect("a count")
}

/// The process of `waypost up`, as the folder's lock tells it.
fn supervisor(pipeline: &Pipeline) -> u32 {
    fs::read_to_string(pipeline.data().join("lock")).unwrap().trim().parse().expect("a process id")
}

fn signal_to(pid: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Living processes whose command line names something in the folder: id and command line.
fn processes_in(folder: &Path) -> BTreeMap<u32, String> {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // Empty for a process that ended and was not waited for; not there if it is gone by now.
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&folder).then_some((pid, line))
    });
    processes.collect()
}

/// Only its owner can read it.
fn is_private(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(file).is_ok_and(|metadata| metadata.mode() & 0o777 == 0o600)
}
