//! What is measured.

pub(crate) mod raw;
