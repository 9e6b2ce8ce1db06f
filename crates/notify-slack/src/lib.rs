//! The slack provider.
