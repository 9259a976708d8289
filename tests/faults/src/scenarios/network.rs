//! Whatever the network between the services does: what got its 250 is in its mailboxes once, and everything flows again
//! soon after the network is sound.

use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::{Network, Pipeline, Proxy, Way};

use super::trial::Trial;
use crate::{Form, Outcome, Promise, Scenario};

pub(crate) const BETWEEN_SERVICES: Scenario = Scenario {
    name: "network",
    proves: "No acknowledged message is lost or comes twice, whatever the network between the services does",
    how: "Three proxies stand between MSA and MTA, MSA and MDA, MTA and MDA, and pass on what the services say under mutual \
          TLS. Six clients send mail for two mailboxes. At random moments one or two of the proxies cut all connections and \
          make no more, slow them to some kilobytes a second, hold what is sent one way and let it go on later, swallow \
          it, or reset each connection in mid-stream; for some seconds, and long enough now and then that probes and \
          deadlines end. Then the network is sound, and both doors have to take mail again: nobody restarts anything.",
    promises: &[Promise::Kept, Promise::Once, Promise::Bounded],
    run: between_services,
};

fn between_services(form: &Form) -> Outcome {
    let mut links = Vec::new();
    let mut trial = Trial::begin_with(form, |pipeline| links = put_between(pipeline));
    // Long enough, in the long form, that probes of connections find that nobody answers, and calls end.
    let longest = form.pick(Duration::from_secs(3), Duration::from_secs(20));
    let mut recoveries = Vec::new();
    for _ in 0..form.rounds(4, 100) {
        trial.go_on();
        fastrand::shuffle(&mut links);
        let hit = if fastrand::u8(..4) == 0 { 2 } else { 1 };
        for link in &links[..hit] {
            link.set(fault());
        }
        // How long it lasts: nothing waits for anything.
        thread::sleep(longest.mul_f32(fastrand::f32()));
        for link in &links[..hit] {
            link.set(Network::Sound);
        }
        let healed = Instant::now();
        trial.wait_until_mail_flows();
        recoveries.push(healed.elapsed());
        trial.count_round();
    }
    let mut outcome = trial.end();
    assert!(links.iter().all(|link| link.made() > 0), "a service found another way");
    let made: usize = links.iter().map(Proxy::made).sum();
    outcome.figure("connections that the services made over it", made);
    recoveries.sort();
    let [median, longest] =
        [recoveries.len() / 2, recoveries.len() - 1].map(|place| recoveries[place].as_secs_f64());
    outcome.figure(
        "from a sound network until both doors had taken ten messages",
        format!("median {median:.1} s, longest {longest:.1} s"),
    );
    outcome
}

/// Has the services talk over proxies from now on.
fn put_between(pipeline: &mut Pipeline) -> Vec<Proxy> {
    let links = [
        ("WAYPOST_MSA__MTA__ADDRESSES", "mta"),
        ("WAYPOST_MSA__DIRECTORY__ADDRESSES", "mda"),
        ("WAYPOST_MTA__MDA__ADDRESSES", "mda"),
    ];
    let links = links.map(|(variable, server)| (variable, Proxy::to(pipeline.address(server, "grpc"))));
    pipeline.down();
    for (variable, link) in &links {
        pipeline.set(variable, format!("[\"{}\"]", link.address()));
    }
    pipeline.up();
    links.map(|(_, link)| link).into()
}

fn fault() -> Network {
    let way = if fastrand::bool() { Way::There } else { Way::Back };
    match fastrand::u8(..5) {
        0 => Network::Cut,
        1 => Network::Slow {
            delay: Duration::from_millis(fastrand::u64(1..200)),
            rate: fastrand::u32(1_000..100_000),
        },
        2 => Network::Hold(way),
        3 => Network::Swallow(way),
        _ => Network::Reset { within: fastrand::usize(1..20_000) },
    }
}
