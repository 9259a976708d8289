//! The pipeline on this machine: what `waypost up` makes, starts and watches.
//!
//! `ports` and `layout` say where everything is, `certificates` and `configs` make what the services need, `supervisor`
//! keeps their processes alive, and `ready` tells the world.

pub(crate) mod accounts_file;
pub(crate) mod backoff;
pub(crate) mod certificates;
pub(crate) mod configs;
pub(crate) mod diary;
pub(crate) mod files;
pub(crate) mod layout;
pub(crate) mod logs;
pub(crate) mod ports;
pub(crate) mod ready;
pub(crate) mod supervisor;
