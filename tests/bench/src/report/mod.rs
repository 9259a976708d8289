//! What was measured, and how it is told.

mod measured;
mod stats;
mod table;
mod text;

pub(crate) use self::measured::{Failed, Figures, Line, Machine, Measured, Point};
pub(crate) use self::text::print;
