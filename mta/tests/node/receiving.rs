//! Port 25, as other servers and those that are none see it.

mod aliases;
mod conduct;
mod early_talkers;
mod greylisting;
mod limits;
mod proxies;
mod reputation;
mod smuggling;
mod verification;
