//! The e-mail provider.
