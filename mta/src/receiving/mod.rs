//! Mail from other MTAs: what stands between port 25 and the intake.

mod session;

pub(crate) use session::{Inbound, Session};
