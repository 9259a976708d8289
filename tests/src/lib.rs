//! The harness of the pipeline's scenarios.
