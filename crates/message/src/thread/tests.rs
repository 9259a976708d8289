use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// `id/references/subject` at dates that ascend.
fn messages(specs: &[&str]) -> Vec<Threadable> {
    specs
        .iter()
        .zip(0..)
        .map(|(spec, date)| {
            let mut parts = spec.split('/');
            let id = parts.next().unwrap_or_default();
            let references: Vec<String> =
                parts.next().unwrap_or_default().split_whitespace().map(|id| format!("<{id}@x>")).collect();
            let subject = parts.next().unwrap_or_default();
            let references = references.join("\r\n ");
            let block =
                format!("Message-ID: <{id}@x>\r\nReferences: {references}\r\nSubject: {subject}\r\n\r\n");
            Threadable::new(block.as_bytes(), date)
        })
        .collect()
}

/// As in a THREAD response, messages counted from 1; recurses, for tests only.
fn shown(messages: &[Threadable], algorithm: Algorithm) -> String {
    fn show(forest: &Forest, node: NodeId, text: &mut String) {
        if let Some(message) = forest.message(node) {
            let _ = write!(text, "{}", message + 1);
        }
        match forest.children(node) {
            [] => {}
            [only] => {
                text.push(' ');
                show(forest, *only, text);
            }
            several => {
                for child in several {
                    text.push('(');
                    show(forest, *child, text);
                    text.push(')');
                }
            }
        }
    }
    let forest = thread(messages, algorithm);
    let mut text = String::new();
    for root in forest.roots() {
        text.push('(');
        show(&forest, *root, &mut text);
        text.push(')');
    }
    text
}

fn references(specs: &[&str]) -> String {
    shown(&messages(specs), Algorithm::References)
}

#[test]
fn replies_hang_below_what_they_refer_to() {
    assert_eq!(references(&["a//A", "b/a/B", "c/a b/C", "d/a/D", "e//E"]), "(1(2 3)(4))(5)");
}

#[test]
fn what_is_missing_in_the_middle_is_passed_over() {
    assert_eq!(references(&["a//A", "c/a b/C"]), "(1 2)");
}

#[test]
fn a_missing_top_holds_its_replies_together() {
    assert_eq!(references(&["b/a/B", "c/a/C", "d//D"]), "((1)(2))(3)");
    assert_eq!(references(&["b/a/B"]), "(1)");
}

#[test]
fn replies_may_come_before_what_they_refer_to() {
    assert_eq!(references(&["c/a b/C", "b/a/B", "a//A"]), "(3 2 1)");
}

#[test]
fn what_a_message_says_of_itself_counts_more_than_what_others_say() {
    // c says that b came after a; b itself says it came after d.
    assert_eq!(references(&["a//A", "c/a b/C", "d//D", "b/d/B"]), "(1)(3 4 2)");
}

#[test]
fn loops_are_not_made() {
    assert_eq!(references(&["a/b/A", "b/a/B"]), "(2 1)");
    assert_eq!(references(&["a/a/A"]), "(1)");
    assert_eq!(
        references(&["a/b c/A", "b/c a/B", "c/a b/C"]).matches(|c: char| c.is_ascii_digit()).count(),
        3
    );
}

#[test]
fn of_two_messages_with_one_id_the_first_has_it() {
    assert_eq!(references(&["a//A", "a//B", "c/a/C"]), "(1 3)(2)");
}

#[test]
fn threads_of_one_subject_are_one() {
    // A reply without references goes below the message; two that are no replies stand side by side.
    assert_eq!(references(&["a//Lunch", "b//Re: lunch"]), "(1 2)");
    assert_eq!(references(&["b//Re: lunch", "a//Lunch"]), "(2 1)");
    assert_eq!(references(&["a//Lunch", "b//Lunch"]), "((1)(2))");
    assert_eq!(
        references(&["b/a/Lunch", "c/a/Lunch", "d//Lunch", "f/e/Lunch", "g/e/Lunch"]),
        "((1)(2)(3)(4)(5))"
    );
    assert_eq!(references(&["a//", "b//", "c//Re:"]), "(1)(2)(3)");
    assert_eq!(shown(&messages(&["a//Lunch", "b//Re: lunch"]), Algorithm::Refs), "(1)(2)");
}

#[test]
fn in_reply_to_stands_in_for_references() {
    let block = |text: &str| Threadable::new(text.as_bytes(), 0);
    let messages = [
        block("Message-ID: <\"a b\"@x>\r\n\r\n"),
        block("Message-ID: <b@x>\r\nIn-Reply-To: Your message <ab@x> of today\r\n\r\n"),
        block("References: none\r\nIn-Reply-To: <b@x>\r\n\r\n"),
    ];
    assert_eq!(shown(&messages, Algorithm::References), "(1 2 3)");
}

#[test]
fn threads_with_the_newest_message_come_last() {
    let messages = messages(&["a//A", "b//B", "c/a/C"]);
    assert_eq!(shown(&messages, Algorithm::References), "(1 3)(2)");
    assert_eq!(shown(&messages, Algorithm::Refs), "(2)(1 3)");
}

#[test]
fn by_subject_all_are_children_of_the_first() {
    let messages = messages(&["a//One", "b//two", "c/b/Re: one", "d//Fwd: ONE", "e//three"]);
    assert_eq!(shown(&messages, Algorithm::OrderedSubject), "(1(3)(4))(2)(5)");
}

#[test]
fn a_thread_may_be_as_deep_as_it_is_long() {
    let specs: Vec<String> = (0..20_000).map(|n: u32| format!("{n}/{}/x", n.wrapping_sub(1))).collect();
    let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
    let messages = messages(&specs);
    let forest = thread(&messages, Algorithm::References);
    assert_eq!(forest.top_down().iter().filter(|node| forest.message(**node).is_some()).count(), 20_000);
}

proptest! {
    #[test]
    fn every_message_is_there_once(
        specs in proptest::collection::vec((0..12_u8, proptest::collection::vec(0..12_u8, 0..4), 0..4_u8), 0..14)
    ) {
        let specs: Vec<String> = specs
            .iter()
            .map(|(id, references, subject)| {
                let references: Vec<String> = references.iter().map(u8::to_string).collect();
                let subject = ["", "a", "Re: a", "b"][usize::from(*subject)];
                format!("{id}/{}/{subject}", references.join(" "))
            })
            .collect();
        let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
        let messages = messages(&specs);
        for algorithm in [Algorithm::OrderedSubject, Algorithm::References, Algorithm::Refs] {
            let forest = thread(&messages, algorithm);
            let nodes = forest.top_down();
            let mut there: Vec<usize> = nodes.iter().filter_map(|node| forest.message(*node)).collect();
            there.sort_unstable();
            prop_assert_eq!(there, (0..messages.len()).collect::<Vec<_>>());
            // A node without a message is at the top only, and holds several.
            let dummies: Vec<_> = nodes.iter().filter(|node| forest.message(**node).is_none()).collect();
            for dummy in dummies {
                prop_assert!(forest.roots().contains(dummy) && forest.children(*dummy).len() > 1);
            }
        }
    }
}
