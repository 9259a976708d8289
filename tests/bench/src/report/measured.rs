//! The figures, and the lines of JSON that keep them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_tests::Machine;
use serde::{Deserialize, Serialize};

use crate::cost::Cost;

/// One line of a file of figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// What all that follows was measured of, and on what.
    #[serde(rename = "machine")]
    Origin(Origin),
    /// Some figures.
    Measured(Measured),
    /// A point of which there are none.
    Failed(Failed),
    /// Nothing was left to be measured. A run that was broken off ends without it.
    Ended,
}

/// Where figures come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// When the run began (RFC 3339, UTC).
    pub(crate) date: String,
    /// The commit that this program, and Waypost in it, was built from.
    pub(crate) commit: String,
    /// The other build of Waypost that was measured in place of the one in this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waypost: Option<PathBuf>,
    /// Whether it was only tried whether all of it works.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_quick: bool,
    /// How often each case was measured; 0 in files of before this was told.
    #[serde(default)]
    pub(crate) rounds: u32,
    /// Accounts that each system had; 0 in files of before this was told.
    #[serde(default)]
    pub(crate) accounts: u32,
    /// Whether it is built with optimisation.
    pub(crate) optimised: bool,
    /// What it ran on.
    #[serde(flatten)]
    pub(crate) machine: Machine,
    /// The disk with the mail, its file system and how that is mounted.
    pub(crate) disk: String,
    /// The versions of the programs that are measured beside Waypost.
    pub(crate) peers: Vec<String>,
}

impl Origin {
    /// What was built, and how it was run: alike in runs whose figures may be taken together.
    pub(crate) fn build(&self) -> String {
        let waypost = self.waypost.as_ref().map(|path| format!(", with {}", path.display()));
        [
            &*format!("commit {}", self.commit),
            waypost.as_deref().unwrap_or_default(),
            if self.optimised { "" } else { ", built without optimisation" },
            if self.is_quick { ", quick" } else { "" },
        ]
        .concat()
    }
}

/// One step of a case at one point, measured over one system in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The case's name.
    pub(crate) case: String,
    /// Where on the case's scales.
    pub(crate) point: Point,
    /// The system's name.
    pub(crate) system: String,
    /// The round, from 1 on.
    pub(crate) round: u32,
    /// What it came to.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// A point of which there are no figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The case's name.
    pub(crate) case: String,
    /// Where on the case's scales; none if the system could not be started.
    pub(crate) point: Option<Point>,
    /// The system's name.
    pub(crate) system: String,
    /// The round, from 1 on.
    pub(crate) round: u32,
    /// Why.
    pub(crate) reason: String,
}

/// Where on a case's scales something is measured: numbers by their names, such as `size` in octets, or `sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Point(BTreeMap<String, u64>);

impl Point {
    /// With a number more.
    pub(crate) fn with(mut self, name: &str, value: u64) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// One of its numbers; 0 if it has none of that name.
    pub(crate) fn value(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of its numbers.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, &value)| (name.as_str(), value))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.values().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {}", super::words::value(name, value))?;
        }
        Ok(())
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Which step of the case, if it has several: `append`, `fetch` …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) step: String,
    /// How often it was done: what costs are told of.
    pub(crate) operations: u64,
    /// How fast. Systems are compared by the first one.
    #[serde(default)]
    pub(crate) rates: Vec<Rate>,
    /// How long single ones took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Percentiles>,
    /// What that cost.
    pub(crate) cost: Cost,
}

impl Figures {
    /// Of so many operations.
    pub(crate) fn new(operations: u64, cost: Cost) -> Self {
        Self { operations, cost, ..Self::default() }
    }

    /// Of a step of the case.
    pub(crate) fn step(mut self, name: &str) -> Self {
        name.clone_into(&mut self.step);
        self
    }

    /// With a rate more: `count` of `what` in so long.
    pub(crate) fn rate(self, what: &str, count: u64, time: Duration) -> Self {
        self.rate_of(what, count as f64 / time.as_secs_f64())
    }

    /// With a rate more: so many of `what` in a second.
    pub(crate) fn rate_of(mut self, what: &str, per_second: f64) -> Self {
        self.rates.push(Rate { what: what.to_owned(), per_second });
        self
    }

    /// How many of `what` there were in a second.
    pub(crate) fn per_second(&self, what: &str) -> Option<f64> {
        self.rates.iter().find(|rate| rate.what == what).map(|rate| rate.per_second)
    }

    /// With how long single operations took.
    pub(crate) fn latency(mut self, latencies: &[Duration]) -> Self {
        self.latency = Percentiles::of(latencies);
        self
    }
}

/// How much of something was done in a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// Of what: `accepted`, `delivered` …
    pub(crate) what: String,
    /// How many a second.
    pub(crate) per_second: f64,
}

/// How long operations took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    /// Half took no longer.
    pub(crate) p50: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99: f64,
    /// 999 of 1,000 took no longer.
    pub(crate) p999: f64,
    /// The longest.
    pub(crate) max: f64,
}

impl Percentiles {
    /// `None` of no operation.
    pub(crate) fn of(latencies: &[Duration]) -> Option<Self> {
        let mut sorted = latencies.to_vec();
        sorted.sort_unstable();
        let longest = sorted.last()?;
        let milliseconds = |time: &Duration| time.as_secs_f64() * 1e3;
        // The smallest that so many of 1,000 do not exceed.
        let at = |per_mille: usize| milliseconds(&sorted[(sorted.len() * per_mille).div_ceil(1000) - 1]);
        Some(Self { p50: at(500), p99: at(990), p999: at(999), max: milliseconds(longest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let cost = Cost { seconds: 2.0, cpu: BTreeMap::from([("mta".to_owned(), 0.5)]), ..Cost::default() };
        let figures = Figures::new(100, cost)
            .step("append")
            .rate("accepted", 100, Duration::from_secs(2))
            .latency(&[Duration::from_millis(3)]);
        let point = Point::default().with("size", 4096).with("sessions", 32);
        Measured { case: "inbound".into(), point, system: "Waypost".into(), round: 2, figures }
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let failed = Failed {
            case: "relay".into(),
            point: None,
            system: "Waypost".into(),
            round: 1,
            reason: "no".into(),
        };
        let lines =
            [Line::Origin(Origin::default()), Line::Measured(measured()), Line::Failed(failed), Line::Ended];
        for line in lines {
            let text = serde_json::to_string(&line).unwrap();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        }
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let latencies: Vec<Duration> = (1..=1000).rev().map(Duration::from_millis).collect();
        let all = Percentiles::of(&latencies).unwrap();
        assert_eq!((all.p50, all.p99, all.p999, all.max), (500.0, 990.0, 999.0, 1000.0));
        let one = Percentiles::of(&latencies[..1]).unwrap();
        assert_eq!((one.p50, one.p999), (1000.0, 1000.0));
        assert_eq!(Percentiles::of(&[]), None);
    }

    #[test]
    fn a_point_is_told_in_words() {
        assert_eq!(measured().point.to_string(), "sessions 32, size 4 KiB");
    }
}
