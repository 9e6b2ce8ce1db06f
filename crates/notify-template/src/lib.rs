#![doc = include_str!("../README.md")]

mod check;
mod declared;
mod facts;
mod fill;
mod filters;
mod link;
mod markdown;
mod problem;
mod program;
mod run;
mod scan;
mod template;
mod types;
mod value;

pub use crate::declared::check_workflow;
pub use crate::facts::{FIELDS, Facts, Field, Shape, reference};
pub use crate::problem::TemplateProblem;
pub use crate::template::{Rendered, Template};

#[doc(hidden)]
pub mod __private {
    pub use crate::template::fuzz;
}
