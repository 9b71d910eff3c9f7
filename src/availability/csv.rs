//! The rows of a month for spreadsheets.

use super::add_text;
use super::summary::quantile;
use crate::session::tap_histogram;
use crate::store::AvailabilityRow;
use std::fmt::Write;

/// One line an hour, application, site and gateway; RFC 4180.
pub fn csv(rows: &[AvailabilityRow]) -> String {
    let mut text = String::from(
        "hour_utc_unix_seconds,application,site,gateway,in_time,late,failed,minutes,minutes_degraded,\
         screen_target_ms,tap_target_ms,screen_p50_ms,screen_p95_ms,tap_p50_ms,tap_p95_ms,tap_p99_ms\r\n",
    );
    for row in rows {
        let (mut screens, mut taps) = (tap_histogram(), tap_histogram());
        add_text(&row.screens, &mut screens);
        add_text(&row.taps, &mut taps);
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{}",
            row.hour * 3_600,
            field(&row.application),
            field(&row.site),
            field(&row.gateway),
            row.in_time,
            row.late,
            row.failed,
            row.minutes,
            row.minutes_degraded,
            row.screen_target,
            row.tap_target,
        );
        for (histogram, part) in
            [(&screens, 0.5), (&screens, 0.95), (&taps, 0.5), (&taps, 0.95), (&taps, 0.99)]
        {
            match quantile(histogram, part) {
                Some(ms) => drop(write!(text, ",{ms:.1}")),
                None => text.push(','),
            }
        }
        text.push_str("\r\n");
    }
    text
}

/// Quoted where it must be. A spreadsheet would run what begins like a formula: an apostrophe makes it text.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_to_its_column_and_is_no_formula() {
        assert_eq!(field("desk"), "desk");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=1+1"), "'=1+1");
    }
}
