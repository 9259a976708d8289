//! A channel to the node that was picked.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::{Status, TimeoutExpired, body::Body, transport::Channel};
use tower::Service;

use super::member::Lease;

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// A channel to one node, for the generated clients: `TransferClient::new(channels.pick().await?)`.
///
/// Clones go to the same node. The node counts as busy until the last clone is dropped, so drop it after the call.
/// Every call has a deadline, which the node is told as well; a node that fails in transport is UNAVAILABLE, and
/// passed over by the next picks.
#[derive(Clone, Debug)]
pub struct PeerChannel {
    inner: Channel,
    lease: Arc<Lease>,
    deadline: Option<Duration>,
}

impl PeerChannel {
    pub(super) fn new(inner: Channel, lease: Lease, deadline: Duration) -> Self {
        Self { inner, lease: Arc::new(lease), deadline: Some(deadline) }
    }

    /// The node as configured: `host:port`.
    pub fn name(&self) -> &str {
        &self.lease.member().name
    }

    /// The address that the name stood for.
    pub fn address(&self) -> SocketAddr {
        self.lease.member().address
    }

    /// Sets the time that a call may take as a whole, its streams included, if the request itself sets none.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Lets calls take as long as they take. For streams that are open for ever, and for bodies whose sender sets the
    /// pace and has time limits of its own.
    pub fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// The deadline of this request, and tells the node about it.
    fn apply_deadline(&self, request: &mut Request<Body>) -> Option<Duration> {
        if let Some(value) = request.headers().get(GRPC_TIMEOUT) {
            return parse_timeout(value);
        }
        let deadline = self.deadline?;
        request.headers_mut().insert(GRPC_TIMEOUT, timeout_value(deadline)?);
        Some(deadline)
    }
}

impl Service<Request<Body>> for PeerChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(|error| failed(&self.lease, &error))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let ends = self.apply_deadline(&mut request).map(|deadline| Instant::now() + deadline);
        let lease = self.lease.clone();
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = match ends {
                Some(ends) => tokio::time::timeout_at(ends, response).await.map_err(|_| too_late(&lease))?,
                None => response.await,
            };
            let response = response.map_err(|error| failed(&lease, &error))?;
            // The node minds the deadline as well, and calls it CANCELLED.
            if ends.is_some_and(|ends| ends <= Instant::now()) {
                return Err(too_late(&lease));
            }
            Ok(response.map(|body| {
                Body::new(TimedBody {
                    body,
                    ends: ends.map(|ends| Box::pin(tokio::time::sleep_until(ends))),
                    lease,
                })
            }))
        })
    }
}

/// A response's body, under the same deadline.
struct TimedBody {
    body: Body,
    ends: Option<Pin<Box<Sleep>>>,
    lease: Arc<Lease>,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| failed(&this.lease, &error))));
        }
        let late = this.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(cx).is_ready());
        if late { Poll::Ready(Some(Err(too_late(&this.lease)))) } else { Poll::Pending }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn failed(lease: &Lease, error: &(dyn std::error::Error + 'static)) -> Status {
    let causes = || std::iter::successors(Some(error), |error| error.source());
    // The channel minds `grpc-timeout` too, and may be the first to notice.
    if causes().any(<dyn std::error::Error>::is::<TimeoutExpired>) {
        return too_late(lease);
    }
    let member = lease.member();
    member.eject();
    let causes = causes().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    Status::unavailable(format!("{} ({}) failed: {causes}", member.name, member.address))
}

fn too_late(lease: &Lease) -> Status {
    let member = lease.member();
    Status::deadline_exceeded(format!("{} ({}) did not answer in time", member.name, member.address))
}

/// The value of `grpc-timeout`: at most 8 digits and a unit.
fn timeout_value(deadline: Duration) -> Option<HeaderValue> {
    const MOST: u128 = 99_999_999;
    let text = match deadline.as_millis() {
        milliseconds if milliseconds <= MOST => format!("{milliseconds}m"),
        _ => format!("{}S", u128::from(deadline.as_secs()).min(MOST)),
    };
    HeaderValue::try_from(text).ok()
}

/// The duration of a `grpc-timeout`; none if it is not one.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "M" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}
