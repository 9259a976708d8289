//! What a user would say of the pipeline, one file a scenario. All of it over real processes, sockets and files.

// A scenario fails by panicking, in its helpers too, and tells its figures.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stdout)]

mod a_hand_over_repeated_adds_nothing;
mod a_message_reads_back_as_it_was_sent;
mod a_trace_tells_the_whole_story;
mod an_operator_steers_the_queue;
mod every_service_can_be_inspected;
mod fuzzing_finds_nothing_new;
mod layers;
mod mail_goes_on_when_an_mta_node_dies;
mod mail_programs_work_all_day;
mod mail_reaches_whom_an_address_stands_for;
mod mail_survives_a_clock_that_jumps;
mod mail_survives_a_failing_disk;
mod other_mail_systems_exchange_mail_with_us;
mod people_log_in_in_many_ways;
mod the_readme_is_true;
mod up_tells_what_is_wrong;
mod what_must_be_refused_is_refused;

/// The operator's command.
const WAYPOST: &str = env!("CARGO_BIN_EXE_waypost-under-test");
