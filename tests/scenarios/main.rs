//! What a user would say of the pipeline, one file a scenario. All of it over real processes, sockets and files.

mod a_message_reads_back_as_it_was_sent;
mod every_service_can_be_inspected;
mod layers;
mod the_readme_is_true;
mod up_tells_what_is_wrong;
mod what_must_be_refused_is_refused;

/// The operator's command.
const WAYPOST: &str = env!("CARGO_BIN_EXE_waypost-under-test");
