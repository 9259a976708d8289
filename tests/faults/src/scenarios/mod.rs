//! The scenarios, one file a kind of fault.

mod bit_flips;
mod disk_full;
mod failpoints;
mod guests;
mod hostile;
mod inboxes;
mod kill_any;
mod kill_mta;
mod network;
mod overload;
mod soak;
mod trial;
mod watch;

use crate::Scenario;

/// All of them.
pub const SCENARIOS: &[&Scenario] = &[
    &kill_any::AT_RANDOM_MOMENTS,
    &kill_any::ALL_AT_ONCE,
    &kill_mta::WHILE_RELAYING,
    &kill_mta::WITH_REPLIES_CUT_OFF,
    &network::BETWEEN_SERVICES,
    &hostile::AT_EVERY_LISTENER,
    &overload::TEN_TIMES,
    &failpoints::AT_NAMED_POINTS,
    &disk_full::AT_EVERY_WRITE,
    &bit_flips::IN_A_STOPPED_STORE,
    &soak::FOR_HOURS,
];

/// The one with this name.
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name).copied()
}
