//! The one HTTP client for providers: TLS, timeouts, redaction, status to outcome, Retry-After.
