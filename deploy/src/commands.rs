//! One module for each command: what its command line says, and what it does.

pub(crate) mod account;
pub(crate) mod alias;
pub(crate) mod domain;
pub(crate) mod events;
pub(crate) mod mailbox;
pub(crate) mod queue;
pub(crate) mod quota;
pub(crate) mod send;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod trace;
pub(crate) mod up;
