//! The schema and the reader refuse the same.

use notify_core::Registry;
use provider_ntfy::DESCRIPTOR;
use serde_json::json;

#[test]
fn what_the_schema_refuses_the_reader_refuses_with_its_place() {
    let registry = Registry::of([DESCRIPTOR]).unwrap();
    for priority in [0, 6, 300, -1] {
        let body = json!({"to": "alerts", "priority": priority});
        let refused = registry.load_notification(&json!({"phases": "failed", "ntfy": body}));
        let expected = "ntfy.priority: a priority is a number from 1 to 5";
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    for topic in ["", "a b", "ä", &"x".repeat(65)] {
        let refused = registry.load_notification(&json!({"phases": "failed", "ntfy": [topic]}));
        let problems = refused.unwrap_err();
        let places: Vec<String> = problems.iter().map(|one| one.path.to_string()).collect();
        assert_eq!(places, ["ntfy.to[0]"], "{topic}");
    }
}
