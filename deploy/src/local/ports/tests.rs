use super::*;

fn port(services: &[Service], service: &str, listener: &str) -> u16 {
    let service = services.iter().find(|candidate| candidate.name == service).unwrap();
    service.listener(listener).unwrap().port()
}

#[test]
fn default_ports_are_the_protocols_own() {
    let services = plan(0, 1).unwrap();
    for (service, listener, expected) in [
        ("msa", "submission", 587),
        ("msa", "submissions", 465),
        ("msa", "grpc", 7587),
        ("msa", "http", 8587),
        ("mta", "smtp", 25),
        ("mta", "grpc", 7025),
        ("mta", "http", 8025),
        ("mda", "imap", 143),
        ("mda", "imaps", 993),
        ("mda", "pop3", 110),
        ("mda", "pop3s", 995),
        ("mda", "grpc", 7143),
        ("mda", "http", 8143),
    ] {
        assert_eq!(port(&services, service, listener), expected, "{service} {listener}");
    }
}

#[test]
fn the_offset_shifts_all_and_each_node_a_hundred_more() {
    let services = plan(10_000, 3).unwrap();
    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["msa", "mta", "mta1", "mta2", "mda"]);
    assert_eq!(port(&services, "msa", "submission"), 10_587);
    assert_eq!(port(&services, "mta", "smtp"), 10_025);
    assert_eq!(port(&services, "mta1", "smtp"), 10_125);
    assert_eq!(port(&services, "mta2", "grpc"), 17_225);
}

#[test]
fn no_two_listeners_share_a_port_with_as_many_nodes_as_are_allowed() {
    assert!(all_differ(&plan(10_000, MAX_MTA_NODES).unwrap()));
}

#[test]
fn the_limit_of_nodes_is_where_ports_would_meet() {
    let mut services = plan(0, MAX_MTA_NODES).unwrap();
    services.push(Service::new(Role::Mta, MAX_MTA_NODES, 0).unwrap());
    assert!(!all_differ(&services));
}

#[test]
fn a_port_above_the_last_is_refused_with_the_highest_offset_that_works() {
    let failure = plan(60_000, 1).unwrap_err().to_string();
    assert_eq!(
        failure,
        "--port-offset 60000 is too high: grpc of msa would listen on port 67587, and 65535 is the last \
         (use 57948 or less)"
    );
}

#[test]
fn the_highest_offset_fits() {
    assert!(plan(65_535 - 8587, 1).is_ok());
    assert!(plan(65_535 - 8587 + 1, 1).is_err());
}

#[test]
fn a_taken_port_is_named_with_its_service() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let service = Service { name: "mta1".into(), role: Role::Mta, listeners: vec![("smtp", address)] };
    assert_eq!(
        check_free(std::slice::from_ref(&service)).unwrap_err().to_string(),
        format!(
            "cannot use port {} for smtp of mta1: another program listens there \
             (stop that program, or choose other ports with --port-offset)",
            address.port()
        )
    );
    drop(taken);
    assert_eq!(check_free(&[service]), Ok(()));
}
