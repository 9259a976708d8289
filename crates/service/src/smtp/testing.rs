//! Certificates, and a handler that writes down what it hears.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::PrivatePkcs8KeyDer;
use smtp::server::Abort;
use smtp::{Credentials, Mail, Rcpt, Reply};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::server::{Context, Handler};
use crate::tls::Acceptor;

/// Both sides of TLS, with a certificate for `localhost` that the client trusts.
pub(super) fn tls() -> (Acceptor, TlsConnector) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)).into(), Arc::new(client).into())
}

/// Takes everything but `nobody@…`, from whoever knows the secret.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Record>>);

/// What a handler heard.
#[derive(Default)]
pub(super) struct Record {
    pub(super) heard: Vec<String>,
    pub(super) content: Vec<u8>,
    /// The longest piece of a message.
    pub(super) longest: usize,
    /// Octets of messages, whose content is only kept while it is short.
    pub(super) octets: usize,
    pub(super) context: Option<Context>,
}

/// Octets of content that are kept.
const KEPT: usize = 64 * 1024;

impl Recorder {
    pub(super) fn heard(&self) -> Vec<String> {
        self.0.lock().heard.clone()
    }

    pub(super) fn record<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.0.lock())
    }

    fn hear(&self, what: String, context: Option<&Context>) {
        let mut record = self.0.lock();
        record.heard.push(what);
        if let Some(context) = context {
            record.context = Some(context.clone());
        }
    }
}

impl Handler for Recorder {
    async fn authenticate(&mut self, context: &Context, credentials: Credentials) -> Result<(), Reply> {
        self.hear(format!("authenticate {}", credentials.username), Some(context));
        let known = credentials.password.reveal() == "secret";
        if known { Ok(()) } else { Err(Reply::fixed(535, 7, 8, "No")) }
    }

    async fn mail(&mut self, context: &Context, mail: Mail) -> Reply {
        self.hear(format!("mail {}", mail.reverse_path), Some(context));
        Reply::fixed(250, 1, 0, "OK")
    }

    async fn rcpt(&mut self, context: &Context, rcpt: Rcpt) -> Reply {
        self.hear(format!("rcpt {}", rcpt.address), Some(context));
        let known = rcpt.address.local_part().as_str() != "nobody";
        if known { Reply::fixed(250, 1, 5, "OK") } else { Reply::fixed(550, 1, 1, "No such user") }
    }

    async fn begin(&mut self, context: &Context) -> Result<(), Reply> {
        self.hear("begin".into(), Some(context));
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        let mut record = self.0.lock();
        record.longest = record.longest.max(chunk.len());
        record.octets += chunk.len();
        if record.content.len() < KEPT {
            record.content.extend_from_slice(&chunk);
        }
        Ok(())
    }

    async fn finish(&mut self, context: &Context) -> Reply {
        self.hear("finish".into(), Some(context));
        Reply::fixed(250, 0, 0, "Taken")
    }

    async fn abort(&mut self, abort: Abort) {
        self.hear(format!("abort {abort:?}"), None);
    }
}
