//! Who exists: the MDA's `Directory`, as the MSA and the MTA ask it.

mod answers;
mod sasl;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proto::mda::directory_client::DirectoryClient;
use proto::mda::{
    AuthenticateRequest, AuthenticateResponse, ListMechanismsRequest, ResolutionKind, ResolveRequest,
    SaslBegin, SaslClient,
};
use tonic::Status;

use self::answers::Answers;
pub use self::sasl::{SaslCall, SaslStep};
use crate::grpc::client::{Channels, Retry, Target};
use crate::tls::Role;

/// How long the directory's answer about an address is believed. Short: an account that was made a moment ago gets
/// mail, at once where its domain was ours before and else after this time; one that was removed is refused by the MDA at
/// the latest.
const BELIEVED: Duration = Duration::from_secs(5);
/// Addresses in one request; the directory takes no more.
const ASKED_AT_ONCE: usize = 1_000;
/// Answers kept.
const KEPT: usize = 65_536;

/// The directory's health decides whether it is called.
pub const TARGET: Target = Target { role: Role::Mda, service: "waypost.mda.v1.Directory" };

/// A client of the directory that remembers answers for some seconds.
#[derive(Debug)]
pub struct Directory {
    channels: Channels,
    answers: Mutex<Answers>,
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A mailbox of ours.
    Mailbox,
    /// One whose account has used up its quota: mail for it is put off.
    FullMailbox,
    /// The domain is ours, the user does not exist.
    UnknownUser,
    /// The domain is not ours.
    Remote,
    /// Others get its mail, as if they had been addressed.
    Alias,
    /// Others get its mail, from the list.
    List,
}

impl Resolution {
    /// It is a mailbox of ours, full or not.
    pub fn is_mailbox(self) -> bool {
        matches!(self, Self::Mailbox | Self::FullMailbox)
    }
}

/// Where the mail of an alias or a list goes in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// None of them an alias, each once; a list may be among those of an alias. Empty if it leads nowhere: in a circle,
    /// or too deep.
    pub targets: Vec<String>,
    /// Who gets the reports; `None` if it is no list.
    pub owner: Option<String>,
}

impl Directory {
    /// A client that asks over `channels`, made for [`TARGET`].
    pub fn new(channels: Channels) -> Self {
        Self { channels, answers: Mutex::new(Answers::new(BELIEVED, KEPT)) }
    }

    /// Whether the directory can be asked now.
    pub fn is_ready(&self) -> bool {
        self.channels.is_ready()
    }

    /// What each address is, in order.
    ///
    /// # Errors
    /// The directory cannot be asked. Nothing is known then: neither that a user exists nor that it does not.
    pub async fn resolve(&self, addresses: &[&str]) -> Result<Vec<Resolution>, Status> {
        if let Some(known) = self.answers.lock().get(addresses, Instant::now()) {
            return Ok(known);
        }
        let mut resolutions = Vec::with_capacity(addresses.len());
        for asked in addresses.chunks(ASKED_AT_ONCE) {
            for resolution in self.ask(asked, false).await? {
                resolutions.push(match resolution.kind() {
                    ResolutionKind::Mailbox if resolution.full => Resolution::FullMailbox,
                    ResolutionKind::Mailbox => Resolution::Mailbox,
                    ResolutionKind::UnknownUser => Resolution::UnknownUser,
                    ResolutionKind::Remote => Resolution::Remote,
                    ResolutionKind::Alias => Resolution::Alias,
                    ResolutionKind::List => Resolution::List,
                    ResolutionKind::Unspecified => {
                        let address = resolution.address;
                        return Err(Status::internal(format!("the directory said nothing about {address}")));
                    }
                });
            }
        }
        if resolutions.len() != addresses.len() {
            return Err(Status::internal("the directory did not answer for every address"));
        }
        self.answers.lock().put(addresses, &resolutions, Instant::now());
        Ok(resolutions)
    }

    /// The account that gets the mail of `address`, if it is a mailbox of ours.
    ///
    /// # Errors
    /// The directory cannot be asked.
    pub async fn owner(&self, address: &str) -> Result<Option<String>, Status> {
        let found = self.ask(&[address], false).await?.into_iter().next();
        Ok(found.filter(|found| found.kind() == ResolutionKind::Mailbox).map(|found| found.account))
    }

    /// Where the mail of `address` goes, if it is an alias or a list.
    ///
    /// # Errors
    /// The directory cannot be asked.
    pub async fn expand(&self, address: &str) -> Result<Option<Expansion>, Status> {
        let Some(found) = self.ask(&[address], true).await?.into_iter().next() else { return Ok(None) };
        Ok(match found.kind() {
            ResolutionKind::Alias => Some(Expansion { targets: found.targets, owner: None }),
            ResolutionKind::List => Some(Expansion { targets: found.targets, owner: Some(found.owner) }),
            _ => None,
        })
    }

    async fn ask(&self, addresses: &[&str], expand: bool) -> Result<Vec<proto::mda::Resolution>, Status> {
        let addresses = addresses.iter().map(|&address| address.into()).collect();
        let request = ResolveRequest { addresses, expand };
        let call = |channel| {
            let request = request.clone();
            async move { DirectoryClient::new(channel).resolve(request).await }
        };
        Ok(self.channels.call(Retry::Idempotent, call).await?.into_inner().resolutions)
    }

    /// Which SASL mechanisms a client can log in with, the strongest first.
    ///
    /// # Errors
    /// The directory cannot be asked.
    pub async fn mechanisms(&self, client: SaslClient) -> Result<Vec<String>, Status> {
        let call = |channel| {
            let request = ListMechanismsRequest { client: Some(client.clone()) };
            async move { DirectoryClient::new(channel).list_mechanisms(request).await }
        };
        Ok(self.channels.call(Retry::Idempotent, call).await?.into_inner().mechanisms)
    }

    /// Begins an exchange of a SASL mechanism.
    ///
    /// # Errors
    /// As the contract has them; otherwise the directory cannot be asked.
    pub async fn sasl(&self, begin: SaslBegin) -> Result<(SaslCall, SaslStep), Status> {
        SaslCall::begin(self.channels.pick().await?, begin).await
    }

    /// Checks a password. `Ok(None)`: the credentials are wrong.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`: too many wrong ones came from there. Anything else: the directory cannot be asked.
    pub async fn authenticate(
        &self,
        request: AuthenticateRequest,
    ) -> Result<Option<AuthenticateResponse>, Status> {
        let call = |channel| {
            let request = request.clone();
            async move { DirectoryClient::new(channel).authenticate(request).await }
        };
        // Asked once: a wrong password would count again, and a directory with too many logins would get more.
        let answer = self.channels.call(Retry::Never, call).await?.into_inner();
        Ok(answer.authenticated.then_some(answer))
    }
}
