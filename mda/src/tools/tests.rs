use std::fs;

use tempfile::TempDir;

use super::*;
use crate::store::{LocalStore, MailStore as _, NewAccount, Password, StoreConfig};

fn run(dir: &TempDir, words: &[&str]) -> Result<Outcome, String> {
    let config = dir.path().join("mda.toml");
    fs::write(&config, format!("data_dir = {:?}\n", dir.path().join("mail"))).unwrap();
    let mut line = vec![OsString::from("mda")];
    line.extend(words.iter().map(Into::into));
    if words[0] != "restore" {
        line.extend([OsString::from("--config"), config.into()]);
    }
    assert!(is_tool(&line[1]));
    let tool = CommandLine::try_parse_from(line).unwrap().tool;
    let config = tool.load().unwrap();
    tool.run(&config).map_err(|error| error.to_string())
}

async fn furnished() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = LocalStore::open(StoreConfig::new(dir.path().join("mail"))).unwrap();
    let account = NewAccount {
        name: "alice@example.test".to_owned(),
        password: Password { hash: "*".to_owned(), scram: None },
        domain: "example.test".to_owned(),
    };
    store.create_account(account).await.unwrap();
    store.close().await.unwrap();
    dir
}

#[test]
fn only_tools_are_tools() {
    assert!(is_tool(&"check".into()));
    assert!(!is_tool(&"--check".into()));
    assert!(!is_tool(&"--config".into()));
}

#[tokio::test]
async fn a_sound_store_is_checked_and_rebuilt() {
    let dir = furnished().await;
    assert_eq!(run(&dir, &["check", "--bodies", "--rebuild"]), Ok(Outcome::Well));
    fs::remove_dir_all(dir.path().join("mail/state")).unwrap();
    assert_eq!(run(&dir, &["rebuild"]), Ok(Outcome::Well));
    assert_eq!(run(&dir, &["check", "--rebuild"]), Ok(Outcome::Well));
}

#[test]
fn a_backup_is_taken_and_restored() {
    let dir = tokio::runtime::Runtime::new().unwrap().block_on(furnished());
    let path = |name: &str| dir.path().join(name).display().to_string();
    for _ in 0..2 {
        assert_eq!(run(&dir, &["backup", &path("backup")]), Ok(Outcome::Well));
    }
    fs::remove_dir_all(dir.path().join("mail")).unwrap();
    assert_eq!(run(&dir, &["restore", &path("backup"), &path("mail")]), Ok(Outcome::Well));
    assert_eq!(run(&dir, &["check", "--bodies", "--rebuild"]), Ok(Outcome::Well));
    assert!(run(&dir, &["restore", &path("backup"), &path("mail")]).unwrap_err().contains("not empty"));
}

#[tokio::test]
async fn a_folder_without_a_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(&dir, &["check"]).unwrap_err().contains("holds no mail store"));
    assert!(run(&dir, &["rebuild"]).unwrap_err().contains("holds no mail store"));
    assert!(!dir.path().join("mail").exists());
}

#[test]
fn mail_is_exported_and_imported_without_the_service() {
    let dir = tokio::runtime::Runtime::new().unwrap().block_on(furnished());
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir_all(dir.path().join("from/.Sent/cur")).unwrap();
    fs::create_dir_all(dir.path().join("from/cur")).unwrap();
    fs::write(dir.path().join("from/.Sent/cur/1:2,S"), "Subject: sent\n\nText\n").unwrap();
    fs::write(dir.path().join("from/cur/2"), "Subject: received\n\nText\n").unwrap();
    let alice = "alice@example.test";
    for _ in 0..2 {
        let words = ["import", alice, "--format", "maildir", &path("from")];
        assert_eq!(run(&dir, &words), Ok(Outcome::Well));
    }
    let words = ["export", alice, "--format", "mbox", "--mailbox", "Sent", &path("to")];
    assert_eq!(run(&dir, &words), Ok(Outcome::Well));
    let mbox = fs::read_to_string(dir.path().join("to/Sent.mbox")).unwrap();
    assert!(mbox.contains("Status: RO\n"), "{mbox}");
    assert!(mbox.ends_with("Subject: sent\r\n\r\nText\r\n\n"), "{mbox}");
    assert_eq!(mbox.matches("From MAILER-DAEMON").count(), 1);
    assert!(run(&dir, &words).unwrap_err().contains("not empty"));
    // The second import added nothing.
    let words = ["export", alice, "--format", "mbox", "--mailbox", "INBOX", &path("inbox")];
    assert_eq!(run(&dir, &words), Ok(Outcome::Well));
    let mbox = fs::read_to_string(dir.path().join("inbox/INBOX.mbox")).unwrap();
    assert_eq!(mbox.matches("Subject: received").count(), 1, "{mbox}");
    let nobody = ["export", "nobody@example.test", "--format", "mbox", &path("nobody")];
    assert!(run(&dir, &nobody).unwrap_err().contains("no account"));
    assert_eq!(run(&dir, &["check", "--bodies", "--rebuild"]), Ok(Outcome::Well));
}
