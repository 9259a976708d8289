use super::*;

const HOME: &str = "192.0.2.7";

fn config() -> PasswordsConfig {
    PasswordsConfig {
        failures_per_user: 3,
        failures_per_network: 6,
        failure_window: Duration::from_mins(1).into(),
        failure_delay: Duration::from_millis(100).into(),
        max_failure_delay: Duration::from_secs(1).into(),
        ..PasswordsConfig::default()
    }
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

#[test]
fn each_failure_of_a_user_costs_twice_the_one_before_up_to_a_bound() {
    let now = Instant::now();
    let mut throttle = Throttle::new(&config(), now);
    let costs: Vec<u128> = (0..6).map(|_| throttle.failed("bob", Some(ip(HOME)), now).as_millis()).collect();
    assert_eq!(costs, [100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn a_user_at_the_limit_is_refused_from_everywhere_until_a_failure_is_forgiven() {
    let now = Instant::now();
    let mut throttle = Throttle::new(&config(), now);
    for address in ["192.0.2.1", "198.51.100.1", "203.0.113.1"] {
        assert_eq!(throttle.check_user("bob", now), Ok(()));
        throttle.failed("bob", Some(ip(address)), now);
    }
    let wait = throttle.check_user("bob", now).expect_err("the third failure was the last");
    assert_eq!(wait, Duration::from_secs(20), "a third of the window forgives one of three");
    assert_eq!(throttle.check_user("alice", now), Ok(()));
    assert_eq!(throttle.check_user("bob", now + wait), Ok(()));
}

#[test]
fn a_network_at_the_limit_is_refused_whatever_user_it_tries() {
    let now = Instant::now();
    let mut throttle = Throttle::new(&config(), now);
    for user in 0..6 {
        assert_eq!(throttle.check_network(Some(ip(HOME)), now), Ok(()));
        throttle.failed(&format!("user{user}"), Some(ip(HOME)), now);
    }
    assert!(throttle.check_network(Some(ip("192.0.2.200")), now).is_err(), "the same /24");
    assert!(
        throttle.check_network(Some(ip("::ffff:192.0.2.200")), now).is_err(),
        "the same, mapped into IPv6"
    );
    assert_eq!(throttle.check_network(Some(ip("192.0.3.7")), now), Ok(()));
    assert_eq!(throttle.check_network(None, now), Ok(()));
}

#[test]
fn those_who_name_nobody_do_not_lock_out_each_other() {
    let now = Instant::now();
    let mut throttle = Throttle::new(&config(), now);
    for _ in 0..100 {
        throttle.failed("", Some(ip(HOME)), now);
    }
    assert!(throttle.check_user("", now).is_ok());
    assert!(throttle.check_network(Some(ip(HOME)), now).is_err());
}

#[test]
fn ipv6_networks_are_64_bits() {
    let now = Instant::now();
    let mut throttle = Throttle::new(&config(), now);
    for host in 0..6 {
        throttle.failed("bob", Some(ip(&format!("2001:db8:0:1::{host}"))), now);
    }
    assert!(throttle.check_network(Some(ip("2001:db8:0:1:ffff::1")), now).is_err());
    assert_eq!(throttle.check_network(Some(ip("2001:db8:0:2::1")), now), Ok(()));
}

#[test]
fn spraying_many_users_from_one_network_costs_more_and_more() {
    let now = Instant::now();
    let mut throttle = Throttle::new(&config(), now);
    let costs: Vec<u128> =
        (0..6).map(|user| throttle.failed(&format!("user{user}"), Some(ip(HOME)), now).as_millis()).collect();
    assert_eq!(costs, [100, 100, 200, 200, 400, 400]);
}

#[test]
fn the_table_stays_bounded_and_forgets_the_longest_untouched_first() {
    let now = Instant::now();
    let limit = Limit { failures: 3.0, window: Duration::from_mins(1) };
    let mut buckets = Buckets::new(limit.window, 10, now);
    for user in 0..1000 {
        buckets.fill(Key::User(user), limit, now);
        assert!(buckets.young.len() + buckets.old.len() <= 20);
    }
    assert!(buckets.level(Key::User(999), limit, now) > 0.0);
    assert!(buckets.level(Key::User(0), limit, now) == 0.0);
}

#[test]
fn what_is_long_past_is_dropped() {
    let now = Instant::now();
    let limit = Limit { failures: 3.0, window: Duration::from_mins(1) };
    let mut buckets = Buckets::new(limit.window, 10, now);
    buckets.fill(Key::User(1), limit, now);
    buckets.fill(Key::User(2), limit, now + limit.window);
    buckets.fill(Key::User(3), limit, now + 2 * limit.window);
    assert_eq!(buckets.young.len() + buckets.old.len(), 2);
}
