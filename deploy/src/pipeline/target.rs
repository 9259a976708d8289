//! Which pipeline a command is about: the one in a folder, or services at addresses that the user gives.

use std::path::{Path, PathBuf};

use crate::failure::{Explain, Failure};
use crate::local::layout::Layout;
use crate::local::ready::{self, Ready};

/// The flags that all client commands share.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which pipeline")]
#[group(id = "pipeline")]
pub(crate) struct Arguments {
    /// Folder of a pipeline that `waypost up` runs
    #[arg(long, value_name = "DIR", default_value = "waypost-data")]
    dir: PathBuf,
    /// gRPC address of the MSA, instead of --dir
    #[arg(long, value_name = "HOST:PORT", requires = "ca", requires = "cert", requires = "key")]
    msa: Option<String>,
    /// gRPC address of an MTA node, instead of --dir (repeatable)
    #[arg(long, value_name = "HOST:PORT", requires = "ca", requires = "cert", requires = "key")]
    mta: Vec<String>,
    /// gRPC address of the MDA, instead of --dir
    #[arg(long, value_name = "HOST:PORT", requires = "ca", requires = "cert", requires = "key")]
    mda: Option<String>,
    /// PEM file of the authority that signed the services' certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of your certificate, which must name the role `operator`
    #[arg(long, value_name = "FILE", requires = "ca")]
    cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "ca")]
    key: Option<PathBuf>,
}

impl Arguments {
    /// The authority that the user trusts, if not that of a folder.
    pub(crate) fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }
}

/// A client's certificate and key, and the authority it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Credentials {
    /// The operator's, in a folder of `waypost up`.
    pub(crate) fn of_operator(layout: &Layout) -> Self {
        Self {
            ca: layout.certificate("ca"),
            certificate: layout.certificate("operator"),
            key: layout.key("operator"),
        }
    }
}

/// One service to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its name for people: `mta1`, or its address where that is all that is known.
    pub(crate) name: String,
    /// `host:port` of its gRPC listener.
    pub(crate) address: String,
}

/// A pipeline to talk to.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// How to be known to it.
    pub(crate) credentials: Credentials,
    /// Its folder, if it runs on this machine under `waypost up`.
    pub(crate) layout: Option<Layout>,
    /// SMTP submission over TLS, where known.
    pub(crate) submissions: Option<std::net::SocketAddr>,
    msa: Option<Node>,
    mta: Vec<Node>,
    mda: Option<Node>,
}

impl Pipeline {
    /// What the flags say.
    pub(crate) fn find(arguments: &Arguments) -> Result<Self, Failure> {
        if arguments.msa.is_some() || arguments.mda.is_some() || !arguments.mta.is_empty() {
            Self::at_addresses(arguments)
        } else {
            Self::in_folder(&arguments.dir)
        }
    }

    fn at_addresses(arguments: &Arguments) -> Result<Self, Failure> {
        let (Some(ca), Some(certificate), Some(key)) = (&arguments.ca, &arguments.cert, &arguments.key)
        else {
            return Err(Failure::new("cannot reach the services", "--ca, --cert and --key are needed too"));
        };
        let node = |address: &String| Node { name: address.clone(), address: address.clone() };
        Ok(Self {
            credentials: Credentials { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() },
            layout: None,
            submissions: None,
            msa: arguments.msa.as_ref().map(node),
            mta: arguments.mta.iter().map(node).collect(),
            mda: arguments.mda.as_ref().map(node),
        })
    }

    fn in_folder(dir: &Path) -> Result<Self, Failure> {
        let layout = Layout::new(dir);
        let ready = ready::read(&layout.ready())
            .explain(|| format!("cannot read {}", layout.ready().display()))?
            .ok_or_else(|| {
                let what = format!("cannot find a running pipeline in {}", dir.display());
                Failure::new(what, "there is no ready.json").advise(
                    "start one with `waypost up`, name its folder with --dir, or give --msa, --mta, --mda",
                )
            })?;
        let mut pipeline = Self::from_ready(&ready, Credentials::of_operator(&layout));
        pipeline.layout = Some(layout);
        Ok(pipeline)
    }

    fn from_ready(ready: &Ready, credentials: Credentials) -> Self {
        let grpc = |(name, entry): (&String, &ready::Entry)| {
            let address = entry.listeners.get("grpc")?.to_string();
            Some(Node { name: name.clone(), address })
        };
        let named = |name: &str| ready.services.get_key_value(name).and_then(grpc);
        let submissions = ready.services.get("msa").and_then(|msa| msa.listeners.get("submissions"));
        Self {
            credentials,
            layout: None,
            submissions: submissions.copied(),
            msa: named("msa"),
            mta: ready.services.iter().filter(|(name, _)| name.starts_with("mta")).filter_map(grpc).collect(),
            mda: named("mda"),
        }
    }

    /// The MSA.
    pub(crate) fn msa(&self) -> Result<&Node, Failure> {
        self.msa.as_ref().ok_or_else(|| unknown("MSA", "--msa"))
    }

    /// All MTA nodes, at least one.
    pub(crate) fn mta(&self) -> Result<&[Node], Failure> {
        if self.mta.is_empty() { Err(unknown("MTA", "--mta")) } else { Ok(&self.mta) }
    }

    /// The MDA.
    pub(crate) fn mda(&self) -> Result<&Node, Failure> {
        self.mda.as_ref().ok_or_else(|| unknown("MDA", "--mda"))
    }
}

fn unknown(service: &str, flag: &str) -> Failure {
    Failure::new(format!("cannot ask the {service}"), "its address is not known")
        .advise(format!("give {flag} HOST:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn find(arguments: &[&str]) -> Result<Pipeline, Failure> {
        let line = Line::try_parse_from(std::iter::once(&"waypost").chain(arguments)).unwrap();
        Pipeline::find(&line.arguments)
    }

    fn node(name: &str, address: &str) -> Node {
        Node { name: name.into(), address: address.into() }
    }

    #[test]
    fn a_folder_tells_all_services_and_the_operators_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let ready = serde_json::json!({
            "msa": {"pid": 1, "listeners": {"grpc": "127.0.0.1:1", "submissions": "127.0.0.1:2"}},
            "mta": {"pid": 2, "listeners": {"grpc": "127.0.0.1:3"}},
            "mta1": {"pid": 3, "listeners": {"grpc": "127.0.0.1:4"}},
            "mda": {"pid": 4, "listeners": {"grpc": "127.0.0.1:5"}},
        });
        std::fs::write(folder.path().join("ready.json"), ready.to_string()).unwrap();
        let pipeline = find(&["--dir", folder.path().to_str().unwrap()]).unwrap();
        assert_eq!(pipeline.msa().unwrap(), &node("msa", "127.0.0.1:1"));
        assert_eq!(pipeline.mta().unwrap(), [node("mta", "127.0.0.1:3"), node("mta1", "127.0.0.1:4")]);
        assert_eq!(pipeline.mda().unwrap(), &node("mda", "127.0.0.1:5"));
        assert_eq!(pipeline.submissions, Some("127.0.0.1:2".parse().unwrap()));
        assert_eq!(pipeline.credentials.key, folder.path().join("tls/operator.key"));
    }

    #[test]
    fn a_folder_without_a_pipeline_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let failure = find(&["--dir", folder.path().to_str().unwrap()]).unwrap_err().to_string();
        assert!(failure.starts_with("cannot find a running pipeline in "), "{failure}");
        assert!(failure.contains("`waypost up`"), "{failure}");
    }

    #[test]
    fn addresses_go_before_the_folder_and_need_certificates() {
        let certificates = ["--ca", "ca.pem", "--cert", "me.pem", "--key", "me.key"];
        let mut arguments = vec!["--mta", "a:7025", "--mta", "b:7025"];
        arguments.extend(certificates);
        let pipeline = find(&arguments).unwrap();
        assert_eq!(pipeline.mta().unwrap(), [node("a:7025", "a:7025"), node("b:7025", "b:7025")]);
        assert_eq!(
            pipeline.mda().unwrap_err().to_string(),
            "cannot ask the MDA: its address is not known (give --mda HOST:PORT)"
        );
        assert!(Line::try_parse_from(["waypost", "--mda", "a:7143"]).is_err());
        assert!(Line::try_parse_from(["waypost", "--mda", "a:7143", "--ca", "ca.pem"]).is_err());
    }
}
