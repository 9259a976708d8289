//! The HTTPS server on which domains publish their MTA-STS policies.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Certificate;

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where a policy stands (RFC 8461 §3.3).
const PATH: &str = "/.well-known/mta-sts.txt";

/// A running HTTPS server. Dropping it stops it.
pub struct PolicyHost {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl PolicyHost {
    /// Serves the policy of each domain, at `mta-sts.<domain>`, on a port of its own.
    ///
    /// # Panics
    /// If it cannot.
    pub fn start(certificate: &Certificate, policies: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let address = listener.local_addr().expect("its address");
        let stopped = Arc::new(AtomicBool::new(false));
        let policies: HashMap<String, String> = policies
            .iter()
            .map(|(domain, policy)| (format!("mta-sts.{domain}"), policy.replace('\n', "\r\n")))
            .collect();
        let config = config(certificate);
        let stop = Arc::clone(&stopped);
        let server = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // A client that does not trust us breaks off; another comes.
                let _ = serve(client, &config, &policies);
            }
        });
        Self { address, stopped, server: Some(server) }
    }

    /// The port on which it serves.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes it from waiting for clients.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn config(certificate: &Certificate) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain().as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(certificate.key().as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.expect("a certificate and its key"))
}

fn serve(
    client: TcpStream,
    config: &Arc<ServerConfig>,
    policies: &HashMap<String, String>,
) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let session = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, client));
    let mut request = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        request.push(line.trim_end().to_ascii_lowercase());
    }
    let host = request.iter().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let policy = policies.get(host).filter(|_| request[0].starts_with(&format!("get {PATH} ")));
    let (status, body) = policy.map_or(("404 Not Found", ""), |policy| ("200 OK", policy));
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
