//! The short form of each scenario.

// A scenario fails by panicking, and tells its figures.
#![allow(clippy::print_stdout)]

use faults::{Form, SCENARIOS, run, scenario};

/// A test for each scenario, named after what it shows.
macro_rules! short_forms {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            run_short_form($name);
        })*

        #[test]
        fn each_scenario_has_its_test() {
            let tested = [$($name),*];
            for scenario in SCENARIOS {
                assert!(tested.contains(&scenario.name), "{} has none", scenario.name);
            }
        }
    };
}

short_forms! {
    no_acknowledged_message_is_lost_when_a_service_is_killed: "kill-any",
    no_acknowledged_message_is_lost_when_all_services_are_killed_at_once: "kill-all",
    relayed_mail_survives_a_killed_mta: "kill-mta",
    relayed_mail_survives_a_killed_mta_where_the_last_reply_is_cut_off_too: "kill-mta-cut",
    no_acknowledged_message_is_lost_whatever_the_network_does: "network",
    whatever_is_sent_to_a_listener_comes_to_an_end: "hostile",
    overload_ends_in_temporary_errors_and_leaves_nothing_slow_or_large: "overload",
    no_acknowledged_message_is_lost_when_a_service_dies_at_any_durable_step: "failpoints",
    mail_survives_a_disk_that_is_full_at_any_write: "disk-full",
    flipped_bits_are_told_and_the_rest_is_served: "bit-flips",
    ordinary_work_leaves_memory_disk_and_speed_as_they_were: "soak",
}

fn run_short_form(name: &str) {
    let Some(scenario) = scenario(name) else { panic!("there is no {name}") };
    let form = Form {
        is_long: false,
        rounds: None,
        duration: None,
        seed: fastrand::u64(..),
        program: env!("CARGO_BIN_EXE_faults").into(),
    };
    let run = run(scenario, &form);
    let outcome = run.outcome;
    println!("{outcome:#?}");
    assert!(outcome.is_right(), "seed {}: {}", form.seed, outcome.wrong.join("\n"));
}
