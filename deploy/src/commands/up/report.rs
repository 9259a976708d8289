//! What the user sees once the pipeline runs: addresses, accounts, and commands to try.

use std::fmt::Write;

use super::Pipeline;
use super::startup::{Origin, ReadyAccount};
use crate::console::Table;
use crate::local::accounts_file::AccountsFile;
use crate::local::ports::{Role, Service};
use crate::shell;

/// Prints all of it.
pub(super) fn print(pipeline: &Pipeline, accounts: &[ReadyAccount]) {
    let console = pipeline.console;
    console.print("");
    console.print_table(&addresses(&pipeline.services));
    console.print("");
    console.print_table(&account_table(accounts, &AccountsFile::new(pipeline.layout.accounts())));
    console.print("");
    console.print_heading("Try");
    for (what, command) in commands(pipeline, accounts) {
        console.print(format_args!("  # {what}\n  {command}"));
    }
    console.print(format_args!(
        "\nEverything is in {}. Ctrl-C stops the pipeline.",
        pipeline.layout.root().display()
    ));
}

fn addresses(services: &[Service]) -> Table {
    let mut table = Table::new(["SERVICE", "LISTENER", "ADDRESS", "FOR"]);
    for service in services {
        for (listener, address) in &service.listeners {
            table.row([
                service.name.clone(),
                (*listener).to_owned(),
                address.to_string(),
                purpose(listener).to_owned(),
            ]);
        }
    }
    table
}

fn purpose(listener: &str) -> &'static str {
    match listener {
        "submission" => "sending mail, STARTTLS",
        "submissions" => "sending mail, TLS",
        "smtp" => "mail from other MTAs, STARTTLS",
        "imap" | "pop3" => "reading mail, STARTTLS",
        "imaps" | "pop3s" => "reading mail, TLS",
        "grpc" => "the other services and `waypost`, mutual TLS",
        "http" => "/metrics, /healthz, /readyz",
        _ => "",
    }
}

fn account_table(accounts: &[ReadyAccount], kept: &AccountsFile) -> Table {
    let mut table = Table::new(["ACCOUNT", "PASSWORD", ""]);
    for account in accounts {
        let (password, remark) = match (account.origin, &account.password) {
            (Origin::Generated, Some(password)) => {
                (password.clone(), format!("made now; also in {}", kept.path().display()))
            }
            (Origin::Found, Some(password)) => {
                (password.clone(), "exists; its generated password is still the same".to_owned())
            }
            (Origin::Found, None) => (String::new(), "exists; its password is left as it was".to_owned()),
            (Origin::Generated | Origin::Chosen, _) => {
                (String::new(), "made now, with the password given".to_owned())
            }
        };
        table.row([account.address.clone(), password, remark]);
    }
    table
}

/// Three things to do, each with a command that works in any shell and any folder.
fn commands(pipeline: &Pipeline, accounts: &[ReadyAccount]) -> Vec<(&'static str, String)> {
    let (Some(sender), Some(reader)) = (accounts.first(), accounts.get(1).or(accounts.first())) else {
        return Vec::new();
    };
    let ca = shell::quote_path(&pipeline.layout.certificate("ca"));
    let curl = format!("curl -sS --cacert {ca}");
    let address = |role: Role, listener: &str| {
        let service = pipeline.services.iter().find(|service| service.role == role);
        service
            .and_then(|service| service.listener(listener))
            .map_or_else(String::new, |address| address.to_string())
    };
    let program = shell::this_program();
    let dir = shell::quote_path(pipeline.layout.root());

    let (from, to) = (shell::quote(&sender.address), shell::quote(&reader.address));
    let message = shell::quote(&format!(
        "From: {}\\nTo: {}\\nSubject: Hello\\n\\nSent with curl.\\n",
        sender.address.replace('\\', r"\\").replace('%', "%%"),
        reader.address.replace('\\', r"\\").replace('%', "%%"),
    ));
    let submissions = shell::quote(&format!("smtps://{}", address(Role::Msa, "submissions")));
    let inbox = shell::quote(&format!("imaps://{}/INBOX;MAILINDEX=*", address(Role::Mda, "imaps")));

    let mut submit = String::new();
    let _ = write!(
        submit,
        "printf {message} | {curl} --user {} --mail-from {from} --mail-rcpt {to} --crlf --upload-file - {submissions}",
        user(sender)
    );
    let read = format!("{curl} --user {} {inbox}", user(reader));
    let trace = format!(
        "{program} trace --dir {dir} $({program} send --dir {dir} --from {from} --to {to} --subject Hello --body 'Sent by waypost.')"
    );
    vec![
        ("send mail as any mail program does", submit),
        ("read the newest message over IMAP", read),
        ("send mail by gRPC and see what happened to it", trace),
    ]
}

/// For curl, which asks for a password that is not given.
fn user(account: &ReadyAccount) -> String {
    match &account.password {
        Some(password) => shell::quote(&format!("{}:{password}", account.address)),
        None => shell::quote(&account.address),
    }
}
