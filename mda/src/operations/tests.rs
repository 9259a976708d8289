use proto::mda::{CheckRequest, check_response::Response};
use service::tls::Role;

use crate::testing::TestService;

#[tokio::test]
async fn a_running_store_tells_that_nothing_is_wrong() {
    let service = TestService::start().await;
    service.create_account("alice@example.test", "secret").await;
    let mut store = service.store(Role::Operator).await;
    let request = CheckRequest { bodies: true, rebuild: true };
    let mut answers = store.check(request).await.unwrap().into_inner();
    let (mut progress, mut report) = (0, None);
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.response.unwrap() {
            Response::Progress(_) => progress += 1,
            Response::Report(told) => report = Some(told),
        }
    }
    let report = report.unwrap();
    assert!(report.problems.is_empty() && report.found == 0, "{report:?}");
    assert_eq!((report.accounts, report.mailboxes), (1, 6));
    assert!(progress > 3);
    service.stop().await;
}
