//! The client's side of a session.

mod outcome;

pub use outcome::{Failure, Outcome, Stage};
