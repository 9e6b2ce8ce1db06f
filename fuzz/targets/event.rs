//! Any value is an event or a list of problems; what is loaded is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notify_core::event::{MAX_MESSAGE, MAX_OUTPUTS, wire};
use notify_fuzz::REGISTRY;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let read = match wire::WorkflowEnded::read(value) {
        Ok(read) => read,
        Err(problems) => {
            assert!(!problems.is_empty() && !problems.to_string().is_empty());
            return;
        }
    };
    let Ok(event) = read.load(&REGISTRY) else {
        return;
    };
    let written = event.to_wire();
    let text = serde_json::to_string(&written).expect("an event has a JSON form");
    let again: wire::WorkflowEnded = serde_json::from_str(&text).expect("what is written is read");
    assert_eq!(written, again);
    let again = again.load(&REGISTRY).expect("what was loaded loads again");
    assert_eq!(written, again.to_wire());
    if let Some(failure) = &again.failure {
        assert!(failure.message.len() <= MAX_MESSAGE);
    }
    let outputs = serde_json::to_string(&again.outputs).expect("outputs have a JSON form");
    assert!(outputs.len() <= MAX_OUTPUTS);
});
