use super::*;

const LIFETIME: Duration = Duration::from_mins(1);

fn login<'a>(password: &'a str, hash: &'a str, client: &str) -> Login<'a> {
    Login { account: "alice@example.test", password, hash, client: Some(client.parse().unwrap()) }
}

#[test]
fn it_holds_for_the_same_login_until_its_time_is_over() {
    let now = Instant::now();
    let mut remembered = Remembered::new(LIFETIME, now).unwrap();
    remembered.insert(&login("right", "hash", "192.0.2.1"), now);
    assert!(remembered.holds(&login("right", "hash", "192.0.2.1"), now));
    assert!(remembered.holds(&login("right", "hash", "192.0.2.99"), now), "the same network");
    assert!(!remembered.holds(&login("wrong", "hash", "192.0.2.1"), now));
    assert!(!remembered.holds(&login("right", "another hash", "192.0.2.1"), now));
    assert!(!remembered.holds(&login("right", "hash", "198.51.100.1"), now));
    assert!(!remembered.holds(&login("right", "hash", "192.0.2.1"), now + LIFETIME));
}

#[test]
fn accounts_passwords_and_hashes_do_not_run_together() {
    let now = Instant::now();
    let mut remembered = Remembered::new(LIFETIME, now).unwrap();
    remembered.insert(&login("ab", "c", "192.0.2.1"), now);
    assert!(!remembered.holds(&login("a", "bc", "192.0.2.1"), now));
}

#[test]
fn nothing_is_remembered_for_unknown_places_or_without_a_lifetime() {
    let now = Instant::now();
    let mut remembered = Remembered::new(LIFETIME, now).unwrap();
    let nowhere = || Login { client: None, ..login("right", "hash", "192.0.2.1") };
    remembered.insert(&nowhere(), now);
    assert!(!remembered.holds(&nowhere(), now));
    let mut never = Remembered::new(Duration::ZERO, now).unwrap();
    never.insert(&login("right", "hash", "192.0.2.1"), now);
    assert!(!never.holds(&login("right", "hash", "192.0.2.1"), now));
}

#[test]
fn memory_is_bounded() {
    let now = Instant::now();
    let mut remembered = Remembered::new(LIFETIME, now).unwrap();
    for account in 0..3 * MAX_ENTRIES {
        let account = account.to_string();
        remembered.insert(&Login { account: &account, ..login("right", "hash", "192.0.2.1") }, now);
    }
    assert!(remembered.young.len() + remembered.old.len() <= 2 * MAX_ENTRIES);
}
