use super::*;

#[test]
fn ids_read_back_and_sort_by_age() {
    let ids: Vec<MessageId> = (0..1000).map(|_| MessageId::new()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    for id in ids {
        assert_eq!(MessageId::parse(&id.to_string()), Ok(id));
        assert_eq!(MessageId::parse(&id.to_string().to_uppercase()), Ok(id));
        assert_eq!(MessageId::from_bytes(*id.as_bytes()), Ok(id));
    }
}

#[test]
fn the_time_is_in_the_id() {
    let id = MessageId::parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").expect("the example of RFC 9562 §A.6");
    assert_eq!(id.timestamp(), "2022-02-22T19:22:22Z".parse().expect("a time"));
    let id = MessageId::parse("ffffffff-ffff-7fff-bfff-ffffffffffff").expect("version 7");
    assert!(id.timestamp() > Timestamp::UNIX_EPOCH);
}

#[test]
fn other_uuids_and_other_forms_are_refused() {
    for text in [
        "",
        "00000000-0000-0000-0000-000000000000",
        "919108f7-52d1-4320-9bac-f847db4148a8",
        "017f22e279b07cc398c4dc0c0c07398f",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e2-79b0-7cc3-d8c4-dc0c0c07398f",
    ] {
        assert_eq!(MessageId::parse(text), Err(MessageIdError), "{text:?}");
    }
}

#[test]
fn a_derived_id_is_the_same_each_time_and_another_for_another_purpose() {
    let id = MessageId::new();
    let derived = id.derived(b"team@example.test 0");
    assert_eq!(derived, id.derived(b"team@example.test 0"));
    assert_ne!(derived, id.derived(b"team@example.test 1"));
    assert_ne!(derived, MessageId::new().derived(b"team@example.test 0"));
    assert_eq!(derived.timestamp(), id.timestamp());
    assert_eq!(MessageId::parse(&derived.to_string()), Ok(derived));
}
