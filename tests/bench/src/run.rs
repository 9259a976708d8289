//! Measures the cases over the systems, in turns.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::cases::{self, BOUNDS, Bed, Bound, Case, Extent, Ground};
use crate::cli::Run;
use crate::interruption::Interruption;
use crate::origin;
use crate::report::{Failed, Line, Measured, Origin, Point, print, rate_of};
use crate::system::{self, Kind, Place, Template};

/// How long a point may take.
const LIMIT: Duration = Duration::from_mins(5);

/// Does it, and says how the program is to end. The error is that there is no result, or not all of it.
pub(crate) fn run(arguments: &Run) -> anyhow::Result<ExitCode> {
    let interruption = Interruption::watch()?;
    let ended = measure(arguments, &interruption);
    // All that was started is stopped by now.
    if let Some(status) = interruption.status() {
        eprintln!("bench: interrupted; all that it had started is stopped");
        return Ok(ExitCode::from(status));
    }
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Makes all that is needed, measures, and takes it away again.
fn measure(arguments: &Run, interruption: &Interruption) -> anyhow::Result<()> {
    let cases = chosen(&arguments.only)?;
    let extent = if arguments.quick { Extent::Quick } else { Extent::Whole };
    let dir = TempDir::with_prefix_in("bench-", system::checked(&arguments.dir)?)
        .context("cannot make a folder")?;
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let sink = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen")?;
    let accounts = arguments.accounts.unwrap_or(if arguments.quick { 20 } else { 1_000 });
    let place = Place { dir: dir.path().to_owned(), sink: sink.local_addr()?, accounts };
    let mut template = Template::new(arguments.waypost.as_ref())?;

    let mut record = Record::begin(&arguments.out)?;
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    record.add(Line::Origin(Origin {
        waypost: arguments.waypost.clone(),
        is_quick: arguments.quick,
        rounds,
        accounts,
        ..origin::of_now(dir.path(), &arguments.systems)
    }))?;
    if !cases.is_empty() && arguments.systems.contains(&Kind::Waypost) {
        eprintln!("makes {accounts} accounts");
        template.make_accounts(&place, interruption)?;
    }
    let programme = Programme {
        bounds: BOUNDS.iter().filter(|bound| wants(&arguments.only, bound.name)).collect(),
        cases,
        systems: &arguments.systems,
        rounds,
        extent,
        place,
        template,
        sink,
        interruption,
    };
    let ended = programme.measure(&mut record);
    eprintln!("the figures are in {}", record.path.display());
    ended?;
    record.add(Line::Ended)?;
    print(&record.lines);
    let failures = record.lines.iter().filter(|line| matches!(line, Line::Failed(_))).count();
    ensure!(failures == 0, "{failures} points could not be measured");
    Ok(())
}

/// All that is measured, and over what.
struct Programme<'a> {
    bounds: Vec<&'a Bound>,
    cases: Vec<Box<dyn Case>>,
    systems: &'a [Kind],
    rounds: u32,
    extent: Extent,
    place: Place,
    template: Template,
    sink: TcpListener,
    interruption: &'a Interruption,
}

impl Programme<'_> {
    /// Measures it until the run is asked to stop.
    fn measure(&self, record: &mut Record) -> anyhow::Result<()> {
        let rounds = self.rounds;
        for round in 1..=rounds {
            for bound in &self.bounds {
                self.interruption.check()?;
                match (bound.measure)(&self.ground(round)) {
                    Ok(all) => {
                        for measured in all {
                            tell((round, rounds), &measured);
                            record.add(Line::Measured(measured))?;
                        }
                    }
                    Err(error) => {
                        let (case, system) = (bound.name.to_owned(), "no mail system".to_owned());
                        let reason = format!("{error:#}");
                        self.failed(Failed { case, point: None, system, round, reason }, record)?;
                    }
                }
            }
            for case in &self.cases {
                for &kind in self.systems {
                    self.interruption.check()?;
                    Turn { programme: self, case: case.as_ref(), kind, round }.take(record)?;
                }
            }
        }
        Ok(())
    }

    /// Tells and notes what could not be measured, unless that is because the run was asked to stop.
    fn failed(&self, failed: Failed, record: &mut Record) -> anyhow::Result<()> {
        self.interruption.check()?;
        let at = failed.point.as_ref().map(|point| format!(" {point}")).unwrap_or_default();
        let Failed { case, system, round, reason, .. } = &failed;
        eprintln!("{round}/{} {case}{at}, {system}: {reason}", self.rounds);
        record.add(Line::Failed(failed))
    }

    fn ground(&self, round: u32) -> Ground<'_> {
        let Self { place, extent, interruption, .. } = self;
        Ground { dir: &place.dir, extent: *extent, round, limit: LIMIT, interruption }
    }
}

/// Whether what has this name is to be measured: without any names, everything is.
fn wants(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// The cases of these names; without any, all that need not be asked for.
fn chosen(names: &[String]) -> anyhow::Result<Vec<Box<dyn Case>>> {
    let mut all = cases::all();
    let known: Vec<_> = cases::catalogue().into_iter().map(|(name, _)| name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no case {unknown}; there are {}", known.join(", "));
    }
    all.retain(|case| wants(names, case.name()) && !(names.is_empty() && case.is_asked_for_only()));
    Ok(all)
}

/// Tells of figures as soon as they are there.
fn tell((round, rounds): (u32, u32), measured: &Measured) {
    let Measured { case, point, system, figures, .. } = measured;
    let rates: Vec<String> = figures.rates.iter().map(rate_of).collect();
    let step = if figures.step.is_empty() { String::new() } else { format!(" {}", figures.step) };
    eprintln!("{round}/{rounds} {case}{step} {point}, {system}: {}", rates.join(", "));
}

/// One case over one system in one round.
struct Turn<'a> {
    programme: &'a Programme<'a>,
    case: &'a dyn Case,
    kind: Kind,
    round: u32,
}

impl Turn<'_> {
    /// Measures all points. What fails is told and does not keep the others, unless the run was asked to stop.
    fn take(&self, record: &mut Record) -> anyhow::Result<()> {
        let Programme { place, template, sink, extent, interruption, .. } = self.programme;
        let (accounts, extent) = (place.accounts, *extent);
        let system = match self.kind.start(place, template) {
            Ok(system) => system,
            Err(error) => return self.failed(None, &error, record),
        };
        let bed = Bed { system: system.as_ref(), sink, accounts, extent, limit: LIMIT, interruption };
        for point in self.case.points(extent) {
            match self.case.run(&bed, &point) {
                Ok(all) => {
                    for figures in all {
                        let measured = Measured {
                            case: self.case.name().to_owned(),
                            point: point.clone(),
                            system: bed.system.name().to_owned(),
                            round: self.round,
                            figures,
                        };
                        tell((self.round, self.programme.rounds), &measured);
                        record.add(Line::Measured(measured))?;
                    }
                }
                Err(error) => {
                    let logs = format!("its files were in {}", bed.system.folder().display());
                    self.failed(Some(point), &error.context(logs), record)?;
                }
            }
        }
        Ok(())
    }

    fn failed(&self, point: Option<Point>, error: &anyhow::Error, record: &mut Record) -> anyhow::Result<()> {
        let (case, system) = (self.case.name().to_owned(), self.kind.name().to_owned());
        let (round, reason) = (self.round, format!("{error:#}"));
        self.programme.failed(Failed { case, point, system, round, reason }, record)
    }
}

/// The file of figures. Each line is in it as soon as there is one, so that a run which is broken off keeps what it had.
struct Record {
    path: PathBuf,
    file: BufWriter<File>,
    lines: Vec<Line>,
}

impl Record {
    fn begin(folder: &Path) -> anyhow::Result<Self> {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let path = folder.join(format!("{now}.jsonl"));
        let failed = || format!("cannot write {}", path.display());
        fs::create_dir_all(folder).with_context(failed)?;
        let file = BufWriter::new(File::create(&path).with_context(failed)?);
        Ok(Self { path, file, lines: Vec::new() })
    }

    fn add(&mut self, line: Line) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        serde_json::to_writer(&mut self.file, &line).with_context(failed)?;
        self.file.write_all(b"\n").and_then(|()| self.file.flush()).with_context(failed)?;
        self.lines.push(line);
        Ok(())
    }
}
