//! What an operator's tools read.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{
    config::{HttpConfig, LogFormat},
    drain::Shutdown,
    listen::ListenMetrics,
};

/// The whole answer to one request.
async fn get(address: std::net::SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_and_probes_are_served() {
    let mut registry = registry();
    let counter: Counter = Counter::default();
    registry.register("things", "Things done", counter.clone());
    counter.inc_by(3);
    let listening = ListenMetrics::register(&mut registry);
    let server = HttpServer::bind(&HttpConfig::default(), &listening).unwrap();
    let (address, shutdown, ready) =
        (server.local_address(), Shutdown::new(), Arc::new(AtomicBool::new(false)));
    let (stop, readiness) = (shutdown.clone(), ready.clone());
    let serving = tokio::spawn(async move {
        server.serve(Arc::new(registry), Arc::new(move || readiness.load(Ordering::Relaxed)), &stop).await;
    });

    let metrics = get(address, "GET", "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(metrics.contains("\nwaypost_things_total 3\n"), "{metrics}");
    assert!(metrics.contains("\nwaypost_connections_accepted_total{listener=\"http\"} 1\n"), "{metrics}");
    for name in ["waypost_process_resident_memory_bytes", "waypost_process_open_fds"] {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        assert!(value.is_some_and(|value| value > 0), "{name}: {metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");

    assert!(get(address, "GET", "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "GET", "/readyz").await.starts_with("HTTP/1.1 503"));
    ready.store(true, Ordering::Relaxed);
    assert!(get(address, "GET", "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "GET", "/else").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "POST", "/metrics").await.starts_with("HTTP/1.1 405"));

    shutdown.start();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written of two events.
fn written(directives: &str, format: LogFormat) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = log::subscriber(directives, format, false, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(message_id = "0190", "message accepted");
        tracing::debug!("detail");
    });
    String::from_utf8(lines.0.lock().clone()).unwrap()
}

#[test]
fn text_lines_are_plain_and_filtered_by_level() {
    let text = written("info", LogFormat::Text);
    assert!(text.contains("message accepted") && text.contains("message_id=\"0190\""), "{text}");
    assert!(!text.contains("detail") && !text.contains('\u{1b}'), "{text}");
    assert!(written("service=debug", LogFormat::Text).contains("detail"));
}

#[test]
fn json_lines_are_one_object_each() {
    let text = written("debug", LogFormat::Json);
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
    assert!(text.contains("\"message_id\":\"0190\""), "{text}");
}

#[test]
fn a_level_that_is_none_is_named() {
    let error = log::subscriber("info,x=loud", LogFormat::Text, false, io::sink).map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("cannot use log level `info,x=loud`: "), "{error}");
}
