//! Logging in and out.

use crate::cases::mail::lasting;
use crate::cases::{Bed, Case, Extent};
use crate::cost::Meter;
use crate::load::{Amount, Door, Imap, run};
use crate::report::{Figures, Point};
use crate::system::account;

/// Clients that connect, log in and log out, over and over.
pub(crate) struct Login;

impl Case for Login {
    fn name(&self) -> &'static str {
        "imap-login"
    }

    fn about(&self) -> &'static str {
        "connections over which a client logs in and out, in clear or with a full TLS handshake"
    }

    fn points(&self, _: Extent) -> Vec<Point> {
        let point = |clients, tls| Point::default().with("clients", clients).with("tls", tls);
        vec![point(1, 0), point(16, 0), point(16, 1)]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let doors = bed.system.doors();
        let door =
            if point.value("tls") == 1 { Door::tls(doors.imaps, &doors.ca) } else { Door::clear(doors.imap) };
        let mut clients: Vec<String> =
            (0..point.value("clients")).map(|number| account(number as u32 % bed.accounts)).collect();
        let amount = Amount { lasting: lasting(bed.extent) / 2, most: u64::MAX };
        let meter = Meter::start(bed.system);
        let logins = bed.block_on(async {
            run(&mut clients, amount, None, async |account, _| {
                Imap::log_in(&door, account).await?.log_out().await?;
                Ok(0)
            })
            .await
        })?;
        let cost = meter.stop();
        let figures = Figures::new(logins.operations, cost).rate("logins", logins.operations, logins.took);
        Ok(vec![figures.latency(&logins.latencies)])
    }
}
