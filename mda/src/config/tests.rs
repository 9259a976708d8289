use super::*;

#[test]
fn the_printed_defaults_read_back() {
    let text = service::config::print(&Config::default()).unwrap();
    let config: Config = toml::from_str(&text).unwrap();
    assert_eq!(service::config::print(&config).unwrap(), text);
    assert!(text.contains("message_size = \"50MiB\""), "{text}");
}

#[test]
fn sections_fall_back_key_by_key_and_unknown_keys_are_errors() {
    let config: Config =
        toml::from_str("hostname = 'a.test'\n[limits]\nrecipients = 5\n[pop3]\nlisten = []").unwrap();
    assert_eq!(config.limits.recipients, 5);
    assert_eq!(config.limits.deliveries, Limits::default().deliveries);
    assert!(config.pop3.listen.is_empty());
    assert_eq!(config.imap, ListenConfig::everywhere(143));
    assert!(toml::from_str::<Config>("[limits]\nrecipient = 5").is_err());
    assert!(toml::from_str::<Config>("plaintext_auth = 'always'").is_err());
}

#[test]
fn only_capabilities_that_there_are_can_be_hidden() {
    let hiding = |name: &str| {
        let text =
            format!("[[imap_hide]]\ncapabilities = ['{name}']\nclient = 'Old*'\nnetworks = ['192.0.2.0/24']");
        let mut config: Config = toml::from_str(&text).unwrap();
        (config.imaps.listen, config.pop3s.listen) = (Vec::new(), Vec::new());
        config.validate()
    };
    assert_eq!(hiding("imap4rev1"), Err(ConfigProblem::Capability("imap4rev1".to_owned())));
    assert_eq!(hiding("NONSENSE"), Err(ConfigProblem::Capability("NONSENSE".to_owned())));
    assert_eq!(hiding("idle"), Ok(()));
}

#[test]
fn passwords_in_clear_stay_on_this_machine() {
    let peer = |address: &str| address.parse().unwrap();
    assert!(PlaintextAuth::Loopback.allows(false, peer("127.0.0.1:1")));
    assert!(PlaintextAuth::Loopback.allows(false, peer("[::1]:1")));
    assert!(PlaintextAuth::Loopback.allows(false, peer("[::ffff:127.0.0.1]:1")));
    assert!(!PlaintextAuth::Loopback.allows(false, peer("192.0.2.1:1")));
    assert!(!PlaintextAuth::Never.allows(false, peer("127.0.0.1:1")));
    assert!(PlaintextAuth::Never.allows(true, peer("192.0.2.1:1")));
}
