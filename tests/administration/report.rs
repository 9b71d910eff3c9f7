//! Availability, from a viewer's taps to the auditor's page.

use crate::stage::{Stage, view};
use chevet::store::{AvailabilityRow, Store};
use chevet::wire::InputEvent;
use serde_json::json;
use std::process::{Command, Output};
use std::time::Duration;

fn report(config: &str, month: &str, out: &str) -> Output {
    let arguments = ["report", "--config", config, "--month", month, "--out", out];
    Command::new(env!("CARGO_BIN_EXE_chevet")).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_viewer_met_with_is_in_the_report_of_the_month() {
    let stage = Stage::open().await;
    let mut viewer = view(&stage, "anne").await;
    for _ in 0..5 {
        viewer.0.input(InputEvent::KeyDown { key: 4, keysym: 0x61 });
        viewer.0.input(InputEvent::KeyUp { key: 4, keysym: 0x61 });
        let watching = async { while viewer.0.next().await.is_ok() {} };
        let _ = tokio::time::timeout(Duration::from_millis(300), watching).await;
    }
    let folder = stage.folder;
    stage.gateway.stop().await;
    let store = Store::open(&Store::url_in(&folder.0)).await.unwrap();
    let rows = store.availability(0, i64::MAX).await.unwrap();
    let row = &rows[0];
    assert_eq!((rows.len(), row.application.as_str()), (1, "pattern"));
    assert_eq!((row.in_time + row.late, row.failed), (1, 0), "one link, whatever was dialled beside it");
    assert_eq!(row.minutes, 1);
    let config = folder.0.join("chevet.toml");
    std::fs::write(&config, format!("state_directory = {:?}\n[sign_in]\n", folder.0)).unwrap();
    let (config, out) = (config.to_str().unwrap(), folder.0.join("reports"));
    // The month is that of the row, by the hours that the report is asked for.
    let month = (1..=12)
        .map(|month| format!("{}-{month:02}", year_of(row.hour)))
        .find(|text| text.parse::<chevet::availability::Month>().unwrap().hours().contains(&row.hour));
    let month = month.unwrap();
    let reported = report(config, &month, out.to_str().unwrap());
    assert!(reported.status.success(), "{}", String::from_utf8_lossy(&reported.stderr));
    let page = std::fs::read_to_string(out.join(format!("availability-{month}.html"))).unwrap();
    assert!(page.contains("<td>pattern<td>1<td>") && page.contains("<svg"), "{page}");
    let table = std::fs::read_to_string(out.join(format!("availability-{month}.csv"))).unwrap();
    let fields: Vec<&str> = table.lines().nth(1).unwrap().split(',').collect();
    let taps: f64 = fields[13].parse().expect("a tap was measured");
    assert!(fields[1] == "pattern" && taps > 0.0 && taps < 20_000.0, "{table}");
    let wrong = report(config, "2026-13", out.to_str().unwrap());
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("2026-11"), "{said}");
}

fn year_of(hour: i64) -> i64 {
    // Good enough to look for: months that do not hold the hour are passed over.
    1970 + (hour as f64 / 24.0 / 365.2425) as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_sees_availability_by_application_and_who_took_a_session_over() {
    let stage = Stage::open().await;
    let vera = stage.sign_in("vera").await;
    let hour = chevet::clock::unix_ms() / 3_600_000;
    let mut taps = chevet::session::tap_histogram();
    (0..100).for_each(|_| taps.record(40_000).unwrap());
    let mut row = AvailabilityRow {
        hour: hour - 2,
        application: "records".into(),
        site: "north".into(),
        gateway: "other:1".into(),
        in_time: 9,
        late: 1,
        failed: 0,
        minutes: 60,
        minutes_degraded: 3,
        screen_target: 1_000,
        tap_target: 100,
        screens: chevet::availability::to_text(&taps),
        taps: chevet::availability::to_text(&taps),
    };
    let store = stage.gateway.identity().unwrap().store();
    store.keep_availability(&row).await.unwrap();
    (row.hour, row.late) = (hour - 100, 11);
    store.keep_availability(&row).await.unwrap();
    let mut first = view(&stage, "anne").await;
    let _second = view(&stage, "boss").await;
    first.is_ended().await;
    let asked = vera.get("/api/admin/availability").await;
    let shown = &asked.json["applications"][0];
    assert_eq!(
        (asked.status, &shown["application"], &shown["site"]),
        (200, &json!("records"), &json!("north"))
    );
    assert_eq!((&shown["day"]["share"], &shown["month"]["attempts"]), (&json!(0.9), &json!(30)));
    assert_eq!(
        (&shown["day"]["minutes_degraded"], &shown["month"]["minutes_degraded"]),
        (&json!(3), &json!(6))
    );
    let tap = shown["day"]["tap_p95_ms"].as_f64().unwrap();
    assert!((39.0..42.0).contains(&tap), "{tap}");
    assert_eq!(asked.json["hours"][21]["attempts"], json!(10), "{}", asked.body);
    assert_eq!(
        (asked.json["hours"].as_array().unwrap().len(), asked.json["days"].as_array().unwrap().len()),
        (24, 30)
    );
    let takeover = &asked.json["takeovers"][0];
    assert_eq!(
        (&takeover["session"], &takeover["title"]),
        (&json!("pattern"), &json!("Boss")),
        "{}",
        asked.body
    );
    assert_eq!(takeover["to_seat"], json!("ward 3"));
}
