//! Who exists: the MDA's `Directory`, as the MSA and the MTA ask it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proto::mda::directory_client::DirectoryClient;
use proto::mda::{AuthenticateRequest, AuthenticateResponse, ResolutionKind, ResolveRequest};
use tonic::Status;

use crate::grpc::client::{Channels, Retry, Target};
use crate::tls::Role;

/// How long the directory's answer about an address is believed. Short: an account that was made a moment ago gets
/// mail, and one that was removed is refused by the MDA at the latest.
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
    answers: Mutex<HashMap<Box<str>, (Instant, Resolution)>>,
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A mailbox of ours.
    Mailbox,
    /// The domain is ours, the user does not exist.
    UnknownUser,
    /// The domain is not ours.
    Remote,
}

impl Directory {
    /// A client that asks over `channels`, made for [`TARGET`].
    pub fn new(channels: Channels) -> Self {
        Self { channels, answers: Mutex::default() }
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
        if let Some(known) = self.known(addresses) {
            return Ok(known);
        }
        let mut resolutions = Vec::with_capacity(addresses.len());
        for asked in addresses.chunks(ASKED_AT_ONCE) {
            for resolution in self.ask(asked).await? {
                resolutions.push(match resolution.kind() {
                    ResolutionKind::Mailbox => Resolution::Mailbox,
                    ResolutionKind::UnknownUser => Resolution::UnknownUser,
                    ResolutionKind::Remote => Resolution::Remote,
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
        self.remember(addresses, &resolutions);
        Ok(resolutions)
    }

    /// The account that gets the mail of `address`, if it is a mailbox of ours.
    ///
    /// # Errors
    /// The directory cannot be asked.
    pub async fn owner(&self, address: &str) -> Result<Option<String>, Status> {
        let found = self.ask(&[address]).await?.into_iter().next();
        Ok(found.filter(|found| found.kind() == ResolutionKind::Mailbox).map(|found| found.account))
    }

    async fn ask(&self, addresses: &[&str]) -> Result<Vec<proto::mda::Resolution>, Status> {
        let request = ResolveRequest { addresses: addresses.iter().map(|&address| address.into()).collect() };
        let call = |channel| {
            let request = request.clone();
            async move { DirectoryClient::new(channel).resolve(request).await }
        };
        Ok(self.channels.call(Retry::Idempotent, call).await?.into_inner().resolutions)
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
        let answer = self.channels.call(Retry::Idempotent, call).await?.into_inner();
        Ok(answer.authenticated.then_some(answer))
    }

    fn known(&self, addresses: &[&str]) -> Option<Vec<Resolution>> {
        let answers = self.answers.lock();
        let believed = |address: &&str| {
            answers.get(*address).filter(|(since, _)| since.elapsed() < BELIEVED).map(|(_, known)| *known)
        };
        addresses.iter().map(believed).collect()
    }

    fn remember(&self, addresses: &[&str], resolutions: &[Resolution]) {
        let mut answers = self.answers.lock();
        if answers.len() + addresses.len() > KEPT {
            answers.retain(|_, (since, _)| since.elapsed() < BELIEVED);
            if answers.len() + addresses.len() > KEPT {
                answers.clear();
            }
        }
        let now = Instant::now();
        for (address, resolution) in addresses.iter().zip(resolutions) {
            // That nobody is there is not remembered: whoever was just made can have mail at once.
            if *resolution != Resolution::UnknownUser {
                answers.insert((*address).into(), (now, *resolution));
            }
        }
    }
}
