//! What a service counts.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use crate::{Pipeline, Service};

/// The value of a metric, all its labels together; of one with certain labels if `name` has them too, such as
/// `waypost_mda_deliveries_total{outcome="delivered"}`. 0 if it was never counted.
///
/// # Errors
/// If the service does not answer.
pub fn metric(pipeline: &Pipeline, service: Service, name: &str) -> io::Result<u64> {
    let mut http = TcpStream::connect(pipeline.address(service, "http"))?;
    http.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    http.read_to_string(&mut text)?;
    let samples = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|behind| behind.starts_with([' ', '{'])));
    Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}
