//! `[[route]]`: the rules as they are written, and what they come to.

use std::collections::HashSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use message::Domain;
use proto::mail::Reply;
use serde::{Deserialize, Serialize};

use super::matching::{AccountSet, DomainSet, SenderSet};
use super::settings::{Credentials, Fingerprint, RouteSettings, TlsMode};
use super::{NextHop, Route, Sender};
use crate::reply::reply;

/// Rules at most: each recipient is held against them in order.
const MOST_RULES: usize = 1_000;
/// Hosts of one rule at most.
const MOST_HOSTS: usize = 20;
/// Octets of a password file at most.
const MOST_PASSWORD: u64 = 4096;

/// One rule of the routing table. All that it asks for (`recipient_domain`, `sender_domain`, `account`) must hold; of
/// each list, one entry. A rule that asks for nothing matches all mail to others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteConfig {
    /// What it is called in logs and sites. Default: `route N` by its place, counted from 1.
    pub name: String,
    /// Domains of recipients: `example.org` itself, `.example.org` for every domain below it. Only a rule with this can
    /// match recipients that have a mailbox here.
    pub recipient_domain: Vec<String>,
    /// Domains of the reverse-path, written likewise; `<>` for the null reverse-path.
    pub sender_domain: Vec<String>,
    /// Accounts that submitted the message; `*` for any. Mail from other MTAs has none.
    pub account: Vec<String>,
    /// Where the mail goes. Default `mx`.
    pub to: RouteTo,
    /// With `mx`: the domain whose MX records count. Default: the recipient's own.
    pub mx_of: String,
    /// With `hosts`: the hosts, the most preferred first: `host`, `host:port`, `192.0.2.1:25`, `[2001:db8::1]:25`. At
    /// most 20. Their MX records do not matter.
    pub hosts: Vec<String>,
    /// With `refuse`: the reply's code, 400 to 599. Default 550, which is for good; 4xx lets mail wait.
    pub code: Option<u16>,
    /// With `refuse`: the enhanced status code (RFC 3463). Default `5.7.1`, or `4.7.1` if the code is 4xx.
    pub status: String,
    /// With `refuse`: the text that the sender reads. Default "mail for this recipient is refused".
    pub text: String,
    /// What TLS is asked for. Default `opportunistic`; with a `username`, `verified`, so that nobody on the way
    /// reads the password.
    pub tls: RouteTls,
    /// With `tls = "verified"` or a `username`: names of which one must stand in the certificate. Default: the name of the host. Where MX
    /// records name the host and neither DNSSEC nor the domain's MTA-STS policy vouches for it, that of a host below the
    /// domain, or of the domain itself; the domain's policies hold too.
    pub tls_names: Vec<String>,
    /// With `tls = "fingerprint"`: the SHA-256 of certificates in hexadecimal digits, with or without colons.
    pub tls_fingerprints: Vec<String>,
    /// TLS from the first octet, as on port 465, in place of STARTTLS. Needs a `tls` stricter than `opportunistic`.
    /// Default `false`.
    pub implicit_tls: bool,
    /// With `hosts`: the user to log in as. With `tls = "required"` whoever stands in for the host is told the password, with
    /// `tls = "none"` whoever listens. Default: no login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// In place of `password`: a file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Addresses of this machine to send from, of either family; hosts are dialled over the families that occur.
    /// Default: the kernel chooses.
    pub source: Vec<IpAddr>,
    /// What to say in EHLO. Default: `hostname`.
    pub ehlo: String,
    /// The port of hosts that name none. Default: `outbound.port`.
    pub port: Option<u16>,
}

/// Where the mail of a rule goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteTo {
    /// To the hosts that MX records name.
    #[default]
    Mx,
    /// To `hosts`.
    Hosts,
    /// To the MDA, whatever the directory says about the recipient.
    Mda,
    /// Nowhere.
    Refuse,
}

/// What TLS a rule asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteTls {
    /// Never.
    None,
    /// Where it is offered, whoever the certificate names, unless the recipient's domain publishes a stricter policy.
    #[default]
    Opportunistic,
    /// Encrypted or not at all, whoever the certificate names.
    Required,
    /// With a certificate for the right name that a known authority signed, or as the recipient's domain asks for by DANE.
    Verified,
    /// With one of `tls_fingerprints`.
    Fingerprint,
}

/// A rule that is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {problem}")]
pub struct RouteError {
    rule: String,
    problem: String,
}

/// A rule as it is applied.
#[derive(Debug)]
pub(super) struct Rule {
    recipient_domain: Option<DomainSet>,
    sender_domain: Option<SenderSet>,
    account: Option<AccountSet>,
    to: Target,
}

/// Where the mail of a rule goes.
#[derive(Debug)]
enum Target {
    Mda,
    /// `None`: the MX of the recipient's domain.
    Mx(Option<Arc<str>>, Arc<RouteSettings>),
    Hosts(Arc<[NextHop]>, Arc<RouteSettings>),
    Refuse(Reply),
}

impl Rule {
    pub(super) fn matches(&self, sender: Sender<'_>, domain: &Domain, is_mailbox: bool) -> bool {
        self.recipient_domain.as_ref().map_or(!is_mailbox, |set| set.contains(domain))
            && self.sender_domain.as_ref().is_none_or(|set| set.contains(sender.reverse_path))
            && self.account.as_ref().is_none_or(|set| set.contains(sender.account))
    }

    pub(super) fn asks_for_sender(&self) -> bool {
        self.sender_domain.is_some()
    }

    /// How its mail goes, if it goes by SMTP.
    pub(super) fn settings(&self) -> Option<&RouteSettings> {
        match &self.to {
            Target::Mx(_, settings) | Target::Hosts(_, settings) => Some(settings),
            Target::Mda | Target::Refuse(_) => None,
        }
    }

    pub(super) fn route(&self, recipient: &Domain) -> Route {
        match &self.to {
            Target::Mda => Route::Mda,
            Target::Mx(domain, settings) => {
                let domain = domain.clone().unwrap_or_else(|| recipient.ascii().into());
                Route::Mx { domain, settings: Arc::clone(settings) }
            }
            Target::Hosts(hops, settings) => {
                Route::Hosts { hops: Arc::clone(hops), settings: Arc::clone(settings) }
            }
            Target::Refuse(reply) => Route::Refuse(reply.clone()),
        }
    }
}

/// The rules that a configuration comes to.
pub(super) fn rules(configured: &[RouteConfig]) -> Result<Arc<[Rule]>, RouteError> {
    if configured.len() > MOST_RULES {
        let problem = format!("there are {} rules, at most {MOST_RULES} are allowed", configured.len());
        return Err(RouteError { rule: "route".into(), problem });
    }
    let mut names = HashSet::new();
    let parse = |(config, place): (&RouteConfig, usize)| {
        let name = if config.name.is_empty() { format!("route {place}") } else { config.name.clone() };
        let parsed = rule(config, &name);
        let parsed = parsed.map_err(|problem| RouteError { rule: described(config, place), problem })?;
        if !names.insert(name) {
            let problem = "another rule has the same name".into();
            return Err(RouteError { rule: described(config, place), problem });
        }
        Ok(parsed)
    };
    configured.iter().zip(1..).map(parse).collect()
}

/// Which rule, for whoever has to find it in the file.
fn described(config: &RouteConfig, place: usize) -> String {
    if config.name.is_empty() {
        format!("[[route]] number {place}")
    } else {
        format!("[[route]] number {place} ({})", config.name)
    }
}

fn rule(config: &RouteConfig, name: &str) -> Result<Rule, String> {
    only_where_it_counts(config)?;
    let to = match config.to {
        RouteTo::Mda => Target::Mda,
        RouteTo::Refuse => Target::Refuse(refusal(config)?),
        RouteTo::Mx => {
            let domain = (!config.mx_of.is_empty()).then(|| domain("mx_of", &config.mx_of)).transpose()?;
            let domain = domain.map(|domain| domain.ascii().into());
            Target::Mx(domain, Arc::new(settings(config, name)?))
        }
        RouteTo::Hosts => Target::Hosts(hops(config)?, Arc::new(settings(config, name)?)),
    };
    let recipient_domain = non_empty(&config.recipient_domain).map(|list| domains("recipient_domain", list));
    let sender_domain = non_empty(&config.sender_domain).map(senders);
    let account = non_empty(&config.account).map(AccountSet::new);
    Ok(Rule {
        recipient_domain: recipient_domain.transpose()?,
        sender_domain: sender_domain.transpose()?,
        account,
        to,
    })
}

/// A setting that would do nothing is a misunderstanding, and told.
fn only_where_it_counts(config: &RouteConfig) -> Result<(), String> {
    let over_smtp = matches!(config.to, RouteTo::Mx | RouteTo::Hosts);
    let refused = config.to == RouteTo::Refuse;
    let has_credentials = !config.username.is_empty();
    let settings = [
        ("mx_of", !config.mx_of.is_empty(), config.to == RouteTo::Mx, "to = \"mx\""),
        ("hosts", !config.hosts.is_empty(), config.to == RouteTo::Hosts, "to = \"hosts\""),
        ("code", config.code.is_some(), refused, "to = \"refuse\""),
        ("status", !config.status.is_empty(), refused, "to = \"refuse\""),
        ("text", !config.text.is_empty(), refused, "to = \"refuse\""),
        ("tls", config.tls != RouteTls::Opportunistic, over_smtp, "to = \"mx\" or \"hosts\""),
        (
            "tls_names",
            !config.tls_names.is_empty(),
            asked_tls(config) == RouteTls::Verified,
            "tls = \"verified\"",
        ),
        (
            "tls_fingerprints",
            !config.tls_fingerprints.is_empty(),
            config.tls == RouteTls::Fingerprint,
            "tls = \"fingerprint\"",
        ),
        ("implicit_tls", config.implicit_tls, over_smtp, "to = \"mx\" or \"hosts\""),
        ("username", has_credentials, config.to == RouteTo::Hosts, "to = \"hosts\""),
        ("password", !config.password.is_empty(), has_credentials, "username"),
        ("password_file", config.password_file.is_some(), has_credentials, "username"),
        ("source", !config.source.is_empty(), over_smtp, "to = \"mx\" or \"hosts\""),
        ("ehlo", !config.ehlo.is_empty(), over_smtp, "to = \"mx\" or \"hosts\""),
        ("port", config.port.is_some(), over_smtp, "to = \"mx\" or \"hosts\""),
    ];
    match settings.into_iter().find(|&(_, is_set, counts, _)| is_set && !counts) {
        Some((setting, .., with)) => Err(format!("{setting} needs {with}")),
        None => Ok(()),
    }
}

fn settings(config: &RouteConfig, name: &str) -> Result<RouteSettings, String> {
    let tls = tls(config)?;
    if config.implicit_tls && matches!(tls, TlsMode::None | TlsMode::Opportunistic) {
        return Err("implicit_tls needs tls = \"required\", \"verified\" or \"fingerprint\"".into());
    }
    if config.port == Some(0) {
        return Err("port must be at least 1".into());
    }
    if let Some(source) = config.source.iter().find(|source| source.is_unspecified() || source.is_multicast())
    {
        return Err(format!("source: {source} is not an address of a host"));
    }
    let ehlo = (!config.ehlo.is_empty()).then(|| domain("ehlo", &config.ehlo)).transpose()?;
    Ok(RouteSettings {
        name: name.to_owned(),
        tls,
        implicit_tls: config.implicit_tls,
        credentials: credentials(config)?,
        sources: config.source.clone(),
        ehlo,
        port: config.port,
    })
}

/// What TLS a rule asks for, if it does not say: where there is a password, whoever stands in for the host would be told it.
fn asked_tls(config: &RouteConfig) -> RouteTls {
    match config.tls {
        RouteTls::Opportunistic if !config.username.is_empty() => RouteTls::Verified,
        tls => tls,
    }
}

fn tls(config: &RouteConfig) -> Result<TlsMode, String> {
    Ok(match asked_tls(config) {
        RouteTls::None => TlsMode::None,
        RouteTls::Opportunistic => TlsMode::Opportunistic,
        RouteTls::Required => TlsMode::Required,
        RouteTls::Verified => {
            let names = config.tls_names.iter().map(|name| domain("tls_names", name));
            TlsMode::Verified { names: names.collect::<Result<_, _>>()? }
        }
        RouteTls::Fingerprint if config.tls_fingerprints.is_empty() => {
            return Err("tls = \"fingerprint\" needs tls_fingerprints".into());
        }
        RouteTls::Fingerprint => {
            let parse = |text: &String| {
                let invalid = || format!("tls_fingerprints: {text:?} is not a SHA-256 in hexadecimal digits");
                Fingerprint::parse(text).ok_or_else(invalid)
            };
            TlsMode::Fingerprint(config.tls_fingerprints.iter().map(parse).collect::<Result<_, _>>()?)
        }
    })
}

fn credentials(config: &RouteConfig) -> Result<Option<Credentials>, String> {
    if config.username.is_empty() {
        return Ok(None);
    }
    let password = match &config.password_file {
        Some(_) if !config.password.is_empty() => {
            return Err("password and password_file cannot both be given".into());
        }
        Some(file) => read_password(file)?,
        None => config.password.clone(),
    };
    if password.is_empty() {
        return Err("username needs a password or a password_file".into());
    }
    // PLAIN parts its fields with NUL (RFC 4616 §2).
    if config.username.contains('\0') || password.contains('\0') {
        return Err("username and password cannot hold a NUL".into());
    }
    Ok(Some(Credentials { username: config.username.clone(), password }))
}

fn read_password(file: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot read password_file {}: {error}", file.display());
    if fs::metadata(file).map_err(unreadable)?.len() > MOST_PASSWORD {
        return Err(format!("password_file {} is larger than {MOST_PASSWORD} octets", file.display()));
    }
    let text = fs::read_to_string(file).map_err(unreadable)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn hops(config: &RouteConfig) -> Result<Arc<[NextHop]>, String> {
    if config.hosts.is_empty() {
        return Err("to = \"hosts\" needs hosts".into());
    }
    if config.hosts.len() > MOST_HOSTS {
        return Err(format!("hosts: at most {MOST_HOSTS} are allowed"));
    }
    let parse = |text: &String| NextHop::parse(text).map_err(|error| format!("hosts: {error}"));
    config.hosts.iter().map(parse).collect()
}

fn refusal(config: &RouteConfig) -> Result<Reply, String> {
    let code = config.code.unwrap_or(550);
    if !(400..600).contains(&code) {
        return Err(format!("code must be between 400 and 599, and is {code}"));
    }
    let class = code / 100;
    let status = if config.status.is_empty() { format!("{class}.7.1") } else { config.status.clone() };
    if !is_status(&status) || !status.starts_with(&class.to_string()) {
        return Err(format!(
            "status must be an enhanced status code that begins with {class}, such as {class}.7.1"
        ));
    }
    let text = if config.text.is_empty() { "mail for this recipient is refused" } else { &config.text };
    if text.chars().any(char::is_control) {
        return Err("text must be one line without control characters".into());
    }
    Ok(reply(code.into(), &status, text))
}

/// `class.subject.detail` (RFC 3463 §2).
fn is_status(text: &str) -> bool {
    let is_number =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
    let parts: Vec<&str> = text.split('.').collect();
    matches!(parts[..], ["4" | "5", subject, detail] if is_number(subject) && is_number(detail))
}

fn domain(setting: &str, text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| format!("{setting}: {text:?}: {error}"))
}

fn domains(setting: &str, patterns: &[String]) -> Result<DomainSet, String> {
    DomainSet::parse(patterns).map_err(|(pattern, error)| format!("{setting}: {pattern:?}: {error}"))
}

fn senders(patterns: &[String]) -> Result<SenderSet, String> {
    let (null, named): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| *pattern == "<>");
    let domains =
        DomainSet::parse(named).map_err(|(pattern, error)| format!("sender_domain: {pattern:?}: {error}"))?;
    Ok(SenderSet { domains, null: !null.is_empty() })
}

fn non_empty(list: &[String]) -> Option<&[String]> {
    (!list.is_empty()).then_some(list)
}
