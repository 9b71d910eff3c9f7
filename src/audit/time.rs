//! Moments as records write them: UTC, RFC 3339, to the microsecond.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY_US: i64 = 86_400_000_000;

/// Microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Time(i64);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a time: write 2026-01-31, 2026-01-31T08:00Z or 2026-01-31T08:00:00.5Z (UTC)")]
pub struct NoTime(String);

impl Time {
    pub fn now() -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(since.as_micros() as i64)
    }

    pub fn from_micros(micros: i64) -> Time {
        Time(micros)
    }

    /// Days since 1970: records of different days are kept in different files.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_US)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.day());
        let in_day = self.0.rem_euclid(DAY_US);
        let (seconds, micros) = (in_day / 1_000_000, in_day % 1_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = NoTime;

    fn try_from(text: String) -> Result<Time, NoTime> {
        text.parse()
    }
}

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Time, NoTime> {
        read(text).ok_or_else(|| NoTime(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Time> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut date = date.splitn(3, '-').map(|part| digits(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let clock = clock.strip_suffix('Z')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| digits(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next().unwrap_or(Some(0))?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let micros = digits(fraction, 6)? * 10_i64.pow(6 - fraction.len() as u32);
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Time(seconds * 1_000_000 + micros))
}

fn digits(text: &str, most: usize) -> Option<i64> {
    let right = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here: leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_are_written_as_everybody_writes_them() {
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Time(951_782_400_000_000).to_string(), "2000-02-29T00:00:00.000000Z");
        assert_eq!(Time(1_798_761_599_999_999).to_string(), "2026-12-31T23:59:59.999999Z");
        assert_eq!("2026-12-31".parse::<Time>().unwrap(), Time(1_798_675_200_000_000));
        assert_eq!("2000-02-29T00:00:01.5Z".parse::<Time>().unwrap(), Time(951_782_401_500_000));
        for wrong in ["", "2026", "2026-13-01", "2026-01-01T25:00Z", "2026-01-01T08:00", "x-y-z"] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_as_it_was_written(micros in 0..253_402_300_800_000_000_i64) {
            prop_assert_eq!(Time(micros).to_string().parse::<Time>().unwrap(), Time(micros));
        }
    }
}
