//! The report as one page: what matters first, then how it went over time.

use super::plot::{Across, Line, plot};
use super::report::{Outcome, QUANTILES, milliseconds};
use super::tally::Moment;
use hdrhistogram::Histogram;
use std::fmt::Write;

pub(crate) const STYLE: &str = include_str!("report.css");

pub fn page(outcome: &Outcome, failures: &[String]) -> String {
    let Outcome { plan, tally, moments, seconds, interrupted } = outcome;
    let verdict = match (failures.is_empty(), interrupted) {
        (false, _) => "<b class=bad>failed</b>",
        (true, true) => "<b class=bad>interrupted</b>",
        (true, false) => "<b class=good>passed</b>",
    };
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><title>chevet load</title><style>{STYLE}</style><main><header><h1>chevet \
         load</h1>{verdict}</header><p class=plan>{} viewers of {} sessions, profile <b>{:?}</b>, over {}, {}; ramp \
         {:.0} s, measured {:.0} s, ran {seconds:.0} s, seed {}.</p>",
        plan.viewers,
        plan.sessions,
        plan.profile,
        plan.road.name(),
        if plan.cache_bytes.is_some() { "decoding every pixel" } else { "reading headers only" },
        plan.ramp.as_secs_f64(),
        plan.duration.as_secs_f64(),
        plan.seed,
    );
    for failure in failures {
        let _ = write!(html, "<p class=failure>{}</p>", escape(failure));
    }
    html.push_str("<section class=tiles>");
    for (name, quantile) in QUANTILES {
        let value = match tally.latency.is_empty() {
            true => "–".to_owned(),
            false => milliseconds(tally.latency.value_at_quantile(quantile)),
        };
        let _ = write!(html, "<div><small>{name}</small><strong>{value}</strong><em>ms</em></div>");
    }
    for (name, value) in [("attached", outcome.most_attached()), ("errors", tally.errors())] {
        let _ = write!(html, "<div><small>{name}</small><strong>{value}</strong></div>");
    }
    html.push_str(
        "</section><p class=note>Latency runs from the time at which the timetable has a key, a click or a turn of \
         the wheel, however late it could be sent, to the arrival of the update that carries its effect.</p>",
    );
    html.push_str(&plots(moments, &tally.latency));
    html.push_str(&tables(outcome));
    html + "</main></html>"
}

fn plots(moments: &[Moment], latency: &Histogram<u64>) -> String {
    let over = |name, class, of: &dyn Fn(&Moment) -> Option<f64>| Line {
        name,
        class,
        points: moments.iter().filter_map(|moment| Some((moment.second, of(moment)?))).collect(),
    };
    let ms = |us: Option<u64>| us.map(|us| us as f64 / 1e3);
    let latencies = [
        over("p50", "a", &|moment| ms(moment.p50_us)),
        over("p99", "b", &|moment| ms(moment.p99_us)),
        over("longest", "c", &|moment| ms(moment.max_us)),
    ];
    let rate = |name, class, of: &dyn Fn(&Moment) -> f64| Line {
        name,
        class,
        points: moments
            .windows(2)
            .map(|pair| {
                let time = (pair[1].second - pair[0].second).max(1e-3);
                (pair[1].second, (of(&pair[1]) - of(&pair[0])).max(0.0) / time)
            })
            .collect(),
    };
    let rates = [
        rate("events", "a", &|moment| moment.events as f64),
        rate("updates", "b", &|moment| moment.updates as f64),
    ];
    let bytes = [rate("received", "a", &|moment| moment.bytes as f64 * 8.0 / 1e6)];
    let attached = [over("viewers", "a", &|moment| Some(moment.attached as f64))];
    let whole = [Line { name: "all measured", class: "a", points: shares(latency) }];
    [
        plot("Latency by share of events", "ms", &Across::Nines, &whole),
        plot("Latency, second by second", "ms", &Across::Seconds, &latencies),
        plot("Viewers attached", "", &Across::Seconds, &attached),
        plot("Events and updates a second", "1/s", &Across::Seconds, &rates),
        plot("Updates received", "Mbit/s", &Across::Seconds, &bytes),
    ]
    .concat()
}

/// The latency below which a share of all events stays, by the number of nines in that share.
fn shares(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    if latency.is_empty() {
        return Vec::new();
    }
    let last = (latency.len() as f64).log10().min(5.0);
    let steps = 100;
    (0..=steps)
        .map(|step| last * f64::from(step) / f64::from(steps))
        .map(|nines| (nines, latency.value_at_quantile(1.0 - 10f64.powf(-nines)) as f64 / 1e3))
        .collect()
}

fn tables(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut html = String::from("<table><tr><th>ms<th>count");
    for (name, _) in QUANTILES {
        let _ = write!(html, "<th>{name}");
    }
    for (what, histogram) in [
        ("from a key to its update", &tally.latency),
        ("from damage to its update", &tally.age),
        ("from dialling to the first screen", &tally.first_screen),
    ] {
        let _ = write!(html, "<tr><td>{what}<td>{}", histogram.len());
        for (_, quantile) in QUANTILES {
            let value = match histogram.is_empty() {
                true => "–".into(),
                false => milliseconds(histogram.value_at_quantile(quantile)),
            };
            let _ = write!(html, "<td>{value}");
        }
    }
    html.push_str("</table>");
    if tally.faults.is_empty() {
        return html + "<p class=note>No errors.</p>";
    }
    html.push_str("<table class=errors><tr><th>error<th>times<th>for example");
    for (fault, (count, example)) in &tally.faults {
        let _ = write!(html, "<tr><td>{}<td>{count}<td>{}", fault.name(), escape(example));
    }
    html + "</table>"
}

/// What peers and systems say may stand in a page.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Fault, Tally};
    use super::super::{Plan, Profile};
    use super::*;
    use crate::client::Address;
    use crate::link::Road;
    use std::time::Duration;

    fn outcome() -> Outcome {
        let mut tally = Tally::new(0);
        (1..1_000).for_each(|latency| tally.answered(0, latency * 10));
        tally.fault(Fault::Closed, || "<script>alert(1)</script>".into());
        let moments = (1..30).map(|second| Moment { second: second.into(), ..tally.moment(0.0) }).collect();
        let plan = Plan {
            addresses: vec![Address::parse("chevet://127.0.0.1:1/ward-*?ticket=secret").unwrap()],
            visit: None,
            sessions: 3,
            viewers: 9,
            road: Road::Quic,
            profile: Profile::Ward,
            seed: 1,
            cache_bytes: None,
            ramp: Duration::from_secs(1),
            duration: Duration::from_secs(29),
            sockets: 1,
        };
        Outcome { plan, tally, moments, seconds: 30.0, interrupted: false }
    }

    #[test]
    fn the_page_needs_nothing_beside_it_and_tells_no_secret() {
        let html = page(&outcome(), &["p99>1ms: it is 9.9 ms".into()]);
        assert!(html.contains("<svg") && html.contains("p99&gt;1ms: it is 9.9 ms"));
        for absent in ["http", "src=", "<script", "secret", "NaN"] {
            assert!(!html.contains(absent), "{absent} stands in the page");
        }
    }

    #[test]
    fn programs_get_the_same_figures() {
        let json = outcome().json(&[]);
        assert_eq!(json["latency_us"]["count"], 999);
        assert_eq!(json["errors"]["closed by the gateway"]["count"], 1);
        assert_eq!(json["profile"], "ward");
        assert!(!json.to_string().contains("secret"));
    }
}
