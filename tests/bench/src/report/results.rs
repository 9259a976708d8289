//! All that was measured, the rounds of the same thing together.

use std::collections::{BTreeMap, BTreeSet};

use super::stats::Summary;
use super::{Failed, Figures, Line, Measured, Origin, Point};
use crate::cost::Cost;

/// What was built here, before what it is compared with.
const OURS: [&str; 2] = ["Waypost", "journal"];

/// The figures of some runs.
#[derive(Debug, Default)]
pub(crate) struct Results<'a> {
    /// Where the runs' figures come from, in their order.
    pub(crate) origins: Vec<&'a Origin>,
    /// Runs that came to their end.
    pub(crate) ended: usize,
    /// The cases, in the order in which they were measured first.
    pub(crate) cases: Vec<CaseResults<'a>>,
    /// What could not be measured.
    pub(crate) failed: Vec<&'a Failed>,
}

/// The figures of one case.
#[derive(Debug)]
pub(crate) struct CaseResults<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its steps at its points.
    pub(crate) settings: Vec<Setting<'a>>,
}

/// One step of a case at one point, over all systems.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    /// The step; empty where a case has only one.
    pub(crate) step: &'a str,
    /// The point.
    pub(crate) point: &'a Point,
    rounds: BTreeMap<&'a str, Vec<&'a Figures>>,
}

/// The rounds of one setting over one system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds<'a> {
    /// The system's name.
    pub(crate) system: &'a str,
    figures: &'a [&'a Figures],
}

impl<'a> Results<'a> {
    /// Of these lines.
    pub(crate) fn of(lines: &'a [Line]) -> Self {
        let mut results = Self::default();
        for line in lines {
            match line {
                Line::Origin(origin) => results.origins.push(origin),
                Line::Failed(failed) => results.failed.push(failed),
                Line::Measured(measured) => results.add(measured),
                Line::Ended => results.ended += 1,
            }
        }
        results
    }

    fn add(&mut self, measured: &'a Measured) {
        let Measured { case, point, system, figures, .. } = measured;
        let known = self.cases.iter().position(|known| known.name == case);
        let number = known.unwrap_or_else(|| {
            self.cases.push(CaseResults { name: case, settings: Vec::new() });
            self.cases.len() - 1
        });
        let settings = &mut self.cases[number].settings;
        let known = settings.iter().position(|known| known.step == figures.step && known.point == point);
        let number = known.unwrap_or_else(|| {
            settings.push(Setting { step: &figures.step, point, rounds: BTreeMap::new() });
            settings.len() - 1
        });
        settings[number].rounds.entry(system).or_default().push(figures);
    }

    /// The systems of which a cost is so in some round.
    pub(crate) fn systems_with(&self, is_so: impl Fn(&Cost) -> bool) -> Vec<&'a str> {
        let found = self.costs().filter(|(_, cost)| is_so(cost)).map(|(system, _)| system);
        found.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// How many costs are so.
    pub(crate) fn count(&self, is_so: impl Fn(&Cost) -> bool) -> u64 {
        self.costs().filter(|(_, cost)| is_so(cost)).count() as u64
    }

    /// Of all that was metered.
    fn costs(&self) -> impl Iterator<Item = (&'a str, &'a Cost)> {
        let settings = self.cases.iter().flat_map(|case| &case.settings);
        let rounds = settings.flat_map(|setting| &setting.rounds);
        let costs = rounds.flat_map(|(&system, all)| all.iter().map(move |figures| (system, &figures.cost)));
        costs.filter(|(_, cost)| cost.seconds > 0.0)
    }

    /// One of the cases.
    pub(crate) fn case(&self, name: &str) -> Option<&CaseResults<'a>> {
        self.cases.iter().find(|case| case.name == name)
    }
}

impl Setting<'_> {
    /// The systems, ours first.
    pub(crate) fn systems(&self) -> impl Iterator<Item = Rounds<'_>> {
        self.ours().into_iter().chain(self.others())
    }

    /// What was built here.
    pub(crate) fn ours(&self) -> Option<Rounds<'_>> {
        self.all().find(|rounds| rounds.is_ours())
    }

    /// What it is compared with.
    pub(crate) fn others(&self) -> impl Iterator<Item = Rounds<'_>> {
        self.all().filter(|rounds| !rounds.is_ours())
    }

    fn all(&self) -> impl Iterator<Item = Rounds<'_>> {
        self.rounds.iter().map(|(system, figures)| Rounds { system, figures })
    }
}

impl<'a> Rounds<'a> {
    fn is_ours(self) -> bool {
        OURS.contains(&self.system)
    }

    /// What rates there are; the first is the one that systems are compared by.
    pub(crate) fn rates(self) -> impl Iterator<Item = (&'a str, Summary)> {
        let kinds = self.figures.first().map(|figures| figures.rates.as_slice()).unwrap_or_default();
        kinds.iter().filter_map(move |kind| {
            let rates = self.figures.iter().flat_map(|figures| &figures.rates);
            let same = rates.filter(|rate| rate.what == kind.what).map(|rate| rate.per_second);
            Some((kind.what.as_str(), Summary::of(same)?))
        })
    }

    /// How many times the other's rate of something ours is, by the medians.
    pub(crate) fn rate_over(self, other: Rounds<'_>, what: &str) -> Option<f64> {
        Some(self.rate(what)? / other.rate(what)?)
    }

    fn rate(self, what: &str) -> Option<f64> {
        self.rates().find(|(name, _)| *name == what).map(|(_, summary)| summary.median)
    }

    /// How many times the other's CPU time for an operation ours is.
    pub(crate) fn cpu_over(self, other: Rounds<'_>) -> Option<f64> {
        Some(self.cpu()? / other.cpu()?)
    }

    /// The median of something in each round; `None` if no round has it.
    pub(crate) fn median(self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        Summary::of(self.figures.iter().filter_map(|figures| of(figures))).map(|summary| summary.median)
    }

    /// The median of some cost in each round for 1,000 operations; `None` of what needs no system.
    pub(crate) fn per_thousand(self, of: impl Fn(&Figures) -> f64) -> Option<f64> {
        self.median(|figures| {
            let is_metered = figures.operations > 0 && !figures.cost.cpu.is_empty();
            is_metered.then(|| of(figures) * 1000.0 / figures.operations as f64)
        })
    }

    /// CPU seconds of the system for 1,000 operations; `None` if there is none that was accounted.
    pub(crate) fn cpu(self) -> Option<f64> {
        self.per_thousand(|figures| figures.cost.system_cpu()).filter(|&seconds| seconds > 0.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A line of 1,000 operations: how many a second, and CPU seconds.
    pub(crate) fn line(case: &str, system: &str, size: u64, per_second: u64, cpu: f64) -> Line {
        let cost = Cost {
            cpu: BTreeMap::from([("all".to_owned(), cpu)]),
            peak_rss: 30 << 20,
            peak_pss: 10 << 20,
            flushes: 3,
            ..Cost::default()
        };
        let figures = Figures::new(1000, cost)
            .rate("delivered", per_second, Duration::from_secs(1))
            .latency(&[Duration::from_millis(2)]);
        Line::Measured(Measured {
            case: case.to_owned(),
            point: Point::default().with("size", size),
            system: system.to_owned(),
            round: 1,
            figures,
        })
    }

    #[test]
    fn rounds_of_the_same_are_one_figure() {
        let lines = [
            line("inbound", "Postfix", 4096, 90, 8.0),
            line("inbound", "Waypost", 4096, 1000, 0.5),
            line("inbound", "Waypost", 4096, 3000, 0.7),
            line("inbound", "Waypost", 65536, 500, 0.9),
        ];
        let results = Results::of(&lines);
        let case = results.case("inbound").unwrap();
        assert_eq!(case.settings.len(), 2);
        let small = &case.settings[0];
        assert_eq!(small.systems().map(|rounds| rounds.system).collect::<Vec<_>>(), ["Waypost", "Postfix"]);
        let ours = small.ours().unwrap();
        assert_eq!(
            ours.rates().next(),
            Some(("delivered", Summary { median: 2000.0, min: 1000.0, max: 3000.0 }))
        );
        assert_eq!(ours.cpu(), Some(0.6));
        assert!(case.settings[1].others().next().is_none());
    }
}
