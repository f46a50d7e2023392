//! When a package's changelog was written to last. Nothing in a package is later than its epoch, the time of its build: a builder that
//! takes the changelog's date for it, as Fedora's and mock's do, would otherwise make another package.

use std::path::Path;

use lustre_rpm_header::Headers;

/// The header's tag of the times of the entries.
const CHANGELOGTIME: u32 = 1080;

/// A day, in seconds.
const DAY: u64 = 86_400;

/// The latest entry of a package's changelog, as an epoch; none where it has no changelog.
///
/// # Errors
/// A file that is no package, in words.
pub fn of_package(path: &Path) -> Result<Option<u64>, String> {
    let (headers, _) = Headers::open(path).map_err(|error| error.to_string())?;
    let times = headers.numbers(CHANGELOGTIME)?;
    Ok(times.into_iter().max().map(as_epoch))
}

/// As rpm makes an epoch of an entry (`source_date_epoch_from_changelog`): of a date without a time of day, which rpm takes for noon,
/// the day's beginning. An entry that really is of noon cannot be told from that here; in its spec it can ([`of_spec`]).
fn as_epoch(time: u64) -> u64 {
    if time % DAY == DAY / 2 {
        return time - DAY / 2;
    }
    time
}

/// The latest entry in the text of a spec, as an epoch, and its line, counted from 1. An entry whose date is none, such as one that
/// configure fills in, is left to rpm.
pub fn of_spec(text: &str) -> Option<(u64, usize)> {
    let lines = text.lines().enumerate();
    let section = lines.skip_while(|(_, line)| line.trim_end() != "%changelog");
    section
        .filter_map(|(at, line)| Some((date(line.strip_prefix("* ")?)?, at + 1)))
        .max_by_key(|(time, _)| *time)
}

/// The date that an entry's line begins with, `Thu Jan 01 2026 …`.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_whitespace().skip(1);
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let day: u64 = words.next()?.parse().ok()?;
    // Some have a time of day before the year.
    let mut after = words.clone();
    let year: u64 = words
        .take(3)
        .find_map(|word| word.parse().ok().filter(|year| *year >= 1970))?;
    if !(1..=31).contains(&day) || year > 9999 {
        return None;
    }
    // In another zone, the day's beginning is what is certain.
    let seconds = match (after.next(), after.next()) {
        (Some(clock), Some("UTC" | "GMT")) => of_day(clock).unwrap_or(0),
        _ => 0,
    };
    // Days from civil, with years that begin in March.
    let (year, shifted) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 + day - 1;
    Some((days - 719_468) * DAY + seconds)
}

/// The seconds of a time of day, `10:20:30`.
fn of_day(clock: &str) -> Option<u64> {
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_one = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    is_one.then(|| hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_entry_counts_wherever_it_is() {
        let spec = "Name: x\n* Thu Jan 01 2099 no entry\n%changelog\n* Thu Feb 29 2024 A <a@b> - 1\n- * Thu Jan 01 2099\n\n\
            * Wed Jan 01 10:20:30 UTC 2025 B\n* Sun Jun 30 2024 A\n";
        assert_eq!(of_spec(spec), Some((1_735_726_830, 7)));
        assert_eq!(of_spec("Name: x\n"), None);
        assert_eq!(
            of_spec("%changelog\n* @DATE@ A\n* Thu Foo 01 2024 A\n"),
            None
        );
        // As `date -u -d` has them.
        for (line, time) in [
            ("Thu Jan 01 1970 A", 0),
            ("Thu Feb 29 2024 A", 1_709_164_800),
            ("Fri Mar 01 2024 A", 1_709_251_200),
            ("Tue Dec 31 2024 A", 1_735_603_200),
            ("Fri Jan 01 2100 A", 4_102_444_800),
            ("Thu Jan 01 12:00:00 UTC 1970 A", 43_200),
            ("Thu Jan 01 23:59:59 GMT 1970 A", 86_399),
            ("Thu Jan 01 12:00:00 CET 1970 A", 0),
            ("Thu Jan 01 12:60:00 UTC 1970 A", 0),
            ("Thu Jan 01 99999999999999999:0:0 UTC 1970 A", 0),
        ] {
            assert_eq!(date(line), Some(time), "{line}");
        }
    }

    #[test]
    fn a_package_has_its_latest_entry_as_rpm_makes_an_epoch_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let package = |times: &[u32]| {
            let mut builder = rpm::PackageBuilder::new("x", "1", "MIT", "noarch", "x");
            for time in times {
                builder.add_changelog_entry("A", "- x", *time);
            }
            let path = dir.path().join("x.rpm");
            builder.build().unwrap().write_file(&path).unwrap();
            of_package(&path)
        };
        assert_eq!(package(&[]), Ok(None));
        assert_eq!(
            package(&[1_000_000_000, 1_735_732_800]),
            Ok(Some(1_735_689_600))
        );
        assert_eq!(package(&[1_735_732_801]), Ok(Some(1_735_732_801)));
        let error = of_package(&dir.path().join("none.rpm")).unwrap_err();
        assert!(!error.is_empty());
    }
}
