//! Line charts as SVG, with colours for light and dark pages.

use std::fmt::Write as _;

use super::stats::Summary;
use super::words::figure;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Around the lines: room for the title and legend above, the figures at the axes, and their names.
const TOP: f64 = 70.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 62.0;
const LEFT: f64 = 82.0;

const STYLE: &str = "<style>
text { font: 13px system-ui, sans-serif; fill: #333 }
.title { font-size: 16px; font-weight: 600 }
.paper { fill: #fff }
.grid { stroke: #ddd; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5 }
.spread { stroke-width: 1.5 }
.s0 { stroke: #0b6bcb } .f0 { fill: #0b6bcb }
.s1 { stroke: #c8501e } .f1 { fill: #c8501e }
.s2 { stroke: #6b7a1e } .f2 { fill: #6b7a1e }
.s3 { stroke: #7d4bb0 } .f3 { fill: #7d4bb0 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd }
.paper { fill: #14171a }
.grid { stroke: #3a3f45 }
.s0 { stroke: #5ab0ff } .f0 { fill: #5ab0ff }
.s1 { stroke: #ff9566 } .f1 { fill: #ff9566 }
.s2 { stroke: #bdd05a } .f2 { fill: #bdd05a }
.s3 { stroke: #c69bf2 } .f3 { fill: #c69bf2 }
}
</style>
";
/// Lines that have a colour of their own.
const COLOURS: usize = 4;

/// A chart with logarithmic axes.
#[derive(Debug)]
pub(crate) struct Chart<'a> {
    /// What it shows.
    pub(crate) title: String,
    /// What the horizontal axis is of, and how its values are told.
    pub(crate) x: (&'a str, fn(f64) -> String),
    /// What the vertical axis is of.
    pub(crate) y: &'a str,
    /// The lines, by name.
    pub(crate) lines: Vec<(&'a str, Vec<Mark>)>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Where.
    pub(crate) x: f64,
    /// How much.
    pub(crate) y: Summary,
}

/// From the least to the most, both powers of ten or values of the axis.
#[derive(Clone, Copy)]
struct Scale {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Where a value is drawn.
    fn at(self, value: f64) -> f64 {
        let (least, most) = (self.least.ln(), self.most.ln());
        let share = (value.max(self.least).ln() - least) / (most - least);
        self.from + share * (self.to - self.from)
    }
}

impl Chart<'_> {
    /// The whole file. `None` if there is nothing to show.
    pub(crate) fn svg(&self) -> Option<String> {
        let marks = || self.lines.iter().flat_map(|(_, marks)| marks);
        let mut places: Vec<f64> = marks().map(|mark| mark.x.max(1.0)).collect();
        places.sort_unstable_by(f64::total_cmp);
        places.dedup();
        let (&first, &last) = (places.first()?, places.last()?);
        let low = marks().map(|mark| mark.y.min).filter(|&low| low > 0.0).reduce(f64::min)?;
        let high = marks().map(|mark| mark.y.max).reduce(f64::max)?;
        let x = Scale {
            least: first,
            most: last.max(first * 1.001),
            from: LEFT + 12.0,
            to: WIDTH - RIGHT - 12.0,
        };
        let (least, most) = (power_below(low), power_below(high * 9.999));
        let y = Scale { least, most: most.max(least * 10.0), from: HEIGHT - BOTTOM, to: TOP };

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{title}</title>\n{STYLE}<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"26\">{title}</text>\n",
            title = escaped(&self.title)
        );
        self.axes(&mut svg, &places, x, y);
        let mut place = LEFT;
        for (number, (name, marks)) in self.lines.iter().enumerate() {
            let colour = number % COLOURS;
            line(&mut svg, name, marks, colour, (x, y));
            let _ =
                writeln!(svg, "<circle class=\"f{colour}\" cx=\"{:.1}\" cy=\"46\" r=\"5\"/>", place + 5.0);
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"51\">{}</text>", place + 16.0, escaped(name));
            place += 40.0 + 7.2 * name.chars().count() as f64;
        }
        svg.push_str("</svg>\n");
        Some(svg)
    }

    fn axes(&self, svg: &mut String, places: &[f64], x: Scale, y: Scale) {
        let mut tick = y.least;
        while tick <= y.most * 1.001 {
            let at = y.at(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                figure_of_tick(tick)
            );
            tick *= 10.0;
        }
        for &place in places {
            let at = x.at(place);
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 22.0,
                escaped(&(self.x.1)(place))
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 16.0,
            escaped(self.x.0)
        );
        let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(20 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escaped(self.y)
        );
    }
}

/// One line, with a stroke at each mark from its least to its most.
fn line(svg: &mut String, name: &str, marks: &[Mark], colour: usize, (x, y): (Scale, Scale)) {
    let path: Vec<String> =
        marks.iter().map(|mark| format!("{:.1},{:.1}", x.at(mark.x), y.at(mark.y.median))).collect();
    let _ = writeln!(svg, "<polyline class=\"line s{colour}\" points=\"{}\"/>", path.join(" "));
    for mark in marks {
        let (at, median) = (x.at(mark.x), y.at(mark.y.median));
        let _ = writeln!(
            svg,
            "<line class=\"spread s{colour}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\n\
             <circle class=\"f{colour}\" cx=\"{at:.1}\" cy=\"{median:.1}\" r=\"4\"><title>{}: {}</title></circle>",
            y.at(mark.y.min),
            y.at(mark.y.max),
            escaped(name),
            figure(mark.y.median)
        );
    }
}

fn power_below(value: f64) -> f64 {
    10f64.powf(value.log10().floor())
}

/// A power of ten, without digits that say nothing.
fn figure_of_tick(tick: f64) -> String {
    if tick >= 0.999 {
        figure(tick).split('.').next().unwrap_or_default().to_owned()
    } else {
        format!("{tick:.3}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(x: f64, y: f64) -> Mark {
        Mark { x, y: Summary { median: y, min: y * 0.9, max: y * 1.1 } }
    }

    fn chart(lines: Vec<(&'static str, Vec<Mark>)>) -> Chart<'static> {
        let title = "Mail & <sizes>".to_owned();
        Chart { title, x: ("size", |x| format!("{x}")), y: "delivered a second", lines }
    }

    /// Each element that is opened is closed, in order, and all marks lie on the paper.
    #[test]
    fn a_chart_is_well_formed() {
        let lines = vec![
            ("Waypost", vec![mark(1024.0, 5000.0), mark(1e7, 90.0)]),
            ("Postfix", vec![mark(0.0, 200.0)]),
        ];
        let svg = chart(lines).svg().unwrap();
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').unwrap();
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{svg}");
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(svg.contains("Mail &amp; &lt;sizes&gt;"));
        let places =
            svg.split("cx=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse::<f64>().unwrap());
        assert!(places.into_iter().all(|place| (0.0..=WIDTH).contains(&place)), "{svg}");
    }

    #[test]
    fn of_nothing_there_is_no_chart() {
        assert!(chart(vec![("Waypost", Vec::new())]).svg().is_none());
    }
}
