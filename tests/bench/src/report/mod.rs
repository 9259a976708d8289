//! What was measured, and how it is told.

mod goals;
mod markdown;
mod measured;
mod plots;
mod results;
mod stats;
mod svg;
mod tables;
mod words;

pub(crate) use self::markdown::write;
pub(crate) use self::measured::{Failed, Figures, Line, Measured, Origin, Point};
pub(crate) use self::tables::print;
pub(crate) use self::words::rate_of;
