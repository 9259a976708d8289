//! Tables for a terminal.

use std::collections::BTreeMap;

use super::stats::Summary;
use super::table::Table;
use super::{Figures, Line, Measured, Point};

/// The rounds of each step at each point over each system.
type Rows<'a> = BTreeMap<(&'a Point, &'a str, &'a str), Vec<&'a Figures>>;

/// Prints all that the lines tell of.
pub(crate) fn print(lines: &[Line]) {
    let mut cases: BTreeMap<&str, Rows<'_>> = BTreeMap::new();
    for line in lines {
        let Line::Measured(Measured { case, point, system, figures, .. }) = line else { continue };
        let rounds = cases.entry(case).or_default();
        rounds.entry((point, &figures.step, system)).or_default().push(figures);
    }
    for (case, rows) in cases {
        let headline = ["STEP", "POINT", "SYSTEM", "RATE", "PER SECOND", "LEAST", "MOST", "CPU S/1,000"];
        let mut table = Table::new(headline.map(str::to_owned).to_vec(), 4);
        for ((point, step, system), rounds) in rows {
            for (number, rate) in rounds[0].rates.iter().enumerate() {
                let rates = rounds.iter().filter_map(|figures| figures.rates.get(number));
                let Some(summary) = Summary::of(rates.map(|rate| rate.per_second)) else { continue };
                let cpu = rounds
                    .iter()
                    .map(|figures| figures.cost.system_cpu() * 1000.0 / figures.operations as f64);
                let cpu = Summary::of(cpu).map_or(0.0, |summary| summary.median);
                let mut cells =
                    vec![step.to_owned(), point.to_string(), system.to_owned(), rate.what.clone()];
                let figures = [summary.median, summary.min, summary.max];
                cells.extend(figures.map(|figure| format!("{figure:.0}")));
                cells.push(format!("{cpu:.3}"));
                table.row(cells);
            }
        }
        println!("\n{case}\n{}", table.text());
    }
}

/// A number of a point as people read it: `size` is in octets.
pub(crate) fn shown(name: &str, value: u64) -> String {
    if name == "size" {
        return match value {
            octets if octets >= 1 << 20 && octets % (1 << 20) == 0 => format!("{} MiB", octets >> 20),
            octets if octets >= 1 << 10 && octets % (1 << 10) == 0 => format!("{} KiB", octets >> 10),
            octets => format!("{octets} octets"),
        };
    }
    value.to_string()
}
