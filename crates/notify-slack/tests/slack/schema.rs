//! Calls against the vendor's own schemas of their arguments.

use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// Checks the arguments of `chat.update`, or else of `chat.postMessage`; takes everything where
/// there is no schema to hold it against.
pub(crate) fn check(arguments: &Value) -> Result<(), Vec<String>> {
    let Some(schemas) = SCHEMAS.as_ref() else {
        return Ok(());
    };
    let mut arguments = arguments.clone();
    let fields = arguments.as_object_mut().unwrap();
    let schema = if fields.contains_key("ts") {
        &schemas.update
    } else {
        // Undocumented, so the schema does not have it.
        fields.remove("client_msg_id");
        fields.entry("channel").or_insert(json!("C0123456789"));
        &schemas.post
    };
    let errors = schema.iter_errors(&arguments);
    let errors: Vec<_> = errors.map(|err| err.to_string()).collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

struct Schemas {
    post: Validator,
    update: Validator,
}

static SCHEMAS: LazyLock<Option<Schemas>> = LazyLock::new(|| {
    let golden = std::env::var_os("NOTIFY_GOLDEN_DIR")?;
    let validator = |method: &str| {
        let path = format!("slack/schema/{method}.request.schema.json");
        let text = std::fs::read_to_string(Path::new(&golden).join(path)).unwrap();
        jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
    };
    Some(Schemas {
        post: validator("chat.postMessage"),
        update: validator("chat.update"),
    })
});
