//! Finding a running pipeline, and talking to it over gRPC.

mod channel;
mod target;

pub(crate) use channel::{channel, channel_for, host_of, is_serving, status};
pub(crate) use target::{Arguments, Credentials, Node, Pipeline};
