//! Files to definitions, accounts and diagnostics with spans.
