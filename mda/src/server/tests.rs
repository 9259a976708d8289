use bytes::Bytes;
use proto::{
    mail::{Envelope, Recipient},
    mda::{
        AuthenticateRequest, DeliverRequest, ListMailboxesRequest, LocateRequest, ResolutionKind,
        ResolveRequest,
    },
};
use service::{cli::Reload, config::ByteSize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use super::*;
use crate::testing::TestService;

const ALICE: &str = "alice@example.test";

fn delivery(message_id: &message::MessageId) -> DeliverRequest {
    let envelope = Envelope {
        message_id: message_id.to_string(),
        recipients: vec![Recipient { address: ALICE.to_owned(), ..Recipient::default() }],
        ..Envelope::default()
    };
    DeliverRequest { envelope: Some(envelope), data: Bytes::from_static(b"Subject: x\r\n\r\n") }
}

#[tokio::test]
async fn each_role_calls_what_it_needs() {
    let service = TestService::start().await;
    service.create_account(ALICE, "secret").await;

    let request = ResolveRequest { addresses: vec![ALICE.to_owned()], expand: false };
    let resolved = service.directory(Role::Mta).await.resolve(request).await.unwrap().into_inner();
    assert_eq!(resolved.resolutions[0].kind(), ResolutionKind::Mailbox);

    let request = AuthenticateRequest {
        username: ALICE.to_owned(),
        password: "secret".to_owned(),
        client_address: "192.0.2.1".to_owned(),
    };
    assert!(
        service.directory(Role::Msa).await.authenticate(request).await.unwrap().into_inner().authenticated
    );

    let id = message::MessageId::new();
    let mut mta = service.delivery(Role::Mta).await;
    let receipt = mta.deliver(tokio_stream::once(delivery(&id))).await.unwrap().into_inner();
    assert!(!receipt.results[0].duplicate);
    let again = mta.deliver(tokio_stream::once(delivery(&id))).await.unwrap().into_inner();
    assert!(again.results[0].duplicate);
    assert_eq!(again.results[0].placement, receipt.results[0].placement);

    let mut operator = service.mailbox(Role::Operator).await;
    let request = LocateRequest { message_id: id.to_string() };
    assert_eq!(operator.locate(request).await.unwrap().into_inner().located.len(), 1);
    let request = ListMailboxesRequest { account: ALICE.to_owned() };
    assert!(operator.list(request).await.unwrap().into_inner().mailboxes.len() > 1);
    service.stop().await;
}

#[tokio::test]
async fn what_is_not_for_a_role_is_denied() {
    let service = TestService::start().await;
    let id = message::MessageId::new();
    for role in [Role::Msa, Role::Mda, Role::Operator] {
        let denied =
            service.delivery(role).await.deliver(tokio_stream::once(delivery(&id))).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{role}");
    }
    for role in [Role::Msa, Role::Mta, Role::Mda] {
        let request = ListMailboxesRequest { account: ALICE.to_owned() };
        let denied = service.mailbox(role).await.list(request).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{role}");
    }
    let request = AuthenticateRequest::default();
    let denied = service.directory(Role::Mta).await.authenticate(request).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    service.stop().await;
}

#[tokio::test]
async fn a_message_far_over_the_limit_is_refused_over_the_wire() {
    let service = TestService::start_with(|config| config.limits.message_size = ByteSize::mib(1)).await;
    service.create_account(ALICE, "secret").await;
    let mut requests = vec![delivery(&message::MessageId::new())];
    let chunk = DeliverRequest { envelope: None, data: Bytes::from(vec![b'a'; 256 * 1024]) };
    requests.extend(std::iter::repeat_n(chunk, 7));
    let receipt =
        service.delivery(Role::Mta).await.deliver(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert_eq!(receipt.results[0].reply.as_ref().unwrap().code, 552);
    service.stop().await;
}

#[tokio::test]
async fn readiness_and_metrics_are_told_over_http() {
    let service = TestService::start().await;
    service.create_account(ALICE, "secret").await;
    let mut mta = service.delivery(Role::Mta).await;
    mta.deliver(tokio_stream::once(delivery(&message::MessageId::new()))).await.unwrap();
    assert!(get(service.addresses.http, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = get(service.addresses.http, "/metrics").await;
    assert!(metrics.contains("waypost_mda_deliveries_total{outcome=\"delivered\"} 1"), "{metrics}");
    service.stop().await;
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn mail_is_still_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_owned();
    let service = TestService::start_with(|config| config.data_dir = data.clone()).await;
    service.create_account(ALICE, "secret").await;
    let id = message::MessageId::new();
    let mut mta = service.delivery(Role::Mta).await;
    mta.deliver(tokio_stream::once(delivery(&id))).await.unwrap();
    service.stop().await;

    let service = TestService::start_with(|config| config.data_dir = data).await;
    let request = LocateRequest { message_id: id.to_string() };
    let located = service.mailbox(Role::Operator).await.locate(request).await.unwrap().into_inner().located;
    assert_eq!(located.len(), 1);
    assert!(!located[0].expunged);
    service.stop().await;
}

#[tokio::test]
async fn a_service_whose_store_fails_ends_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_owned();
    let service = TestService::start_with(|config| config.data_dir = data.clone()).await;
    service.create_account(ALICE, "secret").await;
    let mut mta = service.delivery(Role::Mta).await;
    mta.deliver(tokio_stream::once(delivery(&message::MessageId::new()))).await.unwrap();
    service.stop().await;
    crate::store::tests::crash::damage_body(dir.path(), crate::store::EmailId(1));

    let service = TestService::start_with(|config| config.data_dir = data.clone()).await;
    // What removes the account's messages meets the damage.
    let request = proto::mda::RemoveAccountRequest { address: ALICE.to_owned() };
    service.directory(Role::Operator).await.remove_account(request).await.unwrap();
    let reason = service.ended().await;
    assert!(matches!(reason, RunError::StoreFailed(_)), "{reason}");

    // And the next start mends it.
    TestService::start_with(|config| config.data_dir = data).await.stop().await;
}

#[tokio::test]
async fn a_listener_for_tls_needs_a_certificate() {
    let config = Config { tls: None, ..Config::default() };
    let refused = build(config, Registry::default(), &Reload::default()).await.err();
    assert!(
        matches!(refused, Some(BuildError::Config(ConfigProblem::NoCertificate("imaps")))),
        "{refused:?}"
    );
}
