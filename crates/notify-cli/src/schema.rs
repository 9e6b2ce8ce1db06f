//! `notify schema`: what files can say, for editors and validators.

use std::process::ExitCode;

use workflow_notify::files::schema;

use crate::args::{SchemaArgs, SchemaOf};
use crate::exit;
use crate::ledger::write;
use crate::setup::{Refused, registry};

pub(crate) fn schema(args: &SchemaArgs) -> ExitCode {
    let registry = match registry() {
        Ok(registry) => registry,
        Err(Refused) => return exit::WRONG_INPUT.into(),
    };
    let schema = match args.of {
        SchemaOf::Definitions => schema::definitions(&registry),
        SchemaOf::Settings => schema::settings(&registry),
    };
    if write([format!("{schema:#}")]) {
        ExitCode::SUCCESS
    } else {
        exit::LEFT.into()
    }
}
