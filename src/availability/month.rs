//! A month of the calendar, in hours since 1970 (UTC).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    year: i64,
    month: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no month: write it as 2026-11")]
pub struct NotAMonth(String);

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Month, NotAMonth> {
        let wrong = || NotAMonth(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(wrong());
        }
        let (Ok(year), Ok(month)) = (year.parse(), month.parse()) else { return Err(wrong()) };
        match year >= 1970 && (1..=12).contains(&month) {
            true => Ok(Month { year, month }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Month {
    pub fn days(self) -> i64 {
        let next = match self.month {
            12 => Month { year: self.year + 1, month: 1 },
            month => Month { year: self.year, month: month + 1 },
        };
        next.first_day() - self.first_day()
    }

    /// Its hours, since 1970.
    pub fn hours(self) -> Range<i64> {
        let first = self.first_day() * 24;
        first..first + self.days() * 24
    }

    /// The day of the month to which an hour belongs, from 1.
    pub fn day_of(self, hour: i64) -> i64 {
        hour.div_euclid(24) - self.first_day() + 1
    }

    /// Days since 1970 of its first day, by the Gregorian calendar: a year begins in March here, so that the leap day is its last.
    fn first_day(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let months_since_march = (self.month + 9) % 12;
        let days_before = (153 * months_since_march + 2) / 5;
        year * 365 + year / 4 - year / 100 + year / 400 + days_before - 719_468
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_where_the_calendar_says() {
        let month = |text: &str| text.parse::<Month>().unwrap();
        assert_eq!(month("1970-01").hours(), 0..31 * 24);
        assert_eq!(month("2026-11").hours().start * 3_600, 1_793_491_200);
        let days = ["2024-02", "2025-02", "2000-02", "2100-02", "2026-12"].map(|text| month(text).days());
        assert_eq!(days, [29, 28, 29, 28, 31]);
        assert_eq!(month("2026-11").day_of(month("2026-11").hours().end - 1), 30);
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "2026-1",
            "26-11",
            "2026-11-01",
            "+026-11",
            "2026-+1",
            "é026-1",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
