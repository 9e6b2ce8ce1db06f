//! The pagerduty provider.
