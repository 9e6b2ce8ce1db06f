#![doc = include_str!("../README.md")]

pub mod diagnostic;
pub mod document;
pub mod load;
pub mod secrets;
pub mod settings;
pub mod source;

mod mask;

pub use crate::diagnostic::{Diagnostic, Diagnostics};
pub use crate::document::Document;
pub use crate::load::{Definitions, config, definitions, load};
pub use crate::secrets::ProcessSecrets;
pub use crate::settings::Settings;
pub use crate::source::{Source, read};
