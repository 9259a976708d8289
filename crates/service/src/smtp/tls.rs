//! What is known of a TLS session.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, ProtocolVersion};

use crate::tls::ChannelBindings;

/// What two sides agreed on in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: String,
    /// `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// What the other side showed, its own certificate first; empty if it showed none.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// On the server's side: by which a client can tell that nobody stands in between.
    pub bindings: ChannelBindings,
}

impl TlsFacts {
    pub(super) fn new(state: &CommonState, server_name: Option<&str>) -> Self {
        let version = match state.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            other => format!("{other:?}"),
        };
        let cipher =
            state.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
        let bindings = ChannelBindings::default();
        let certificates = state.peer_certificates().unwrap_or_default().into();
        Self { version, cipher, server_name: server_name.map(str::to_owned), certificates, bindings }
    }
}
