//! The section `[engine]`: what it says, and the engine's defaults for the rest.

use std::time::Duration;

use workflow_notify::engine::Settings;
use workflow_notify::files::EngineSettings;
use workflow_notify::outbox::Policy;

/// Gives the settings that the engine works by.
pub(crate) fn settings(written: &EngineSettings) -> Settings {
    let default = Settings::default();
    let of_policy = default.policy;
    let in_flight = written.in_flight.unwrap_or(default.in_flight);
    let first_wait = written.first_wait.unwrap_or(of_policy.first_wait);
    let or = |time: Option<Duration>, default: Duration| time.unwrap_or(default);
    Settings {
        in_flight,
        // A default that does not fit what is written beside it gives way.
        in_flight_per_lane: written
            .in_flight_per_lane
            .unwrap_or(default.in_flight_per_lane)
            .min(in_flight),
        collapse_after: match written.collapse_after {
            Some(0) => None,
            Some(most) => Some(most),
            None => default.collapse_after,
        },
        policy: Policy {
            first_wait,
            longest_wait: or(written.longest_wait, of_policy.longest_wait).max(first_wait),
            max_age: or(written.max_age, of_policy.max_age),
            throttled_wait: or(written.throttled_wait, of_policy.throttled_wait),
            longest_retry_after: or(written.longest_retry_after, of_policy.longest_retry_after),
        },
    }
}

/// Gives the same as it would stand in a file.
pub(crate) fn as_written(settings: &Settings) -> EngineSettings {
    let policy = settings.policy;
    EngineSettings {
        in_flight: Some(settings.in_flight),
        in_flight_per_lane: Some(settings.in_flight_per_lane),
        collapse_after: Some(settings.collapse_after.unwrap_or(0)),
        first_wait: Some(policy.first_wait),
        longest_wait: Some(policy.longest_wait),
        max_age: Some(policy.max_age),
        throttled_wait: Some(policy.throttled_wait),
        longest_retry_after: Some(policy.longest_retry_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_written_the_engines_defaults_hold() {
        assert_eq!(settings(&EngineSettings::default()), Settings::default());
    }

    #[test]
    fn what_is_written_holds_and_a_default_gives_way_to_it() {
        let written = EngineSettings {
            in_flight: Some(4),
            collapse_after: Some(0),
            first_wait: Some(Duration::from_hours(1)),
            max_age: Some(Duration::from_mins(5)),
            ..EngineSettings::default()
        };
        let settings = settings(&written);
        assert_eq!((settings.in_flight, settings.in_flight_per_lane), (4, 4));
        assert_eq!(settings.collapse_after, None);
        assert_eq!(settings.policy.longest_wait, Duration::from_hours(1));
        assert_eq!(settings.policy.max_age, Duration::from_mins(5));
        let shown = as_written(&settings);
        assert_eq!(shown.collapse_after, Some(0));
        assert_eq!(shown.in_flight, written.in_flight);
    }
}
