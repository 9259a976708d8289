//! The shared main, as far as one process can run it: command lines, exit codes, reloading.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde::Deserialize;
use tempfile::TempDir;

use super::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    hostname: String,
    log: LogConfig,
    runtime: RuntimeConfig,
}

struct Demo;

impl Program for Demo {
    const NAME: &'static str = "demo";
    const ABOUT: &'static str = "Shows a main";
    type Config = Config;

    fn check(config: &Config) -> Result<(), AnyError> {
        if config.hostname.is_empty() { Err("hostname is empty".into()) } else { Ok(()) }
    }

    fn log(config: &Config) -> &LogConfig {
        &config.log
    }

    fn runtime(config: &Config) -> &RuntimeConfig {
        &config.runtime
    }

    async fn run(config: Config, context: Context) -> Result<(), AnyError> {
        if config.hostname == "fails" {
            return Err("cannot run: on purpose".into());
        }
        context.ready();
        context.shutdown.start();
        Ok(())
    }
}

fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::parse("msa", "Takes mail", std::iter::once(&"msa").chain(arguments))
}

fn run_with(text: &str, more: &[&str]) -> Result<(), Failure> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("demo.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    let line = ["--config", &path].into_iter().chain(more.iter().copied()).collect::<Vec<_>>();
    start::<Demo>(&parse(&line).unwrap())
}

#[test]
fn the_command_line_says_what_to_do() {
    let run = parse(&[]).unwrap();
    assert_eq!(run, Arguments { config: "/etc/waypost/msa.toml".into(), action: Action::Run });
    let check = parse(&["--check", "--config", "x.toml"]).unwrap();
    assert_eq!(check, Arguments { config: "x.toml".into(), action: Action::Check });
    assert_eq!(parse(&["--print-config"]).unwrap().action, Action::PrintConfig);
    for wrong in [&["--nonsense"][..], &["--config"], &["--check", "--print-config"], &["extra"]] {
        assert!(parse(wrong).unwrap_err().use_stderr(), "{wrong:?}");
    }
    for asked in ["--help", "--version"] {
        assert!(!parse(&[asked]).unwrap_err().use_stderr(), "{asked}");
    }
}

#[test]
fn a_configuration_of_no_use_is_exit_code_2_with_one_line() {
    for (text, line) in [
        ("hostname = \"x\"\nhostnam = \"y\"\n", "demo.toml:2: unknown field `hostnam`"),
        ("", "hostname is empty"),
    ] {
        let failure = run_with(text, &["--check"]).unwrap_err();
        assert_eq!(failure.code, USAGE);
        assert!(one_line(&*failure.error).contains(line), "{}", failure.error);
    }
    run_with("hostname = \"x\"\n", &["--check"]).unwrap();
    run_with("", &["--print-config"]).unwrap();
}

#[test]
fn a_service_that_fails_is_exit_code_1_and_one_that_drains_is_success() {
    // One test, because logging is set up once for a process.
    run_with("hostname = \"mx.example\"\n", &[]).unwrap();
    let config = Config { hostname: "fails".to_owned(), ..Config::default() };
    let failure = run::<Demo>(config, Reload::default()).unwrap_err();
    assert_eq!((failure.code, one_line(&*failure.error).as_str()), (RUN_FAILED, "cannot run: on purpose"));
}

#[test]
fn an_error_is_one_line_with_its_causes_once() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot start:\n  it is late")]
    struct Outer(#[source] std::io::Error);

    let error = Outer(std::io::Error::other("disk full"));
    assert_eq!(one_line(&error), "cannot start: it is late: disk full");
}

#[test]
fn a_reload_calls_everything_even_after_a_failure() {
    let (reload, calls) = (Reload::default(), Arc::new(AtomicUsize::new(0)));
    for fails in [true, false] {
        let calls = calls.clone();
        reload.on("certificate", move || {
            calls.fetch_add(1, Ordering::Relaxed);
            if fails { Err("unreadable") } else { Ok(()) }
        });
    }
    reload.run();
    reload.run();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[test]
fn a_reload_reads_the_file_as_it_is_then() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.toml");
    let (reload, seen) = (Reload::of(&file), Arc::new(parking_lot::Mutex::new(Vec::new())));
    reload.on_config("hostname", Demo::NAME, {
        let seen = seen.clone();
        move |config: Config| {
            seen.lock().push(config.hostname);
            Ok::<_, AnyError>(())
        }
    });
    for text in ["hostname = \"one\"", "hostname =", "hostname = \"two\""] {
        std::fs::write(&file, text).unwrap();
        reload.run();
    }
    assert_eq!(*seen.lock(), ["one", "two"], "a file of no use changes nothing");
}

#[tokio::test]
async fn a_service_that_does_not_end_is_cut_off_and_one_that_panics_is_an_error() {
    let shutdown = Shutdown::new();
    shutdown.start();
    let ended = run_until_drained(std::future::pending(), &shutdown, Duration::from_millis(10)).await;
    assert!(ended.is_ok());

    let shutdown = Shutdown::new();
    let panics = async { panic!("on purpose") };
    let ended = run_until_drained(panics, &shutdown, Duration::from_mins(10)).await;
    assert!(ended.unwrap_err().to_string().contains("panic"));
}
