//! From started processes to a pipeline that takes mail: all serve, domains and accounts exist.

use std::time::Duration;

use proto::mda::directory_client::DirectoryClient;
use proto::mda::{AddDomainRequest, CreateAccountRequest};
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic::transport::Channel;

use super::Pipeline;
use super::wishes::WantedAccount;
use crate::failure::{Explain, Failure};
use crate::local::accounts_file::AccountsFile;
use crate::local::ports::{Role, Service};
use crate::pipeline::{self, Credentials, status};

/// How long all services together may take until they serve.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a service is asked until it does.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

/// Why a start ended.
#[derive(Debug)]
pub(super) struct Stopped {
    /// What the user is told.
    pub(super) failure: Failure,
    /// The service whose log tells more.
    pub(super) service: Option<String>,
}

impl Stopped {
    /// A service died.
    pub(super) fn by_death(service: String, reason: &str) -> Self {
        let failure = Failure::new(format!("cannot start {service}"), format!("it {reason}"));
        Self { failure, service: Some(service) }
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { failure, service: None }
    }
}

/// An account that exists now.
#[derive(Debug)]
pub(super) struct ReadyAccount {
    pub(super) address: String,
    pub(super) origin: Origin,
    /// The password, if it is known here.
    pub(super) password: Option<String>,
}

/// How the account came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Made now, with a generated password.
    Generated,
    /// Made now, with the user's password.
    Chosen,
    /// It was there already: its password is as it was.
    Found,
}

/// Waits until all services serve, then makes the domains and accounts.
pub(super) async fn run(pipeline: &Pipeline) -> Result<Vec<ReadyAccount>, Stopped> {
    let began = Instant::now();
    let credentials = Credentials::of_operator(&pipeline.layout);
    // The MDA first: the others are of little use without it, and say so only indirectly.
    for service in pipeline.services.iter().rev() {
        wait_until_serving(service, &credentials, began + PATIENCE).await?;
        pipeline.diary.note(format_args!("{service:<5} serves after {:.1} s", began.elapsed().as_secs_f32()));
    }
    Ok(make_accounts(pipeline, &credentials).await?)
}

async fn wait_until_serving(
    service: &Service,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<(), Stopped> {
    let address = grpc_address(service)?;
    let mut last = "no answer yet".to_owned();
    while Instant::now() < deadline {
        match tokio::time::timeout_at(deadline, pipeline::is_serving(&address, credentials)).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => "it answers, and is not ready".clone_into(&mut last),
            Ok(Err(failure)) => last = failure.to_string(),
            Err(_) => break,
        }
        sleep(BETWEEN_QUESTIONS).await;
    }
    let why = format!("it does not serve after {} s: {last}", PATIENCE.as_secs());
    let failure = Failure::new(format!("cannot start {service}"), why);
    Err(Stopped { failure, service: Some(service.name.clone()) })
}

async fn make_accounts(pipeline: &Pipeline, credentials: &Credentials) -> Result<Vec<ReadyAccount>, Failure> {
    let mda = pipeline.services.iter().find(|service| service.role == Role::Mda);
    let mda = mda.ok_or_else(|| Failure::new("cannot make accounts", "there is no MDA"))?;
    let mut directory = DirectoryClient::new(pipeline::channel(&grpc_address(mda)?, credentials).await?);
    for domain in &pipeline.wishes.domains {
        let request = AddDomainRequest { domain: domain.clone() };
        directory
            .add_domain(request)
            .await
            .map_err(|error| status(format!("cannot make the domain {domain}"), &error))?;
    }
    let kept = AccountsFile::new(pipeline.layout.accounts());
    let mut accounts = Vec::new();
    for wanted in &pipeline.wishes.accounts {
        accounts.push(make_account(&mut directory, &kept, wanted).await?);
    }
    Ok(accounts)
}

/// An account that exists keeps its password, whatever the flags say: `up` makes what is missing, no more.
async fn make_account(
    directory: &mut DirectoryClient<Channel>,
    kept: &AccountsFile,
    wanted: &WantedAccount,
) -> Result<ReadyAccount, Failure> {
    let address = wanted.address.clone();
    let cannot_keep = || format!("cannot use {}", kept.path().display());
    let request = CreateAccountRequest {
        address: address.clone(),
        password: wanted.password.clone(),
        ..CreateAccountRequest::default()
    };
    let before = kept.password(&address).explain(cannot_keep)?;
    if wanted.generated {
        // Before the account is made: otherwise it could be there with a password that nobody ever saw.
        kept.keep(&address, &wanted.password).explain(cannot_keep)?;
    }
    match directory.create_account(request).await {
        Ok(_) if wanted.generated => {
            Ok(ReadyAccount { address, origin: Origin::Generated, password: Some(wanted.password.clone()) })
        }
        Ok(_) => {
            // One that was kept belonged to an account that is gone.
            kept.forget(&address).explain(cannot_keep)?;
            Ok(ReadyAccount { address, origin: Origin::Chosen, password: Some(wanted.password.clone()) })
        }
        Err(error) if error.code() == Code::AlreadyExists => {
            match &before {
                Some(password) => kept.keep(&address, password).explain(cannot_keep)?,
                None => kept.forget(&address).explain(cannot_keep)?,
            }
            Ok(ReadyAccount { address, origin: Origin::Found, password: before })
        }
        Err(error) => Err(status(format!("cannot make the account {address}"), &error)),
    }
}

fn grpc_address(service: &Service) -> Result<String, Failure> {
    let address = service.listener("grpc");
    address
        .map(|address| address.to_string())
        .ok_or_else(|| Failure::new(format!("cannot reach {service}"), "it has no gRPC listener"))
}
