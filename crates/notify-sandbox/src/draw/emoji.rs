//! The emoji that notifications use.

use crate::html::Html;

/// Draws an emoji by its name, or the name where it is not known.
pub(super) fn emoji(html: &mut Html, name: &str) {
    match known_emoji(name) {
        Some(emoji) => html.raw(emoji),
        None => html.raw(":").text(name).raw(":"),
    };
}

/// The emoji of a name.
pub(super) fn known_emoji(name: &str) -> Option<&'static str> {
    Some(match name {
        "alarm_clock" => "⏰",
        "arrow_right" => "➡️",
        "bell" => "🔔",
        "boom" | "collision" => "💥",
        "bug" => "🐛",
        "calendar" => "📅",
        "chart_with_upwards_trend" => "📈",
        "eyes" => "👀",
        "fire" => "🔥",
        "gear" => "⚙️",
        "hourglass" => "⌛",
        "hourglass_flowing_sand" => "⏳",
        "information_source" => "ℹ️",
        "large_blue_circle" => "🔵",
        "large_green_circle" => "🟢",
        "large_orange_circle" => "🟠",
        "large_yellow_circle" => "🟡",
        "link" => "🔗",
        "mega" => "📣",
        "memo" => "📝",
        "no_entry" => "⛔",
        "no_entry_sign" => "🚫",
        "octagonal_sign" => "🛑",
        "red_circle" => "🔴",
        "repeat" => "🔁",
        "robot_face" => "🤖",
        "rocket" => "🚀",
        "rotating_light" => "🚨",
        "speech_balloon" => "💬",
        "stopwatch" => "⏱️",
        "tada" => "🎉",
        "thread" => "🧵",
        "timer_clock" => "⏲️",
        "warning" => "⚠️",
        "wave" => "👋",
        "white_check_mark" => "✅",
        "heavy_check_mark" => "✔️",
        "white_circle" => "⚪",
        "black_square_for_stop" => "⏹️",
        "wrench" => "🔧",
        "x" => "❌",
        "zzz" => "💤",
        _ => return None,
    })
}
