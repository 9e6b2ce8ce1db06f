//! The facade for embedders.
