//! How figures change with a number: charts of the cases of growth.

use pipeline_tests::grouped;

use super::measured::Point;
use super::results::{CaseResults, Results};
use super::stats::Summary;
use super::svg::{Chart, Mark};
use super::words::octets;

/// The cases that have charts: by what, and how that is called.
const PLOTS: [(&str, &str, &str, &str); 4] = [
    ("growth-size", "size", "size of a message", "Mail to mailboxes, by size"),
    ("growth-sessions", "sessions", "sessions at a time", "Mail to mailboxes, by sessions"),
    ("growth-queue", "queued", "messages in the queue", "Mail to mailboxes, by length of the queue"),
    ("growth-mailbox", "messages", "messages in the mailbox", "A growing mailbox"),
];

/// A chart as a file.
#[derive(Debug)]
pub(crate) struct Plot {
    /// The file's name.
    pub(crate) file: String,
    /// What it shows.
    pub(crate) title: String,
    /// What is in it.
    pub(crate) svg: String,
}

/// All of which there are figures.
pub(crate) fn plots(results: &Results<'_>) -> Vec<Plot> {
    let mut plots = Vec::new();
    for (name, number, axis, title) in PLOTS {
        let Some(case) = results.case(name) else { continue };
        let mut steps: Vec<&str> = Vec::new();
        for setting in &case.settings {
            if !steps.contains(&setting.step) {
                steps.push(setting.step);
            }
        }
        plots.extend(steps.into_iter().filter_map(|step| plot(case, step, number, axis, title)));
    }
    plots
}

fn plot(case: &CaseResults<'_>, step: &str, number: &str, axis: &str, title: &str) -> Option<Plot> {
    let mut lines: Vec<(&str, Vec<Mark>)> = Vec::new();
    let mut what = "";
    for setting in case.settings.iter().filter(|setting| setting.step == step) {
        for rounds in setting.systems() {
            let Some((kind, summary)) = rounds.rates().next() else { continue };
            what = kind;
            let mark = mark(setting.point, number, summary);
            match lines.iter_mut().find(|(name, _)| *name == rounds.system) {
                Some((_, marks)) => marks.push(mark),
                None => lines.push((rounds.system, vec![mark])),
            }
        }
    }
    for (_, marks) in &mut lines {
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    let title = if step.is_empty() { title.to_owned() } else { format!("{title}: {step}") };
    let told: fn(f64) -> String = if number == "size" { |x| octets(whole(x)) } else { |x| grouped(whole(x)) };
    let chart = Chart { title: title.clone(), x: (axis, told), y: &format!("{what} a second"), lines };
    let file = format!("{} {step}", case.name).trim().replace(' ', "-") + ".svg";
    Some(Plot { file, title, svg: chart.svg()? })
}

fn mark(point: &Point, number: &str, y: Summary) -> Mark {
    Mark { x: point.value(number) as f64, y }
}

#[expect(clippy::cast_sign_loss, reason = "numbers of points are positive")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::line;
    use super::*;

    #[test]
    fn a_case_of_growth_has_a_chart_with_a_line_for_each_system() {
        let lines = [
            line("growth-size", "Waypost", 1024, 5000, 0.1),
            line("growth-size", "Waypost", 10 << 20, 50, 3.0),
            line("growth-size", "Postfix", 1024, 300, 5.0),
            line("inbound", "Waypost", 1024, 5000, 0.1),
        ];
        let plots = plots(&Results::of(&lines));
        assert_eq!(plots.iter().map(|plot| plot.file.as_str()).collect::<Vec<_>>(), ["growth-size.svg"]);
        let svg = &plots[0].svg;
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert!(svg.contains(">10 MiB<") && svg.contains("delivered a second"), "{svg}");
    }
}
