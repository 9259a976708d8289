//! What a gRPC tool sees.

use std::collections::BTreeSet;

use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::node::{Running, TARGET, channels};
use crate::testing::Authority;
use crate::tls::Role;

const SERVED: [&str; 4] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    TARGET.service,
];

macro_rules! listed_services {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new($channel);
        let responses = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
        let response = responses.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = response.message_response else {
            panic!("not a list of services: {response:?}");
        };
        list.service.into_iter().map(|service| service.name).collect::<BTreeSet<_>>()
    }};
}

#[tokio::test]
async fn reflection_lists_what_is_served_and_nothing_else_in_both_versions() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    let channels = channels(&authority, Role::Mda, &[node.address.to_string()]);
    let v1 = listed_services!(v1, channels.pick().await.unwrap());
    let v1alpha = listed_services!(v1alpha, channels.pick().await.unwrap());
    let served = SERVED.map(str::to_owned).into();
    assert_eq!((&v1, &v1alpha), (&served, &served));
    node.kill().await;
}

#[tokio::test]
async fn health_is_per_service_and_open_to_every_role() {
    let authority = Authority::new();
    let node = Running::start("a", Some(authority.identity(Role::Mta)));
    let channels = channels(&authority, Role::Operator, &[node.address.to_string()]);
    let mut client = HealthClient::new(channels.pick().await.unwrap());
    let mut check = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        client.check(request).await.map(|response| response.into_inner().status())
    };

    assert_eq!(check("").await.unwrap(), ServingStatus::Serving);
    node.health.set_serving("", false);
    assert_eq!(check("").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check(TARGET.service).await.unwrap(), ServingStatus::Serving);
    node.health.set_all_serving(false);
    assert_eq!(check(TARGET.service).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check("waypost.nothing").await.unwrap_err().code(), Code::NotFound);
    node.kill().await;
}
