//! Where MTA-STS looks: TXT records, and policy hosts over HTTPS (RFC 8461 §3).

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::StatusCode;
use service::dns::Dns;
use tls_policy::mta_sts::{FetchError, MAX_POLICY_SIZE, POLICY_PATH, Source, policy_host};

use super::https::{Https, HttpsError, Query};

/// The Internet.
pub(super) struct Internet {
    pub(super) dns: Dns,
    pub(super) https: Https,
    /// The port of policy hosts.
    pub(super) port: u16,
    /// How long a fetch may take.
    pub(super) timeout: Duration,
}

impl Source for Internet {
    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
        let dns = self.dns.clone();
        async move {
            match dns.txt(&name).await {
                Ok(answer) => Ok(answer.records),
                Err(error) if error.is_temporary() => Err(error.to_string()),
                Err(_) => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn policy_file(&self, domain: String) -> BoxFuture<'static, Result<Vec<u8>, FetchError>> {
        let (https, port, within) = (self.https.clone(), self.port, self.timeout);
        async move {
            let host = policy_host(&domain);
            // One octet more, so that a file that is too large is seen to be.
            let limit = MAX_POLICY_SIZE + 1;
            let query = Query { host: &host, port, path: POLICY_PATH, post: None, limit, within };
            let answer = https.ask(query).await.map_err(|error| match error {
                HttpsError::Certificate { .. } => FetchError::Certificate(error.to_string()),
                error => FetchError::Unavailable(error.to_string()),
            })?;
            // Redirects are not followed (RFC 8461 §3.3), and media types guard against what users upload (§3.2).
            if answer.status != StatusCode::OK {
                return Err(FetchError::Unavailable(format!("{host} answers {}", answer.status)));
            }
            if answer.media_type != "text/plain" {
                let text = format!("{host} answers with {:?} in place of text/plain", answer.media_type);
                return Err(FetchError::Unavailable(text));
            }
            Ok(answer.body.to_vec())
        }
        .boxed()
    }
}
