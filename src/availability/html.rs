//! The month's page for auditors: figures, plots and a table, in one file that needs nothing beside it.

use super::Summary;
use super::summary::{Figures, quantile};
use crate::load::plot::{Across, Line, plot};
use crate::load::{STYLE, escape};
use std::fmt::Write;

fn percent(share: Option<f64>) -> String {
    // Rounded down: 99.99 is not said of less.
    share.map_or("–".into(), |share| format!("{:.2}", (share * 10_000.0).floor() / 100.0))
}

fn ms(value: Option<f64>) -> String {
    value.map_or("–".into(), |ms| if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") })
}

pub fn html(summary: &Summary) -> String {
    let Summary { month, whole, .. } = summary;
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>chevet availability {month}</title><style>{STYLE}</style><main><header><h1>Availability \
         {month}</h1></header><p class=plan>Measured at the gateways from what their users' screens \
         acknowledged; hours in UTC.</p>"
    );
    if summary.damaged > 0 {
        let _ = write!(
            html,
            "<p class=failure>The times of {} hours could not be read and are left out; their counts are in.</p>",
            summary.damaged
        );
    }
    html.push_str("<section class=tiles>");
    for (name, value, unit) in [
        ("in time", percent(whole.share()), "%"),
        ("attempts", whole.attempts().to_string(), ""),
        ("tap p50", ms(quantile(&whole.taps, 0.5)), "ms"),
        ("tap p95", ms(quantile(&whole.taps, 0.95)), "ms"),
        ("tap p99", ms(quantile(&whole.taps, 0.99)), "ms"),
        ("degraded", whole.minutes_degraded.to_string(), "min"),
    ] {
        let _ = write!(html, "<div><small>{name}</small><strong>{value}</strong><em>{unit}</em></div>");
    }
    html.push_str("</section>");
    for (screen, tap) in &summary.targets {
        let _ = write!(
            html,
            "<p class=note>In time: a whole picture is acknowledged within {screen} ms of the link. Degraded: a \
             minute of use in which an attempt was late or failed, a tap took more than {tap} ms, or at its \
             end a viewer was silent or its path alone took that long.</p>"
        );
    }
    html.push_str(&plots(summary));
    html.push_str(&table(summary));
    html + "</main></html>"
}

fn plots(summary: &Summary) -> String {
    let line = |name, class, of: &dyn Fn(&Figures) -> Option<f64>| Line {
        name,
        class,
        points: summary.days.iter().filter_map(|(&day, figures)| Some((day as f64, of(figures)?))).collect(),
    };
    let shares = [line("in time", "a", &|day| day.share().map(|share| share * 100.0))];
    let taps = [
        line("p50", "a", &|day| quantile(&day.taps, 0.5)),
        line("p95", "b", &|day| quantile(&day.taps, 0.95)),
        line("p99", "c", &|day| quantile(&day.taps, 0.99)),
    ];
    let screens = [
        line("p50", "a", &|day| quantile(&day.screens, 0.5)),
        line("p95", "b", &|day| quantile(&day.screens, 0.95)),
    ];
    let minutes = [line("degraded", "b", &|day| Some(day.minutes_degraded as f64))];
    let attempts = [line("attempts", "a", &|day| Some(day.attempts() as f64))];
    [
        plot("Attempts that gave a screen in time", "%", &Across::Days, &shares),
        plot("From a tap to its screen", "ms", &Across::Days, &taps),
        plot("From the link to the first screen", "ms", &Across::Days, &screens),
        plot("Minutes degraded", "min", &Across::Days, &minutes),
        plot("Attempts", "", &Across::Days, &attempts),
    ]
    .concat()
}

fn table(summary: &Summary) -> String {
    let mut html = String::from(
        "<table><tr><th>application, site<th>attempts<th>in time %<th>late<th>failed<th>screen p95 ms<th>tap p50 \
         ms<th>tap p95 ms<th>minutes<th>degraded",
    );
    for ((application, site), figures) in &summary.applications {
        let place = if site.is_empty() { String::new() } else { format!(", {}", escape(site)) };
        let _ = write!(
            html,
            "<tr><td>{}{place}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            escape(application),
            figures.attempts(),
            percent(figures.share()),
            figures.late,
            figures.failed,
            ms(quantile(&figures.screens, 0.95)),
            ms(quantile(&figures.taps, 0.5)),
            ms(quantile(&figures.taps, 0.95)),
            figures.minutes,
            figures.minutes_degraded,
        );
    }
    html.push_str("</table>");
    if summary.applications.is_empty() {
        html.push_str("<p class=note>Nothing was measured in this month.</p>");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::super::to_text;
    use super::*;
    use crate::session::tap_histogram;
    use crate::store::AvailabilityRow;

    #[test]
    fn the_page_needs_nothing_beside_it_and_names_are_only_text_in_it() {
        let month: super::super::Month = "2026-11".parse().unwrap();
        let mut taps = tap_histogram();
        taps.saturating_record(42_000);
        let row = |day: i64| AvailabilityRow {
            hour: month.hours().start + day * 24,
            application: "<script>alert(1)</script>".into(),
            site: "a&b".into(),
            gateway: "g".into(),
            in_time: 9_999,
            late: 1,
            failed: 0,
            minutes: 3,
            minutes_degraded: 1,
            screen_target: 3_000,
            tap_target: 250,
            screens: to_text(&taps),
            taps: if day == 1 { "damaged".into() } else { to_text(&taps) },
        };
        let page = html(&Summary::of(month, &[row(0), row(1), row(2), row(45)]));
        for absent in ["http", "src=", "<script", "NaN", "inf"] {
            assert!(!page.contains(absent), "{absent} stands in the page");
        }
        // 30,000 attempts in three days; the fourth row is of another month.
        for present in ["&lt;script", "a&amp;b", "<svg", "99.99", "30000", "of 1 hours could not be read"] {
            assert!(page.contains(present), "{present} is missing");
        }
        assert!(html(&Summary::of(month, &[])).contains("Nothing was measured in this month"));
    }
}
