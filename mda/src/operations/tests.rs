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

#[tokio::test]
async fn a_running_store_is_backed_up() {
    use proto::mda::{BackupRequest, backup_response::Response};
    let service = TestService::start().await;
    service.create_account("alice@example.test", "secret").await;
    let mut store = service.store(Role::Operator).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("backup").display().to_string();
    let mut answers = store.backup(BackupRequest { folder, link: false }).await.unwrap().into_inner();
    let mut report = None;
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(Response::Report(told)) = answer.response {
            report = Some(told);
        }
    }
    assert_eq!(report.unwrap().segments, 1);
    let to = crate::store::StoreConfig::new(dir.path().join("mail"));
    crate::store::restore(&dir.path().join("backup"), to.clone(), |_, _| ()).unwrap();
    let (restored, _) = crate::store::LocalStore::open(to).unwrap();
    crate::store::tests::assert_sound(&restored);
    let relative = store.backup(BackupRequest { folder: "backup".to_owned(), link: false }).await;
    assert_eq!(relative.unwrap_err().code(), tonic::Code::InvalidArgument);
    service.stop().await;
}
