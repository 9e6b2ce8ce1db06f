//! Any text is definitions or a list of problems, each within the text; what is loaded is well formed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notify_config::{Definitions, Settings, Source, Variables, config};
use notify_fuzz::{REGISTRY, check_places};

fuzz_target!(|text: &str| {
    let source = Source::new("a.yaml", text);
    let variables = Variables::of([("A", "a@example.com"), ("B", "${A}")]);
    match Definitions::parse_with(&REGISTRY, [source.clone()], &variables) {
        Ok(definitions) => {
            for workflow in definitions.workflows() {
                for notification in workflow.notifications() {
                    assert!(!notification.recipients().is_empty());
                }
            }
            let warnings = definitions.warnings();
            check_places(source.text(), &warnings);
            let settings = Settings::parse(&REGISTRY, "notify.toml", "");
            let settings = settings.expect("nothing is sound");
            if let Err(found) = config(&definitions, &settings, settings.secrets()) {
                check_places(source.text(), &found);
            }
        }
        Err(found) => {
            assert!(found.iter().next().is_some(), "refused without a reason");
            check_places(source.text(), &found);
        }
    }
});
