//! Benchmarks by CPU time: what a commit costs, whatever else the machine does meanwhile; and the messages that they store.

#![forbid(unsafe_code)]

mod messages;

use std::time::Duration;

use criterion::{
    Criterion,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use rustix::time::{ClockId, Timespec, clock_gettime};

pub use self::messages::messages;

/// Measures the CPU time of all threads of the process.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime;

/// A benchmark by CPU time that is configured by the command line. Changes under 3 % are taken for noise.
pub fn criterion() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime).noise_threshold(0.03).configure_from_args()
}

impl CpuTime {
    /// What the process has used since it began.
    pub fn used() -> Duration {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
        Duration::from_secs(tv_sec.unsigned_abs()) + Duration::from_nanos(tv_nsec.unsigned_abs())
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::used()
    }

    fn end(&self, started: Duration) -> Duration {
        Self::used().saturating_sub(started)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        static WALL_TIME: WallTime = WallTime;
        WALL_TIME.formatter()
    }
}
