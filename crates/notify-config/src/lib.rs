#![doc = include_str!("../README.md")]

pub mod definitions;
pub mod diagnostic;
pub mod document;
pub mod effective;
pub mod load;
pub mod schema;
pub mod secrets;
pub mod settings;
pub mod source;
pub mod templates;
pub mod variables;
pub mod watch;

mod command;
mod mask;
mod paths;

pub use crate::definitions::{Definitions, definitions};
pub use crate::diagnostic::{Diagnostic, Diagnostics, Location};
pub use crate::document::Document;
pub use crate::effective::{InForce, Origin};
pub use crate::load::{Installation, Loaded, Reading, config, load};
pub use crate::secrets::ProcessSecrets;
pub use crate::settings::{EngineSettings, Outbox, Settings};
pub use crate::source::{Source, read};
pub use crate::templates::Templates;
pub use crate::variables::Variables;
pub use crate::watch::{Fingerprint, Watch};
