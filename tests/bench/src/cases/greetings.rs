//! How fast connections are taken: the least that a server does.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::{Bed, Case, Extent};
use crate::cost::Meter;
use crate::report::{Figures, Point};

/// Connections to port 25 that are greeted and closed, one after the other.
pub(crate) struct Greetings;

impl Case for Greetings {
    fn name(&self) -> &'static str {
        "greetings"
    }

    fn about(&self) -> &'static str {
        "connections to port 25 that are greeted, one after the other"
    }

    fn points(&self, extent: Extent) -> Vec<Point> {
        let connections = if extent == Extent::Quick { 100 } else { 2_000 };
        vec![Point::default().with("connections", connections)]
    }

    fn run(&self, bed: &Bed<'_>, point: &Point) -> anyhow::Result<Vec<Figures>> {
        let (connections, began) = (point.value("connections"), Instant::now());
        let meter = Meter::start(bed.system);
        for _ in 0..connections {
            let connection = TcpStream::connect(bed.system.doors().smtp).context("cannot connect")?;
            connection.set_read_timeout(Some(bed.limit))?;
            let mut line = String::new();
            BufReader::new(connection).read_line(&mut line).context("is not greeted")?;
            ensure!(line.starts_with("220 "), "is greeted with {line}");
            ensure!(began.elapsed() < bed.limit, "not done within {} s", bed.limit.as_secs());
        }
        let cost = meter.stop();
        Ok(vec![Figures::new(connections, cost).rate("greeted", connections, began.elapsed())])
    }
}
