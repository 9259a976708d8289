//! What a user would say of the pipeline, one file a scenario.
