use super::*;

#[test]
fn what_replies_and_forwards_add_is_taken_off() {
    for (subject, text, is_reply) in [
        ("Lunch", "Lunch", false),
        ("", "", false),
        ("Re: Lunch", "Lunch", true),
        ("RE:Fwd: fw : Lunch", "Lunch", true),
        ("Re [2]: Lunch", "Lunch", true),
        ("[list] Re: [list] Lunch", "Lunch", true),
        ("[list] [other] Lunch", "Lunch", false),
        ("[list]", "[list]", false),
        ("[list] Re:", "", true),
        ("Re:", "", true),
        ("Lunch (fwd)  (FWD) ", "Lunch", true),
        ("[Fwd: Re: Lunch (fwd)]", "Lunch", true),
        ("[Fwd: Lunch", "[Fwd: Lunch", false),
        ("Regarding: Lunch", "Regarding: Lunch", false),
        ("Re\tLunch", "Re Lunch", false),
        ("  a \t b\r\n  c ", "a b c", false),
        ("=?utf-8?q?Re=3A_Caf=C3=A9?=", "Café", true),
        ("[a[b] Lunch", "[a[b] Lunch", false),
        ("é", "é", false),
        ("[fwé", "[fwé", false),
    ] {
        assert_eq!(
            BaseSubject::of(subject.as_bytes()),
            BaseSubject { text: text.into(), is_reply },
            "{subject:?}"
        );
    }
}
