//! What MX records come to, without a name server.

use service::dns::Mx;

use crate::routing::NextHop;
use crate::site::exchanges::{Exchanges, order};

fn records(list: &[(u16, &str)]) -> Vec<Mx> {
    list.iter().map(|&(preference, name)| Mx { preference, exchange: name.into() }).collect()
}

fn of(groups: &[&[&str]]) -> Exchanges {
    let hop = |name: &&str| NextHop::parse(name).unwrap();
    Exchanges::Groups(groups.iter().map(|group| group.iter().map(hop).collect()).collect())
}

fn ordered(list: &[(u16, &str)], own: &str) -> Exchanges {
    order("domain.test", records(list), |name| name == own)
}

#[test]
fn lower_preferences_come_first_and_equal_ones_together() {
    let list = [(20, "c.test"), (10, "b.test"), (30, "d.test"), (10, "a.test")];
    assert_eq!(ordered(&list, ""), of(&[&["a.test", "b.test"], &["c.test"], &["d.test"]]));
}

#[test]
fn a_host_that_is_named_twice_counts_where_it_is_preferred() {
    let list = [(20, "a.test"), (10, "a.test"), (20, "b.test")];
    assert_eq!(ordered(&list, ""), of(&[&["a.test"], &["b.test"]]));
}

#[test]
fn without_records_the_domain_itself_is_its_mx() {
    assert_eq!(ordered(&[], ""), of(&[&["domain.test"]]));
}

#[test]
fn a_null_mx_takes_no_mail_unless_there_are_others() {
    assert_eq!(ordered(&[(0, "")], ""), Exchanges::Null);
    assert_eq!(ordered(&[(0, ""), (10, "a.test")], ""), of(&[&["a.test"]]));
}

#[test]
fn this_host_and_those_behind_it_are_left_out() {
    let list = [(10, "a.test"), (20, "me.test"), (20, "b.test"), (30, "c.test")];
    assert_eq!(ordered(&list, "me.test"), of(&[&["a.test"]]));
}

#[test]
fn this_host_as_the_best_mx_is_a_loop() {
    assert_eq!(ordered(&[(10, "me.test"), (20, "b.test")], "me.test"), Exchanges::Loop);
    assert_eq!(ordered(&[], "domain.test"), Exchanges::Loop);
}

#[test]
fn of_very_many_records_the_most_preferred_are_looked_at() {
    let many: Vec<Mx> =
        (0..500).rev().map(|n| Mx { preference: n, exchange: format!("h{n}.test") }).collect();
    let Exchanges::Groups(groups) = order("domain.test", many, |_| false) else { panic!("no hosts") };
    assert_eq!(groups.len(), 50);
    assert_eq!(groups[49][0].to_string(), "h49.test");
}
