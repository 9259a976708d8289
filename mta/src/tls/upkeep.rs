//! What is done now and then for TLS policies: keeping what was learnt, learning it anew, reporting.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use service::drain::Shutdown;
use tls_policy::mta_sts;
use tokio::task::spawn_blocking;

use super::TlsPolicies;
use crate::intake::Intake;

/// How often what has changed is written to disk: what was learnt or counted since is lost in a crash.
const SAVE_EVERY: Duration = Duration::from_mins(1);
/// How often policies are looked at whether they have to be fetched again.
const REFRESH_EVERY: Duration = Duration::from_hours(1);
/// How often it is tried to send reports that are due.
const REPORT_EVERY: Duration = Duration::from_mins(30);

impl TlsPolicies {
    /// Does all of it until the shutdown starts. What is learnt while the queue ends is for the caller to
    /// [save](Self::save).
    pub(crate) async fn keep(self: Arc<Self>, intake: Arc<Intake>, shutdown: Shutdown) {
        tokio::select! {
            () = self.keep_saved() => {}
            () = self.keep_fresh() => {}
            () = self.keep_reporting(&intake) => {}
            () = shutdown.started() => {}
        }
    }

    async fn keep_saved(self: &Arc<Self>) {
        loop {
            tokio::time::sleep(SAVE_EVERY).await;
            let policies = Arc::clone(self);
            if let Err(error) = spawn_blocking(move || policies.save()).await {
                tracing::error!(%error, "saving TLS policies was interrupted");
            }
        }
    }

    /// Writes what has changed to disk; what cannot be written is tried again the next time. Blocks.
    pub(crate) fn save(&self) {
        let policies = self.sts.as_ref().map_or(Ok(()), mta_sts::Cache::save);
        let results = self.reporting.as_ref().map_or(Ok(()), |reporting| reporting.results.save());
        for (what, saved) in [("MTA-STS policies", policies), ("TLS results", results)] {
            if let Err(error) = saved {
                tracing::error!(what, %error, "cannot be saved");
            }
        }
    }

    async fn keep_fresh(&self) {
        let Some(sts) = &self.sts else { return std::future::pending().await };
        loop {
            // Nodes that were started together do not ask together.
            tokio::time::sleep(REFRESH_EVERY.mul_f64(0.5 + fastrand::f64())).await;
            sts.refresh(SystemTime::now()).await;
        }
    }

    async fn keep_reporting(&self, intake: &Arc<Intake>) {
        let Some(reporting) = &self.reporting else { return std::future::pending().await };
        loop {
            reporting.round(intake, SystemTime::now()).await;
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }
}
