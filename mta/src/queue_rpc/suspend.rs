//! Suspensions: made durable first, then known to the order.

use message::Domain;
use proto::mta::suspension::Scope as Given;
use proto::mta::{self, Suspension as Asked};
use tonic::Status as RpcStatus;

use super::{QueueService, status};
use crate::clock;
use crate::spool::{MAX_SUSPENSION_TEXT, Scope, Suspension};

impl QueueService {
    pub(super) async fn begin_suspension(&self, asked: Option<Asked>) -> Result<(), RpcStatus> {
        let asked = asked.unwrap_or_default();
        let scope = scope(asked.scope)?;
        let suspension =
            Suspension { scope: scope.clone(), reason: asked.reason.as_str().into(), since: clock::now() };
        let service = self.clone();
        self.complete(async move {
            let _one = service.suspending.lock().await;
            service.spool.suspend(suspension).await.map_err(|error| status(&error))?;
            service.queue.suspend(&scope);
            tracing::info!(?scope, reason = asked.reason, "suspended");
            Ok(())
        })
        .await
    }

    pub(super) async fn end_suspension(&self, asked: Option<Asked>) -> Result<(), RpcStatus> {
        let scope = scope(asked.unwrap_or_default().scope)?;
        let service = self.clone();
        self.complete(async move {
            let _one = service.suspending.lock().await;
            if !service.spool.resume(scope.clone()).await.map_err(|error| status(&error))? {
                return Err(RpcStatus::not_found(format!("{} is not suspended", words(&scope))));
            }
            service.queue.resume(&scope);
            tracing::info!(?scope, "resumed");
            Ok(())
        })
        .await
    }
}

/// A suspension as it is shown.
pub(super) fn describe(suspension: &Suspension) -> mta::Suspension {
    let scope = match &suspension.scope {
        Scope::Site(name) => Given::Site(name.to_string()),
        Scope::Domain(name) => Given::Domain(name.to_string()),
        Scope::Account(name) => Given::Account(name.to_string()),
    };
    mta::Suspension {
        scope: Some(scope),
        reason: suspension.reason.to_string(),
        since: Some(clock::timestamp(suspension.since)),
    }
}

fn scope(given: Option<Given>) -> Result<Scope, RpcStatus> {
    let named = |what: &str, name: &str| {
        if name.is_empty() || name.len() > MAX_SUSPENSION_TEXT {
            let text = format!("suspension.{what}: must have 1 to {MAX_SUSPENSION_TEXT} octets");
            return Err(RpcStatus::invalid_argument(text));
        }
        Ok(())
    };
    match given {
        Some(Given::Site(name)) => named("site", &name).map(|()| Scope::Site(name.into())),
        Some(Given::Account(name)) => named("account", &name).map(|()| Scope::Account(name.into())),
        Some(Given::Domain(name)) => {
            named("domain", &name)?;
            let domain = Domain::parse(&name).map_err(|error| {
                RpcStatus::invalid_argument(format!("suspension.domain: {name:?} is no domain: {error}"))
            })?;
            Ok(Scope::Domain(domain.ascii().into()))
        }
        None => Err(RpcStatus::invalid_argument("suspension: names no site, domain or account")),
    }
}

fn words(scope: &Scope) -> String {
    match scope {
        Scope::Site(name) => format!("the site {name}"),
        Scope::Domain(name) => format!("the domain {name}"),
        Scope::Account(name) => format!("the account {name}"),
    }
}
