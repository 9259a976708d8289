use service::config::HumanDuration;

use super::*;

fn table(config: &RetryConfig) -> Table {
    Table::new(config).unwrap()
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn rules(rules: &[RetryRuleConfig]) -> RetryConfig {
    RetryConfig { rule: rules.to_vec(), ..RetryConfig::default() }
}

#[test]
fn waits_double_up_to_the_longest() {
    let times = table(&RetryConfig { jitter: 0.0, ..RetryConfig::default() }).times;
    let minutes = |attempts| times.wait(attempts, 0.7).as_secs() / 60;
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(minutes), [5, 10, 20, 40, 80, 160, 240, 240, 240]);
}

#[test]
fn a_service_of_our_own_is_asked_again_soon() {
    let table = TimeTable::new(&RetryConfig { jitter: 0.0, ..RetryConfig::default() }).unwrap();
    assert_eq!([1, 2, 3, 99].map(|stalls| table.stall(stalls, 0.5).as_secs()), [1, 2, 4, 15]);
}

#[test]
fn jitter_stays_within_its_share() {
    let times = table(&RetryConfig::default()).times;
    for random in [0.0, 0.25, 0.5, 0.999_999] {
        let wait = times.wait(1, random).as_secs_f64();
        assert!((240.0..=360.0).contains(&wait), "{wait}");
    }
    assert_ne!(times.wait(1, 0.1), times.wait(1, 0.9));
}

#[test]
fn the_first_rule_that_matches_decides_and_leaves_the_rest_to_the_general_times() {
    let (hour, day) = (HumanDuration::from_hours(1), HumanDuration::from_days(1));
    let table = table(&rules(&[
        RetryRuleConfig { recipient_domain: list(&["exempt.example"]), ..RetryRuleConfig::default() },
        RetryRuleConfig {
            recipient_domain: list(&["slow.example", ".slow.example"]),
            account: list(&["Bulk@example.test"]),
            lifetime: Some(hour),
            ..RetryRuleConfig::default()
        },
        RetryRuleConfig { account: list(&["*"]), lifetime: Some(day), ..RetryRuleConfig::default() },
        RetryRuleConfig {
            recipient_domain: list(&["slow.example"]),
            first: Some(hour),
            bounce_lifetime: Some(hour),
            ..RetryRuleConfig::default()
        },
    ]));
    let general = table.times;
    let with = |lifetime: HumanDuration| Times { lifetime: *lifetime, ..general };
    for (account, address, expected) in [
        ("bulk@example.test", "a@slow.example", with(hour)),
        ("bulk@example.test", "a@very.SLOW.example", with(hour)),
        ("bulk@example.test", "a@notslow.example", with(day)),
        ("other@example.test", "a@slow.example", with(day)),
        ("other@example.test", "a@exempt.example", general),
        ("", "a@slow.example", Times { first: *hour, bounce_lifetime: *hour, ..general }),
        ("", "a@very.slow.example", general),
        ("", "no address", general),
    ] {
        assert_eq!(table.times(account, address), expected, "{account} {address}");
    }
}

#[test]
fn each_recipient_has_the_deadline_that_its_rule_says() {
    let envelope = |reverse_path: &str, domains: &[&str]| Envelope {
        reverse_path: reverse_path.into(),
        recipients: domains
            .iter()
            .map(|domain| proto::mail::Recipient { address: format!("a@{domain}"), ..Default::default() })
            .collect(),
        ..Envelope::default()
    };
    let short = RetryRuleConfig {
        recipient_domain: list(&["short.example"]),
        lifetime: Some(HumanDuration::from_hours(2)),
        bounce_lifetime: Some(HumanDuration::from_hours(1)),
        ..RetryRuleConfig::default()
    };
    let table = TimeTable::new(&rules(&[short])).unwrap();
    let hours = |envelope: Envelope| {
        let before = clock::now();
        let deadlines = match table.deadlines(&envelope) {
            Deadlines::All(at) => vec![at],
            Deadlines::Each(each) => each,
        };
        deadlines.into_iter().map(|at| (at - before) / 3_600_000).collect::<Vec<_>>()
    };
    assert_eq!(hours(envelope("a@example.test", &["short.example", "other.example"])), [2, 120]);
    assert_eq!(hours(envelope("", &["other.example", "short.example"])), [48, 1]);
    assert_eq!(hours(envelope("", &["short.example", "short.example"])), [1]);
}

#[test]
fn the_example_in_the_readme_is_a_table_that_does_what_it_says() {
    let readme = include_str!("../../../../README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mta.toml");
    std::fs::write(&file, blocks.filter(|block| block.contains("[[retry.rule]]")).collect::<String>())
        .unwrap();
    let config: crate::Config = service::config::load_with(&file, "mta", []).unwrap();
    config.validate().unwrap();
    let table = table(&config.retry);
    let minutes = |account, address| {
        let times = table.times(account, address);
        [times.wait(1, 0.5), times.wait(9, 0.5), times.lifetime(false), times.delay_after()]
            .map(|time| time.as_secs() / 60)
    };
    assert_eq!(minutes("", "a@x.partner.example"), [1, 30, 4 * 1_440, 60]);
    assert_eq!(minutes("news@example.org", "a@any.example"), [5, 240, 720, 240]);
    assert_eq!(config.outbound.sites.weights["shop@example.org"], 5);
}

#[test]
fn a_reload_that_is_of_no_use_changes_nothing() {
    let table = TimeTable::new(&RetryConfig { jitter: 0.0, ..RetryConfig::default() }).unwrap();
    let shared = table.clone();
    assert!(table.reload(&rules(&[RetryRuleConfig::default()])).is_err());
    assert_eq!(shared.stall(1, 0.5), Duration::from_secs(1));
    let other = RetryConfig { stall_first: HumanDuration::from_secs(2), ..RetryConfig::default() };
    table.reload(&other).unwrap();
    assert_eq!(shared.stall(1, 0.5), Duration::from_secs(2));
}

#[test]
fn a_table_that_could_not_be_kept_is_refused() {
    let domain = || RetryRuleConfig { recipient_domain: list(&["a.example"]), ..RetryRuleConfig::default() };
    let zero = HumanDuration::from_secs(0);
    let cases = [
        (RetryRuleConfig::default(), "it needs recipient_domain or account"),
        (RetryRuleConfig { account: list(&[""]), ..domain() }, "account: a name is empty"),
        (
            RetryRuleConfig { recipient_domain: list(&["a..b"]), ..RetryRuleConfig::default() },
            "recipient_domain: \"a..b\"",
        ),
        (RetryRuleConfig { jitter: Some(1.5), ..domain() }, "jitter must be between 0 and 1, and is 1.5"),
        (RetryRuleConfig { first: Some(zero), ..domain() }, "first must be longer than 0"),
        (
            RetryRuleConfig { first: Some(HumanDuration::from_hours(5)), ..domain() },
            "longest (4h) must not be shorter than first (5h)",
        ),
    ];
    for (rule, problem) in cases {
        let error = TimeTable::new(&rules(&[domain(), rule])).unwrap_err().to_string();
        assert!(error.starts_with(&format!("[[retry.rule]] number 2: {problem}")), "{error}");
    }
    let general = [
        (RetryConfig { jitter: f64::NAN, ..RetryConfig::default() }, "retry: jitter must"),
        (RetryConfig { first: zero, ..RetryConfig::default() }, "retry: first must"),
        (RetryConfig { stall_first: zero, ..RetryConfig::default() }, "retry: stall_first must"),
        (RetryConfig { stall_longest: zero, ..RetryConfig::default() }, "retry: stall_longest must"),
        (rules(&vec![domain(); 1_001]), "retry.rule: there are 1001 rules"),
    ];
    for (config, problem) in general {
        let error = TimeTable::new(&config).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{error}");
    }
}
