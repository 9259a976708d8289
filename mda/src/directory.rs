//! `Directory`: who exists, and who is who.

use std::net::IpAddr;

use ::sasl::Mechanism;
use message::{Address, Domain};
use proto::mda::{
    Account, AddAppPasswordRequest, AddAppPasswordResponse, AddDomainRequest, AddDomainResponse,
    AuthenticateRequest, AuthenticateResponse, CreateAccountRequest, ListAccountsRequest,
    ListAccountsResponse, ListAliasesRequest, ListAliasesResponse, ListAppPasswordsRequest,
    ListAppPasswordsResponse, ListDomainsRequest, ListDomainsResponse, ListMechanismsRequest,
    ListMechanismsResponse, PutAliasRequest, PutAliasResponse, RemoveAccountRequest, RemoveAccountResponse,
    RemoveAliasRequest, RemoveAliasResponse, RemoveAppPasswordRequest, RemoveAppPasswordResponse, Resolution,
    ResolutionKind, ResolveRequest, ResolveResponse, SaslRequest, SaslResponse, SetDomainQuotaRequest,
    SetDomainQuotaResponse, SetPasswordRequest, SetPasswordResponse, SetQuotaRequest,
    directory_server::Directory,
};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use crate::{
    auth::{self, Authenticator, Client, MAX_PASSWORD},
    fulltext::FullText,
    metrics::{Metrics, Protocol},
    recipients::{self, Recipients, ResolveError},
    status::status,
    store::{self, MailStore, NewAccount, Password},
};

mod aliases;
mod app_passwords;
mod quotas;
mod sasl;
#[cfg(test)]
mod tests;

/// Accounts in one answer at most.
const MAX_PAGE: usize = 1000;

/// Addresses in one question at most.
const MAX_ADDRESSES: usize = 1000;

/// Answers for the store's accounts.
pub(crate) struct DirectoryService<S> {
    store: S,
    recipients: Recipients<S>,
    authenticator: Authenticator,
    metrics: Metrics,
    full_text: FullText,
}

impl<S: MailStore> DirectoryService<S> {
    pub(crate) fn new(
        store: S,
        recipients: Recipients<S>,
        authenticator: Authenticator,
        metrics: Metrics,
    ) -> Self {
        Self { store, recipients, authenticator, metrics, full_text: FullText::off() }
    }

    /// Forgets the words of accounts that are removed.
    pub(crate) fn searched_by(self, full_text: FullText) -> Self {
        Self { full_text, ..self }
    }

    fn resolve_one(&self, address: String, expand: bool) -> Result<Resolution, Status> {
        let failed = |error| match error {
            ResolveError::Address(error) => Status::invalid_argument(format!("address `{address}`: {error}")),
            ResolveError::Store(error) => status(&error),
        };
        let mut resolution = Resolution::default();
        let kind = match self.recipients.resolve(&address).map_err(failed)? {
            recipients::Resolution::Mailbox { account, .. } => {
                resolution.full = self.store.is_full(account.id).map_err(|error| status(&error))?;
                resolution.account = account.name;
                ResolutionKind::Mailbox
            }
            recipients::Resolution::Alias(alias) => {
                if expand {
                    resolution.targets = self.recipients.expand(&alias).map_err(failed)?;
                }
                let kind = if alias.owner.is_some() { ResolutionKind::List } else { ResolutionKind::Alias };
                resolution.owner = alias.owner.unwrap_or_default();
                kind
            }
            recipients::Resolution::UnknownUser => ResolutionKind::UnknownUser,
            recipients::Resolution::Remote => ResolutionKind::Remote,
        };
        Ok(Resolution { address, kind: kind.into(), ..resolution })
    }

    /// The account of exactly this name.
    fn account(&self, address: &str) -> Result<store::Account, Status> {
        let name = account_name(address)?.key();
        let account = self.store.account_by_address(&name).map_err(|error| status(&error))?;
        account
            .filter(|account| account.name == name)
            .ok_or_else(|| Status::not_found(format!("there is no account {name}")))
    }

    fn describe(&self, account: &store::Account) -> Result<Account, Status> {
        let store::QuotaStatus { own, limits, usage } =
            self.store.quota(account.id).map_err(|error| status(&error))?;
        Ok(Account {
            address: account.name.clone(),
            created_at: Some(timestamp(account.created_at)),
            messages: usage.messages,
            octets: usage.octets,
            quota: Some(quotas::told(own)),
            limits: Some(quotas::told(limits)),
        })
    }

    async fn password(&self, name: &str, password: &str, hash: &str) -> Result<Password, Status> {
        if !hash.is_empty() {
            if !password.is_empty() {
                return Err(Status::invalid_argument(
                    "a password and a hash of one: only one of them counts",
                ));
            }
            let hash = auth::import(hash).map_err(|error| Status::invalid_argument(error.to_string()))?;
            return Ok(Password { hash, scram: None });
        }
        if password.is_empty() {
            return Err(Status::invalid_argument("the password is empty"));
        }
        if password.len() > MAX_PASSWORD {
            return Err(Status::invalid_argument(format!(
                "the password is longer than {MAX_PASSWORD} octets"
            )));
        }
        if password.contains('\0') {
            return Err(Status::invalid_argument("the password holds a NUL, which no client could send"));
        }
        let made = self.authenticator.make_password(name, password).await;
        made.map_err(|error| Status::unavailable(error.to_string()))
    }
}

#[tonic::async_trait]
impl<S: MailStore> Directory for DirectoryService<S> {
    async fn resolve(&self, request: Request<ResolveRequest>) -> Result<Response<ResolveResponse>, Status> {
        let ResolveRequest { addresses, expand } = request.into_inner();
        if addresses.len() > MAX_ADDRESSES {
            return Err(Status::invalid_argument(format!("more than {MAX_ADDRESSES} addresses")));
        }
        let resolutions: Result<_, Status> =
            addresses.into_iter().map(|address| self.resolve_one(address, expand)).collect();
        Ok(Response::new(ResolveResponse { resolutions: resolutions? }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        let AuthenticateRequest { username, password, client_address } = request.into_inner();
        let client = Client { address: client_ip(&client_address)?, protocol: Protocol::Grpc, tls: None };
        let takes = |mechanism: &Mechanism| matches!(mechanism, Mechanism::Plain | Mechanism::Login);
        if !self.authenticator.mechanisms(&client).iter().any(takes) {
            return Err(Status::unimplemented("passwords are not taken as they are"));
        }
        let checked = self.authenticator.authenticate(&username, &password, &client).await;
        self.metrics.login(Protocol::Grpc, (&checked).into());
        let answer = match checked {
            Ok(account) => sasl::let_in(&self.recipients, account)?,
            Err(error) => sasl::refused(&error)?,
        };
        Ok(Response::new(answer))
    }

    async fn list_mechanisms(
        &self,
        request: Request<ListMechanismsRequest>,
    ) -> Result<Response<ListMechanismsResponse>, Status> {
        let client = sasl::client(request.into_inner().client)?;
        let mechanisms = self.authenticator.mechanisms(&client);
        let mechanisms = mechanisms.into_iter().map(|mechanism| mechanism.name().to_owned()).collect();
        Ok(Response::new(ListMechanismsResponse { mechanisms }))
    }

    async fn sasl(
        &self,
        request: Request<Streaming<SaslRequest>>,
    ) -> Result<Response<BoxStream<SaslResponse>>, Status> {
        let conversation = sasl::Conversation {
            authenticator: self.authenticator.clone(),
            recipients: self.recipients.clone(),
            metrics: self.metrics.clone(),
        };
        Ok(Response::new(Box::pin(conversation.begin(request.into_inner()))))
    }

    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<Account>, Status> {
        let CreateAccountRequest { address, password, password_hash } = request.into_inner();
        let address = account_name(&address)?;
        let name = address.key();
        if self.store.account_by_address(&name).map_err(|error| status(&error))?.is_some() {
            return Err(Status::already_exists(format!("there is an account {name} already")));
        }
        let password = self.password(&name, &password, &password_hash).await?;
        let domain = address.domain().ascii().to_owned();
        let account = self
            .store
            .create_account(NewAccount { name, password, domain })
            .await
            .map_err(|error| status(&error))?;
        self.recipients.account_created();
        tracing::info!(account = account.name, "account created");
        self.describe(&account).map(Response::new)
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let ListAccountsRequest { page_size, page_token } = request.into_inner();
        let limit = if page_size == 0 { MAX_PAGE } else { MAX_PAGE.min(page_size as usize) };
        // The token is the last name of the page before.
        let after = (!page_token.is_empty()).then_some(page_token.as_str());
        // One more, to know whether this is the last page.
        let mut accounts = self.store.accounts(after, limit + 1).map_err(|error| status(&error))?;
        let more = accounts.len() > limit;
        accounts.truncate(limit);
        let next_page_token = match accounts.last() {
            Some(last) if more => last.name.clone(),
            _ => String::new(),
        };
        let accounts: Result<_, Status> = accounts.iter().map(|account| self.describe(account)).collect();
        Ok(Response::new(ListAccountsResponse { accounts: accounts?, next_page_token }))
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let SetPasswordRequest { address, password, password_hash } = request.into_inner();
        let account = self.account(&address)?;
        let password = self.password(&account.name, &password, &password_hash).await?;
        self.store.set_password(account.id, password, None).await.map_err(|error| status(&error))?;
        self.authenticator.credentials_changed(account.id);
        tracing::info!(account = account.name, "password changed");
        Ok(Response::new(SetPasswordResponse {}))
    }

    async fn add_app_password(
        &self,
        request: Request<AddAppPasswordRequest>,
    ) -> Result<Response<AddAppPasswordResponse>, Status> {
        let AddAppPasswordRequest { address, name, protocols } = request.into_inner();
        let account = self.account(&address)?;
        let (name, protocols) = app_passwords::parse(&name, &protocols)?;
        let made = self.authenticator.make_app_password(&account, name, protocols).await;
        let (password, kept) = made.map_err(|error| Status::unavailable(error.to_string()))?;
        let name = kept.name.clone();
        self.store.add_app_password(account.id, kept).await.map_err(|error| status(&error))?;
        tracing::info!(account = account.name, name, "app password made");
        Ok(Response::new(AddAppPasswordResponse { password }))
    }

    async fn list_app_passwords(
        &self,
        request: Request<ListAppPasswordsRequest>,
    ) -> Result<Response<ListAppPasswordsResponse>, Status> {
        let account = self.account(&request.into_inner().address)?;
        let used = |name: &str| self.authenticator.app_password_last_used(account.id, name);
        let listed =
            account.app_passwords.iter().map(|known| app_passwords::describe(known, used(&known.name)));
        Ok(Response::new(ListAppPasswordsResponse { app_passwords: listed.collect() }))
    }

    async fn remove_app_password(
        &self,
        request: Request<RemoveAppPasswordRequest>,
    ) -> Result<Response<RemoveAppPasswordResponse>, Status> {
        let RemoveAppPasswordRequest { address, name } = request.into_inner();
        let account = self.account(&address)?;
        let name = name.trim().to_owned();
        let removed = self.store.remove_app_password(account.id, name.clone()).await;
        if !removed.map_err(|error| status(&error))? {
            return Err(Status::not_found(format!("{} has no app password `{name}`", account.name)));
        }
        self.authenticator.app_password_removed(account.id, &name);
        tracing::info!(account = account.name, name, "app password removed");
        Ok(Response::new(RemoveAppPasswordResponse {}))
    }

    async fn remove_account(
        &self,
        request: Request<RemoveAccountRequest>,
    ) -> Result<Response<RemoveAccountResponse>, Status> {
        let account = self.account(&request.into_inner().address)?;
        self.store.remove_account(account.id).await.map_err(|error| status(&error))?;
        // At once: who calls may not wait for the rest.
        self.authenticator.credentials_changed(account.id);
        tracing::info!(account = account.name, "account removed");
        self.full_text.forget(account.id).await;
        Ok(Response::new(RemoveAccountResponse {}))
    }

    async fn set_quota(&self, request: Request<SetQuotaRequest>) -> Result<Response<Account>, Status> {
        let SetQuotaRequest { address, quota } = request.into_inner();
        let account = self.account(&address)?;
        let quota = quotas::asked(quota.unwrap_or_default());
        let account = self.store.set_quota(account.id, quota).await.map_err(|error| status(&error))?;
        tracing::info!(account = account.name, ?quota, "quota set");
        self.describe(&account).map(Response::new)
    }

    async fn set_domain_quota(
        &self,
        request: Request<SetDomainQuotaRequest>,
    ) -> Result<Response<SetDomainQuotaResponse>, Status> {
        let SetDomainQuotaRequest { domain, quota } = request.into_inner();
        let domain = domain_name(&domain)?;
        let quota = quotas::asked(quota.unwrap_or_default());
        let name = domain.ascii().to_owned();
        self.store.set_domain_quota(name, quota).await.map_err(|error| status(&error))?;
        tracing::info!(domain = domain.ascii(), ?quota, "quota set");
        Ok(Response::new(SetDomainQuotaResponse {}))
    }

    async fn list_domains(
        &self,
        _request: Request<ListDomainsRequest>,
    ) -> Result<Response<ListDomainsResponse>, Status> {
        quotas::domains(&self.store).map(Response::new)
    }

    async fn add_domain(
        &self,
        request: Request<AddDomainRequest>,
    ) -> Result<Response<AddDomainResponse>, Status> {
        let domain = domain_name(&request.into_inner().domain)?;
        if domain.ip().is_some() {
            return Err(Status::invalid_argument("an address literal cannot be a local domain"));
        }
        self.store.add_domain(domain.ascii().to_owned()).await.map_err(|error| status(&error))?;
        tracing::info!(domain = domain.ascii(), "domain is local");
        Ok(Response::new(AddDomainResponse {}))
    }

    async fn put_alias(
        &self,
        request: Request<PutAliasRequest>,
    ) -> Result<Response<PutAliasResponse>, Status> {
        let alias = aliases::parse(request.into_inner().alias.unwrap_or_default(), &self.store)?;
        let (address, targets) = (alias.address.clone(), alias.targets.len());
        self.store.put_alias(alias).await.map_err(|error| status(&error))?;
        tracing::info!(address, targets, "alias made");
        Ok(Response::new(PutAliasResponse {}))
    }

    async fn remove_alias(
        &self,
        request: Request<RemoveAliasRequest>,
    ) -> Result<Response<RemoveAliasResponse>, Status> {
        let address = aliases::parse_address(&request.into_inner().address)?;
        self.store.remove_alias(address.clone()).await.map_err(|error| status(&error))?;
        tracing::info!(address, "alias removed");
        Ok(Response::new(RemoveAliasResponse {}))
    }

    async fn list_aliases(
        &self,
        request: Request<ListAliasesRequest>,
    ) -> Result<Response<ListAliasesResponse>, Status> {
        let ListAliasesRequest { page_size, page_token } = request.into_inner();
        aliases::page(&self.store, page_size, &page_token).map(Response::new)
    }
}

fn domain_name(text: &str) -> Result<Domain, Status> {
    Domain::parse(text).map_err(|error| Status::invalid_argument(format!("domain `{text}`: {error}")))
}

/// An address that can be an account's name: one that a client can also write in its folded form.
fn account_name(text: &str) -> Result<Address, Status> {
    let invalid =
        |reason: &dyn std::fmt::Display| Status::invalid_argument(format!("address `{text}`: {reason}"));
    let address = Address::parse(text).map_err(|error| invalid(&error))?;
    if address.domain().ip().is_some() {
        return Err(invalid(&"the domain of an account cannot be an address literal"));
    }
    if Address::parse(&address.key()).is_err() {
        return Err(invalid(&"the local part of an account cannot need quotes"));
    }
    Ok(address)
}

fn client_ip(text: &str) -> Result<Option<IpAddr>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse().map_err(|_| Status::invalid_argument("client_address is no IP address"))?;
    Ok(Some(parsed))
}

fn timestamp(time: jiff::Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}
