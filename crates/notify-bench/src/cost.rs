//! What the process uses: processor time and memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::Result;

/// Returns the processor time of the whole process so far.
pub(crate) fn processor() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// Returns the memory that the process occupies, in bytes.
pub(crate) fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kib.ok_or("there is no `VmRSS`")?.parse::<u64>()? * 1024)
}

/// Names the filesystem that a folder is on: `ext4 on /dev/vda`.
pub(crate) fn filesystem(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mut best = (0, "unknown".to_owned());
    for mount in mounts.lines() {
        let mut words = mount.split(' ');
        let (Some(device), Some(place), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if folder.starts_with(place) && place.len() >= best.0 {
            best = (place.len(), format!("{kind} on {device}"));
        }
    }
    Ok(best.1)
}

/// Returns the middle of some numbers, or the mean of the two that are.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    quantile(numbers, 0.5)
}

/// Returns the number below which this part of them is.
pub(crate) fn quantile(numbers: &[f64], part: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a list that fits into memory"
    )]
    let (below, above, between) = {
        let place = last as f64 * part;
        (place.floor() as usize, place.ceil() as usize, place.fract())
    };
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    at(below) + (at(above) - at(below)) * between
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_rounds_is_between_two() {
        assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 3.0]) - 3.0).abs() < 1e-9);
        assert!((quantile(&[1.0, 2.0, 3.0], 1.0) - 3.0).abs() < 1e-9);
    }
}
