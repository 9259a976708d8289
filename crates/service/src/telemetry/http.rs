//! `/metrics`, `/healthz` and `/readyz`, over plain HTTP/1.1.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpStream;
use tracing::debug;

use crate::{
    config::HttpConfig,
    drain::Shutdown,
    listen::{ListenError, ListenMetrics, Listener, ListenerOptions},
};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A scraper and a few probes need no more.
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Tells whether the service is ready for work.
pub type Readiness = Arc<dyn Fn() -> bool + Send + Sync>;

/// A bound HTTP server.
#[derive(Debug)]
pub struct HttpServer(Listener);

impl HttpServer {
    /// Binds `config.listen`.
    pub fn bind(config: &HttpConfig, metrics: &ListenMetrics) -> Result<Self, ListenError> {
        let options = ListenerOptions {
            name: "http",
            max_connections: MAX_CONNECTIONS,
            max_per_network: None,
            busy_reply: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        };
        Listener::bind(config.listen, options, metrics.clone()).map(Self)
    }

    /// Where it listens, with the port that the kernel chose.
    pub fn local_address(&self) -> SocketAddr {
        self.0.local_address()
    }

    /// Serves until the shutdown starts. `/healthz` answers as long as the process runs, `/readyz` by `readiness`.
    pub async fn serve(self, registry: Arc<Registry>, readiness: Readiness, shutdown: &Shutdown) {
        let pages = Pages { registry, readiness };
        let stop = shutdown.clone();
        self.0
            .serve(shutdown, move |stream, peer| {
                let (pages, stop) = (pages.clone(), stop.clone());
                async move { serve_connection(stream, peer, pages, &stop).await }
            })
            .await;
    }
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, pages: Pages, shutdown: &Shutdown) {
    let service = service_fn(move |request: Request<Incoming>| {
        let pages = pages.clone();
        async move { Ok::<_, Infallible>(pages.respond(&request)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.started() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(%peer, %error, "HTTP connection failed");
    }
}

#[derive(Clone)]
struct Pages {
    registry: Arc<Registry>,
    readiness: Readiness,
}

impl Pages {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is served here\n");
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/healthz" => page(StatusCode::OK, TEXT, "alive\n"),
            "/readyz" if (self.readiness)() => page(StatusCode::OK, TEXT, "ready\n"),
            "/readyz" => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
            _ => page(StatusCode::NOT_FOUND, TEXT, "here are /metrics, /healthz and /readyz\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => page(StatusCode::OK, OPENMETRICS, text),
            Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics cannot be written\n"),
        }
    }
}

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
