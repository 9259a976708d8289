//! Who may call what.

use tonic::Code;

use super::node::{ENQUEUE, Running, channels, config, enqueue};
use crate::{grpc::server::Access, testing::Authority, tls::Role};

#[tokio::test]
async fn a_role_in_the_table_may_call_and_the_handler_knows_it() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    for role in [Role::Msa, Role::Mta] {
        let channels = channels(&authority, role, &[node.address.to_string()]);
        let receipt = enqueue(channels.pick().await.unwrap()).await.unwrap();
        assert_eq!(receipt.message_id, role.as_str());
    }
    node.kill().await;
}

#[tokio::test]
async fn any_other_role_is_permission_denied() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    for role in [Role::Mda, Role::Operator] {
        let channels = channels(&authority, role, &[node.address.to_string()]);
        let denied = enqueue(channels.pick().await.unwrap()).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
        assert!(denied.message().contains(role.as_str()), "{denied}");
        assert_eq!(crate::status::reply_for(&denied).code, 451, "a wrong set-up must not bounce mail");
    }
    node.kill().await;
}

#[tokio::test]
async fn what_the_table_does_not_list_cannot_be_called() {
    let authority = Authority::new();
    let access = Access::new([("/waypost.mta.v1.Transfer/Other", &Role::ALL[..])]);
    let listen = "127.0.0.1:0".parse().unwrap();
    let node = Running::start_with(&config(listen), "a", Some(authority.identity(Role::Mta)), access);
    let channels = channels(&authority, Role::Msa, &[node.address.to_string()]);
    let denied = enqueue(channels.pick().await.unwrap()).await.unwrap_err();
    assert_eq!(denied.code(), Code::Unimplemented);
    assert!(denied.message().contains(ENQUEUE), "{denied}");
    node.kill().await;
}
