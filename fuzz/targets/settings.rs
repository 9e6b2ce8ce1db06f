//! Any text is settings or a list of problems, each within the text and without what may be a secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notify_config::{Settings, Source, Variables};
use notify_fuzz::{REGISTRY, check_places};

fuzz_target!(|text: &str| {
    // A template in a file would be looked for on this machine.
    if text.contains("file") {
        return;
    }
    let source = Source::new("notify.toml", text);
    let variables = Variables::of([("A", "a"), ("B", "${A}")]);
    match Settings::parse_with(&REGISTRY, "notify.toml", text, &variables) {
        Ok(settings) => {
            assert!(settings.warnings().is_empty());
            for rule in settings.rules() {
                assert!(!rule.notifications().is_empty());
            }
        }
        Err(found) => {
            assert!(found.iter().next().is_some(), "refused without a reason");
            check_places(source.text(), &found);
        }
    }
});
