use super::*;

#[test]
fn the_table_is_sorted_and_names_nothing_twice() {
    assert!(CAPABILITIES.windows(2).all(|two| two[0].name < two[1].name));
}

#[test]
fn what_is_hidden_instead_of_something_names_a_line_of_the_table() {
    for capability in CAPABILITIES {
        if let When::InsteadOf(other) = capability.when {
            assert!(place(other).is_some(), "{other}");
        }
    }
    assert!(can_be_hidden("idle") && !can_be_hidden("imap4rev1") && !can_be_hidden("X-UNKNOWN"));
}

#[test]
fn stars_stand_for_anything() {
    for (pattern, name, fits) in [
        ("Mail", "mail", true),
        ("Mail", "Mail 2", false),
        ("*", "", true),
        ("Mail*", "Mail 2", true),
        ("*mail*2", "com.example.Mail 3.2", true),
        ("*mail*2", "com.example.Mail 3.3", false),
        ("a*a", "a", false),
        ("1.*.3", "1.2.3", true),
    ] {
        assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
    }
}
