//! Metrics of the process itself, read from /proc when they are asked for.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};

/// A service's registry: every name starts with `waypost_`, and the process' own metrics are there.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("waypost");
    registry.register_collector(Box::new(Process));
    registry
}

#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge =
            |name, help, unit: Option<&Unit>, value: Option<u64>| -> Result<(), std::fmt::Error> {
                let Some(value) = value.and_then(|value| i64::try_from(value).ok()) else { return Ok(()) };
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
            };
        gauge("process_resident_memory", "Memory in use", Some(&Unit::Bytes), resident_bytes())?;
        gauge("process_open_fds", "File descriptors in use", None, open_descriptors())
    }
}

/// The second field of statm is in pages.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn open_descriptors() -> Option<u64> {
    // One is the directory that is being read.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}
