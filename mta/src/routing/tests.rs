use super::*;

fn rule(to: RouteTo) -> RouteConfig {
    let hosts = if to == RouteTo::Hosts { vec!["smart.example".to_owned()] } else { Vec::new() };
    RouteConfig { to, hosts, ..RouteConfig::default() }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn router(rules: &[RouteConfig]) -> Router {
    Router::new(rules).unwrap()
}

fn route(router: &Router, sender: Sender<'_>, domain: &str, is_mailbox: bool) -> Route {
    router.route(sender, &Domain::parse(domain).unwrap(), is_mailbox, None)
}

/// Where mail to a domain goes, in one word.
fn way(router: &Router, sender: Sender<'_>, domain: &str, is_mailbox: bool) -> String {
    match route(router, sender, domain, is_mailbox) {
        Route::Mda => "mda".into(),
        Route::Mx { domain, .. } => format!("mx {domain}"),
        Route::Hosts { hops, .. } => hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Route::Refuse(reply) => crate::reply::line(&reply),
    }
}

const NOBODY: Sender<'static> = Sender { reverse_path: "", account: "" };

fn problem(rule: RouteConfig) -> String {
    Router::new(&[rule]).unwrap_err().to_string()
}

#[test]
fn without_rules_mail_goes_to_the_mailbox_or_to_the_domains_mx() {
    let router = router(&[]);
    assert_eq!(way(&router, NOBODY, "Example.ORG", true), "mda");
    assert_eq!(way(&router, NOBODY, "Example.ORG", false), "mx example.org");
    assert_eq!(way(&router, NOBODY, "bücher.example", false), "mx xn--bcher-kva.example");
    assert_eq!(way(&router, NOBODY, "[192.0.2.1]", false), "mx [192.0.2.1]");
}

#[test]
fn the_first_rule_that_matches_decides() {
    let exact = RouteConfig { recipient_domain: list(&["a.example"]), ..rule(RouteTo::Refuse) };
    let all = rule(RouteTo::Hosts);
    let router = router(&[exact.clone(), all.clone(), exact]);
    assert_eq!(way(&router, NOBODY, "a.example", false), "550 5.7.1 mail for this recipient is refused");
    assert_eq!(way(&router, NOBODY, "b.example", false), "smart.example");
}

#[test]
fn a_dot_before_a_domain_means_what_is_below_it() {
    let below = RouteConfig { recipient_domain: list(&[".example.org"]), ..rule(RouteTo::Hosts) };
    let router = router(&[below]);
    assert_eq!(way(&router, NOBODY, "a.b.EXAMPLE.org", false), "smart.example");
    assert_eq!(way(&router, NOBODY, "example.org", false), "mx example.org");
    assert_eq!(way(&router, NOBODY, "notexample.org", false), "mx notexample.org");
}

#[test]
fn a_rule_asks_for_domain_sender_and_account_at_once() {
    let all = RouteConfig {
        recipient_domain: list(&["r.example"]),
        sender_domain: list(&["s.example", "<>"]),
        account: list(&["Alice@s.example"]),
        ..rule(RouteTo::Hosts)
    };
    let router = router(&[all]);
    let sender = |reverse_path, account| Sender { reverse_path, account };
    let to = |sender, domain| way(&router, sender, domain, false) == "smart.example";
    assert!(to(sender("x@S.example", "alice@s.example"), "r.example"));
    assert!(to(sender("", "alice@s.example"), "r.example"));
    assert!(!to(sender("x@other.example", "alice@s.example"), "r.example"));
    assert!(!to(sender("x@s.example", "bob@s.example"), "r.example"));
    assert!(!to(sender("x@s.example", ""), "r.example"));
    assert!(!to(sender("x@s.example", "alice@s.example"), "other.example"));
}

#[test]
fn a_star_is_any_account_and_not_mail_from_other_servers() {
    let router = router(&[RouteConfig { account: list(&["*"]), ..rule(RouteTo::Hosts) }]);
    let sender = Sender { reverse_path: "a@s.example", account: "a@s.example" };
    assert_eq!(way(&router, sender, "r.example", false), "smart.example");
    assert_eq!(way(&router, Sender { account: "", ..sender }, "r.example", false), "mx r.example");
}

#[test]
fn mailboxes_here_are_left_alone_by_rules_that_do_not_name_their_domain() {
    let all = rule(RouteTo::Hosts);
    assert_eq!(way(&router(std::slice::from_ref(&all)), NOBODY, "example.test", true), "mda");
    let named = RouteConfig { recipient_domain: list(&["example.test"]), ..all };
    assert_eq!(way(&router(&[named]), NOBODY, "example.test", true), "smart.example");
}

#[test]
fn an_operators_hop_goes_before_the_table_and_one_that_cannot_be_read_does_not_count() {
    let router = router(&[rule(RouteTo::Refuse)]);
    let domain = Domain::parse("r.example").unwrap();
    let Route::Hosts { hops, settings } = router.route(NOBODY, &domain, true, Some("[2001:db8::1]:2525"))
    else {
        panic!("not the hop");
    };
    assert_eq!(hops[0].to_string(), "[2001:db8::1]:2525");
    assert!(settings.is_plain());
    assert!(matches!(router.route(NOBODY, &domain, false, Some("no host")), Route::Refuse(_)));
}

#[test]
fn an_operators_hop_is_asked_for_the_tls_of_the_rule_and_not_told_its_password() {
    let login = RouteConfig {
        name: "smart".into(),
        username: "u".into(),
        password: "p".into(),
        ehlo: "out.example".into(),
        ..rule(RouteTo::Hosts)
    };
    let clear = RouteConfig { tls: RouteTls::None, ..rule(RouteTo::Hosts) };
    let domain = Domain::parse("r.example").unwrap();
    let settings =
        |rule: RouteConfig| match router(&[rule]).route(NOBODY, &domain, false, Some("192.0.2.1:25")) {
            Route::Hosts { settings, .. } => settings,
            route => panic!("{route:?}"),
        };
    let expected = RouteSettings {
        name: "smart, rerouted".into(),
        tls: TlsMode::Verified { names: Vec::new() },
        ..RouteSettings::default()
    };
    assert_eq!(*settings(login), expected);
    assert!(settings(clear).is_plain());
}

#[test]
fn the_mx_of_another_domain_and_the_mda_can_be_named() {
    let other = RouteConfig {
        recipient_domain: list(&["a.example"]),
        mx_of: "Bücher.example".into(),
        ..rule(RouteTo::Mx)
    };
    let router = router(&[other, rule(RouteTo::Mda)]);
    assert_eq!(way(&router, NOBODY, "a.example", false), "mx xn--bcher-kva.example");
    assert_eq!(way(&router, NOBODY, "b.example", false), "mda");
}

#[test]
fn a_refusal_says_what_was_configured() {
    let later = RouteConfig { code: Some(450), text: "come back tomorrow".into(), ..rule(RouteTo::Refuse) };
    assert_eq!(way(&router(&[later]), NOBODY, "a.example", false), "450 4.7.1 come back tomorrow");
    let named = RouteConfig { status: "5.1.10".into(), code: Some(556), ..rule(RouteTo::Refuse) };
    assert!(way(&router(&[named]), NOBODY, "a.example", false).starts_with("556 5.1.10 "));
}

#[test]
fn a_rules_settings_travel_with_the_route() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "secret word\n").unwrap();
    let config = RouteConfig {
        name: "partner".into(),
        hosts: list(&["a.example:587", "192.0.2.1"]),
        username: "user".into(),
        password_file: Some(file.clone()),
        source: vec!["192.0.2.9".parse().unwrap()],
        ehlo: "Out.example".into(),
        port: Some(26),
        ..rule(RouteTo::Hosts)
    };
    let router = router(std::slice::from_ref(&config));
    let Route::Hosts { hops, settings } = route(&router, NOBODY, "r.example", false) else {
        panic!("not the hosts");
    };
    assert_eq!(hops.iter().map(|hop| hop.port).collect::<Vec<_>>(), [Some(587), None]);
    assert_eq!(settings.name, "partner");
    assert_eq!(settings.tls, TlsMode::Verified { names: Vec::new() }, "anybody would be told the password");
    let credentials = settings.credentials.clone().unwrap();
    assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("user", "secret word"));
    assert!(!format!("{credentials:?}").contains("secret"));
    assert_eq!(settings.ehlo.as_ref().unwrap().ascii(), "out.example");
    let (four, six) = ("198.51.100.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    assert!(settings.reaches(four));
    assert_eq!(
        settings.sources_for(four).map(|source| source.to_string()).collect::<Vec<_>>(),
        ["192.0.2.9"]
    );
    assert!(!settings.reaches(six), "it would leave from another address");

    std::fs::write(&file, "another").unwrap();
    router.reload(&[config]).unwrap();
    let Route::Hosts { settings, .. } = route(&router, NOBODY, "r.example", false) else { panic!() };
    assert_eq!(settings.credentials.as_ref().unwrap().password, "another");
}

#[test]
fn a_password_goes_to_any_host_only_if_a_rule_says_so() {
    let login = RouteConfig { username: "u".into(), password: "p".into(), ..rule(RouteTo::Hosts) };
    let tls = |rule: RouteConfig| match route(&router(&[rule]), NOBODY, "r.example", false) {
        Route::Hosts { settings, .. } => settings.tls.clone(),
        route => panic!("{route:?}"),
    };
    let required = RouteConfig { tls: RouteTls::Required, ..login.clone() };
    assert_eq!(tls(required), TlsMode::Required);
    let named = RouteConfig { tls_names: list(&["mail.example"]), implicit_tls: true, ..login };
    assert_eq!(tls(named), TlsMode::Verified { names: vec![Domain::parse("mail.example").unwrap()] });
}

#[test]
fn a_table_that_cannot_be_read_leaves_the_old_one() {
    let router = router(&[rule(RouteTo::Hosts)]);
    assert!(router.reload(&[RouteConfig { to: RouteTo::Hosts, ..RouteConfig::default() }]).is_err());
    assert_eq!(way(&router, NOBODY, "r.example", false), "smart.example");
}

#[test]
fn whether_rules_ask_for_senders_is_known() {
    assert!(!router(&[rule(RouteTo::Hosts)]).asks_for_senders());
    let asking = RouteConfig { sender_domain: list(&["<>"]), ..rule(RouteTo::Hosts) };
    assert!(router(&[rule(RouteTo::Hosts), asking]).asks_for_senders());
}

#[test]
fn the_example_in_the_readme_is_a_table_that_does_what_it_says() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().unwrap();
    let (file, password) = (folder.path().join("mta.toml"), folder.path().join("password"));
    std::fs::write(&password, "secret").unwrap();
    let example: String = blocks.filter(|block| block.contains("[[route]]")).collect();
    let example = example.replace("/etc/waypost/smart-host.password", password.to_str().unwrap());
    std::fs::write(&file, example).unwrap();
    let config: crate::Config = service::config::load_with(&file, "mta", []).unwrap();
    let router = router(&config.route);
    for (reverse_path, domain, expected) in [
        ("", "mail.partner.example", "mx mail.partner.example"),
        ("", "closed.example", "550 5.7.1 closed.example has moved to open.example"),
        ("a@news.example.org", "any.example", "mx any.example"),
        ("", "any.example", "smart1.example:587 smart2.example:587"),
    ] {
        let sender = Sender { reverse_path, account: "" };
        assert_eq!(way(&router, sender, domain, false), expected);
    }
}

#[test]
fn fingerprints_are_read_as_openssl_prints_them() {
    let colons = format!("AB:{}", ["cd"; 31].join(":"));
    let fingerprint = Fingerprint::parse(&colons).unwrap();
    assert_eq!((fingerprint.0[0], fingerprint.0[31]), (0xab, 0xcd));
    assert_eq!(Fingerprint::parse(&colons.replace(':', "")), Some(fingerprint));
    assert_eq!(Fingerprint::parse(&colons[3..]), None);
    assert_eq!(Fingerprint::parse(&"xy".repeat(32)), None);
}

#[test]
fn a_rule_that_would_do_something_else_than_it_says_is_refused() {
    let smart = || rule(RouteTo::Hosts);
    let cases = [
        (RouteConfig { hosts: Vec::new(), ..smart() }, "to = \"hosts\" needs hosts"),
        (RouteConfig { hosts: list(&["a.example:0"]), ..smart() }, "hosts: \"a.example:0\" is not a host"),
        (RouteConfig { hosts: list(&["a b"]), ..smart() }, "hosts: \"a b\" is not a host"),
        (RouteConfig { to: RouteTo::Mx, ..smart() }, "hosts needs to = \"hosts\""),
        (RouteConfig { mx_of: "a.example".into(), ..smart() }, "mx_of needs to = \"mx\""),
        (RouteConfig { code: Some(550), ..smart() }, "code needs to = \"refuse\""),
        (RouteConfig { code: Some(250), ..rule(RouteTo::Refuse) }, "code must be between 400 and 599"),
        (RouteConfig { status: "4.7.1".into(), ..rule(RouteTo::Refuse) }, "status must be"),
        (RouteConfig { text: "a\nb".into(), ..rule(RouteTo::Refuse) }, "text must be one line"),
        (RouteConfig { tls: RouteTls::Required, ..rule(RouteTo::Mda) }, "tls needs to = \"mx\" or \"hosts\""),
        (RouteConfig { tls: RouteTls::Fingerprint, ..smart() }, "tls = \"fingerprint\" needs"),
        (RouteConfig { tls_names: list(&["a.example"]), ..smart() }, "tls_names needs tls = \"verified\""),
        (RouteConfig { implicit_tls: true, ..smart() }, "implicit_tls needs tls ="),
        (RouteConfig { username: "u".into(), ..smart() }, "username needs a password"),
        (RouteConfig { password: "p".into(), ..smart() }, "password needs username"),
        (RouteConfig { username: "u".into(), ..rule(RouteTo::Mx) }, "username needs to = \"hosts\""),
        (RouteConfig { port: Some(0), ..smart() }, "port must be at least 1"),
        (RouteConfig { source: vec!["0.0.0.0".parse().unwrap()], ..smart() }, "source: 0.0.0.0 is not"),
        (RouteConfig { ehlo: "a b".into(), ..smart() }, "ehlo: \"a b\": "),
        (RouteConfig { recipient_domain: list(&["*"]), ..smart() }, "recipient_domain: \"*\": "),
        (RouteConfig { sender_domain: list(&["a@b"]), ..smart() }, "sender_domain: \"a@b\": "),
        (
            RouteConfig { username: "u".into(), password_file: Some("/does/not/exist".into()), ..smart() },
            "cannot read password_file /does/not/exist: ",
        ),
    ];
    for (rule, said) in cases {
        let problem = problem(rule);
        assert!(problem.starts_with(&format!("[[route]] number 1: {said}")), "{problem}");
    }
    let twice = [RouteConfig { name: "x".into(), ..smart() }, RouteConfig { name: "x".into(), ..smart() }];
    let said = Router::new(&twice).unwrap_err().to_string();
    assert_eq!(said, "[[route]] number 2 (x): another rule has the same name");
}

#[test]
fn next_hops_are_read_as_people_write_them() {
    for (text, printed) in [
        ("Mail.Example:587", "mail.example:587"),
        ("mail.example", "mail.example"),
        ("192.0.2.1:25", "192.0.2.1:25"),
        ("[192.0.2.1]:25", "192.0.2.1:25"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[IPv6:2001:db8::1]:26", "[2001:db8::1]:26"),
    ] {
        assert_eq!(NextHop::parse(text).unwrap().to_string(), printed);
    }
    for text in ["", ":25", "a:", "a:+5", "a:65536", "[a]", "[::1]x:25", "a b:25", "[::1"] {
        assert!(NextHop::parse(text).is_err(), "{text}");
    }
}
