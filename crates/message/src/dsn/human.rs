//! The part of a report that people read.

use std::fmt::{self, Write};

use super::explanation::explanation;
use super::{Action, Recipient, Report, Returned, harmless, wrap};
use crate::date::DateTime;
use crate::mime::encode_quoted_printable;

/// Octets of a line.
const WIDTH: usize = 72;

/// The subject of the report.
pub(super) fn subject(report: &Report<'_>) -> String {
    let about = report.subject.map(|subject| harmless(subject, false)).filter(|subject| !subject.is_empty());
    let what = headline(worst(report));
    match about {
        Some(about) => format!("{what}: {}", &about[..about.floor_char_boundary(120)]),
        None => what.into(),
    }
}

/// Writes the part, with its header.
pub(super) fn write(report: &Report<'_>, out: &mut String) -> fmt::Result {
    let mut text = String::new();
    write_text(report, &mut text)?;
    out.write_str("Content-Type: text/plain; charset=utf-8\r\nContent-Description: Notification\r\n")?;
    if text.is_ascii() {
        return write!(out, "\r\n{text}");
    }
    write!(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n{}", encode_quoted_printable(&text))
}

fn write_text(report: &Report<'_>, out: &mut String) -> fmt::Result {
    write!(out, "This is the mail system at {}.\r\n", report.reporting_mta)?;
    for action in [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded] {
        let mut recipients =
            report.recipients.iter().filter(|recipient| recipient.action == action).peekable();
        if recipients.peek().is_none() {
            continue;
        }
        write!(out, "\r\n{}:\r\n", introduction(action))?;
        for recipient in recipients {
            write_recipient(report, recipient, out)?;
        }
        out.write_str("\r\n")?;
        write_lines(what_now(action), "", out)?;
    }
    write_about(report, out)
}

fn write_recipient(report: &Report<'_>, recipient: &Recipient<'_>, out: &mut String) -> fmt::Result {
    write!(out, "\r\n  {}\r\n", harmless(recipient.address, false))?;
    if !matches!(recipient.action, Action::Failed | Action::Delayed) {
        return Ok(());
    }
    if let Some(explanation) = explanation(recipient.status, recipient.action) {
        write_lines(explanation, "    ", out)?;
    }
    if recipient.expired {
        let since = DateTime::from(report.arrived_at);
        write_lines(&format!("It was tried again and again since {since}."), "    ", out)?;
    }
    if let Some(diagnostic) = recipient.diagnostic {
        let who = match recipient.remote_mta {
            Some(remote) => format!("The mail server {} said:", harmless(remote, false)),
            None => "The reason is:".into(),
        };
        write_lines(&who, "    ", out)?;
        write_lines(&harmless(diagnostic, false), "      ", out)?;
    }
    if let Some(until) = recipient.will_retry_until {
        let until = DateTime::from(until);
        write_lines(&format!("It will be tried until {until}."), "    ", out)?;
    }
    Ok(())
}

/// Which message it is, and what else is in the report.
fn write_about(report: &Report<'_>, out: &mut String) -> fmt::Result {
    out.write_str("\r\nThe message in question:\r\n\r\n")?;
    if let Some(subject) = report.subject {
        write_lines(&format!("Subject: {}", harmless(subject, false)), "  ", out)?;
    }
    write!(
        out,
        "  Received: {}\r\n  Reference: {}\r\n\r\n",
        DateTime::from(report.arrived_at),
        report.original_id
    )?;
    let attached = match report.returned {
        Returned::Message => "Your message is attached",
        Returned::Header => "The header of your message is attached",
    };
    write_lines(&format!("{attached}, and details that help your administrator."), "", out)
}

fn headline(action: Action) -> &'static str {
    match action {
        Action::Failed => "Your message could not be delivered",
        Action::Delayed => "Your message is not yet delivered",
        Action::Delivered => "Your message was delivered",
        Action::Relayed => "Your message was passed on",
        Action::Expanded => "Your message was sent on",
    }
}

fn introduction(action: Action) -> &'static str {
    match action {
        Action::Failed => "Your message could not be delivered to",
        Action::Delayed => "Your message is not yet delivered to",
        Action::Delivered => "Your message was delivered to",
        Action::Relayed => "Your message was passed on to the next mail system for",
        Action::Expanded => "Your message was sent on to the addresses that stand behind",
    }
}

fn what_now(action: Action) -> &'static str {
    match action {
        Action::Failed => {
            "It will not be tried again. To reach them, please send it anew when the cause is mended."
        }
        Action::Delayed => {
            "This is only to let you know. You need not do anything, nor send it again: the message is kept here and \
             will be tried again by itself."
        }
        Action::Delivered => {
            "You asked to be told. It is now in the mailbox; whether it was read is not known."
        }
        Action::Relayed => "You asked to be told. The next mail system may not tell what becomes of it.",
        Action::Expanded => "You asked to be told. You will not be told when it reaches them.",
    }
}

/// What the sender most needs to know.
fn worst(report: &Report<'_>) -> Action {
    [Action::Failed, Action::Delayed, Action::Relayed, Action::Expanded]
        .into_iter()
        .find(|action| report.recipients.iter().any(|recipient| recipient.action == *action))
        .unwrap_or(Action::Delivered)
}

fn write_lines(text: &str, indent: &str, out: &mut String) -> fmt::Result {
    wrap(text, WIDTH - indent.len()).iter().try_for_each(|line| write!(out, "{indent}{line}\r\n"))
}
