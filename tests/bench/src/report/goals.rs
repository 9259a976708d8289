//! What Waypost set out to reach, and whether it does.

use super::results::{Results, Rounds, Setting};
use super::words::times;

/// A ratio that is to be reached wherever the case is measured.
struct Goal {
    case: &'static str,
    /// Only for messages of so many octets.
    size: Option<u64>,
    of: Of,
}

/// What is compared.
#[derive(Clone, Copy)]
enum Of {
    /// The rate is at least so many times the other's.
    Rate(f64),
    /// The CPU time for an operation is at most so much of the other's.
    Cpu(f64),
}

const fn rate(case: &'static str, size: Option<u64>, at_least: f64) -> Goal {
    Goal { case, size, of: Of::Rate(at_least) }
}

const fn cpu(case: &'static str, size: Option<u64>, at_most: f64) -> Goal {
    Goal { case, size, of: Of::Cpu(at_most) }
}

const GOALS: [Goal; 13] = [
    rate("inbound", Some(4 << 10), 10.0),
    cpu("inbound", Some(4 << 10), 0.1),
    rate("inbound", Some(64 << 10), 8.0),
    cpu("inbound", Some(64 << 10), 0.1),
    rate("relay", None, 8.0),
    rate("imap-login", None, 1.5),
    rate("imap-append", None, 1.5),
    rate("imap-mailbox", None, 1.5),
    rate("imap-sync", None, 1.5),
    rate("imap-idle", None, 1.5),
    // By rate it says little: Dovecot waits half a second on purpose.
    cpu("imap-idle", None, 1.0 / 1.5),
    rate("pop3", None, 1.5),
    rate("disk", None, 0.7),
];

/// Whether a goal is reached over one other system.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict {
    /// What is to be reached.
    pub(crate) goal: String,
    /// The system that ours is compared with.
    pub(crate) other: String,
    /// The ratio, where it is the worst.
    pub(crate) ratio: f64,
    /// Where that is.
    pub(crate) at: String,
    /// Whether it is reached there, and so everywhere.
    pub(crate) is_met: bool,
    /// At how many settings it is reached, and at how many it was measured.
    pub(crate) met: (usize, usize),
}

/// All goals of which there are figures, by case and by the other systems.
pub(crate) fn verdicts(results: &Results<'_>) -> Vec<Verdict> {
    GOALS.iter().flat_map(|goal| goal.verdicts(results)).collect()
}

impl Goal {
    fn verdicts(&self, results: &Results<'_>) -> Vec<Verdict> {
        let Some(case) = results.case(self.case) else { return Vec::new() };
        let settings: Vec<_> = case.settings.iter().filter(|setting| self.is_about(setting)).collect();
        let mut others: Vec<&str> =
            settings.iter().flat_map(|setting| setting.others()).map(|other| other.system).collect();
        others.sort_unstable();
        others.dedup();
        others.into_iter().filter_map(|other| self.verdict(&settings, other)).collect()
    }

    fn verdict(&self, settings: &[&Setting<'_>], other: &str) -> Option<Verdict> {
        let ratios = settings.iter().filter_map(|setting| {
            let theirs = setting.others().find(|rounds| rounds.system == other)?;
            Some((self.ratio(setting.ours()?, theirs)?, *setting))
        });
        let ratios: Vec<(f64, &Setting<'_>)> = ratios.collect();
        let met = ratios.iter().filter(|(ratio, _)| self.is_met(*ratio)).count();
        let measured = ratios.len();
        let worst = ratios
            .into_iter()
            .reduce(|worst, next| if self.is_worse(next.0, worst.0) { next } else { worst });
        let (ratio, setting) = worst?;
        let at = [setting.step, &setting.point.to_string()].join(" ").trim().to_owned();
        let (goal, other, is_met) = (self.told(), other.to_owned(), self.is_met(ratio));
        Some(Verdict { goal, other, ratio, at, is_met, met: (met, measured) })
    }

    fn is_about(&self, setting: &Setting<'_>) -> bool {
        self.size.is_none_or(|size| setting.point.value("size") == size)
    }

    fn ratio(&self, ours: Rounds<'_>, theirs: Rounds<'_>) -> Option<f64> {
        match self.of {
            Of::Rate(_) => ours.rate_over(theirs, theirs.rates().next()?.0),
            Of::Cpu(_) => ours.cpu_over(theirs),
        }
    }

    fn is_met(&self, ratio: f64) -> bool {
        match self.of {
            Of::Rate(at_least) => ratio >= at_least,
            Of::Cpu(at_most) => ratio <= at_most,
        }
    }

    fn is_worse(&self, ratio: f64, than: f64) -> bool {
        match self.of {
            Of::Rate(_) => ratio < than,
            Of::Cpu(_) => ratio > than,
        }
    }

    fn told(&self) -> String {
        let size = self.size.map(|size| format!(" of {}", super::words::octets(size))).unwrap_or_default();
        match self.of {
            Of::Rate(at_least) => format!("{}{size}: rate at least {}", self.case, times(at_least)),
            Of::Cpu(at_most) => format!("{}{size}: CPU time at most {}", self.case, times(at_most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::line;
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_worst_ratio() {
        let lines = [
            line("inbound", "Waypost", 4096, 1100, 0.5),
            line("inbound", "Postfix", 4096, 100, 10.0),
            line("inbound", "Waypost", 65536, 700, 2.0),
            line("inbound", "Postfix", 65536, 100, 10.0),
        ];
        let results = Results::of(&lines);
        let told: Vec<_> = verdicts(&results)
            .into_iter()
            .map(|verdict| (verdict.goal, verdict.ratio, verdict.is_met))
            .collect();
        assert_eq!(
            told,
            [
                ("inbound of 4 KiB: rate at least 10.0 ×".to_owned(), 11.0, true),
                ("inbound of 4 KiB: CPU time at most 0.100 ×".to_owned(), 0.05, true),
                ("inbound of 64 KiB: rate at least 8.00 ×".to_owned(), 7.0, false),
                ("inbound of 64 KiB: CPU time at most 0.100 ×".to_owned(), 0.2, false),
            ]
        );
    }

    #[test]
    fn a_goal_that_was_not_measured_has_no_verdict() {
        let lines = [line("pop3", "Waypost", 1, 10, 1.0), line("imap-login", "Dovecot", 1, 10, 1.0)];
        assert!(verdicts(&Results::of(&lines)).is_empty());
    }
}
