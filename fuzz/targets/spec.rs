//! Any value is a definition or a list of problems; what is loaded loads again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notify_fuzz::REGISTRY;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    match REGISTRY.load_workflow(&value) {
        Ok(workflow) => {
            for notification in workflow.notifications() {
                let again = REGISTRY
                    .load_notification(&notification.to_value())
                    .expect("what is stored can be loaded");
                assert_eq!(again, *notification);
                assert!(!notification.recipients().is_empty());
                assert!(notification.phases().iter().next().is_some());
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in &problems {
                assert!(!problem.message.is_empty());
            }
            assert!(!problems.to_string().is_empty());
        }
    }
});
