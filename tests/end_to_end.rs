//! chevet from end to end, with real parts only: the real program as separate processes, real X servers, programs
//! that draw on them, headless viewers and real browsers. Debian packages: xvfb, tigervnc-standalone-server,
//! xterm, x11-xkb-utils, chromium, firefox-esr, nodejs; and `make web` first.
//!
//! CHEVET_DRAW_SECONDS sets for how long the programs draw.

#[path = "end_to_end/administration.rs"]
mod administration;
#[path = "end_to_end/applications.rs"]
mod applications;
#[path = "end_to_end/browser.rs"]
mod browser;
#[path = "end_to_end/browsers.rs"]
mod browsers;
#[path = "end_to_end/chevet.rs"]
mod chevet;
#[path = "end_to_end/clipboard.rs"]
mod clipboard;
#[path = "end_to_end/drawing.rs"]
mod drawing;
#[path = "end_to_end/edge.rs"]
mod edge;
#[path = "end_to_end/exact.rs"]
mod exact;
#[path = "end_to_end/film.rs"]
mod film;
#[path = "end_to_end/gateways.rs"]
mod gateways;
#[path = "end_to_end/handover.rs"]
mod handover;
#[path = "end_to_end/idle.rs"]
mod idle;
#[path = "end_to_end/lanes.rs"]
mod lanes;
#[path = "end_to_end/loss.rs"]
mod loss;
#[path = "end_to_end/mistakes.rs"]
mod mistakes;
#[allow(dead_code)]
#[path = "store/postgres.rs"]
mod postgres;
#[path = "end_to_end/recording.rs"]
mod recording;
#[path = "end_to_end/roaming.rs"]
mod roaming;
#[path = "end_to_end/traces.rs"]
mod traces;
// Shared with the X11 source's tests; each takes what it needs.
#[allow(dead_code)]
#[path = "x11_source/server.rs"]
mod server;
#[path = "end_to_end/sharing.rs"]
mod sharing;
#[path = "edge/squid.rs"]
#[allow(dead_code)]
mod squid;
#[path = "x11_source/terminal.rs"]
mod terminal;
#[allow(dead_code)]
#[path = "x11_source/viewer.rs"]
mod viewer;
#[allow(dead_code)]
#[path = "vnc/server.rs"]
mod vnc_server;

use std::time::Duration;

/// How long to draw: as long as is wished, or this many seconds.
fn drawing_time(seconds: u64) -> Duration {
    let wished = std::env::var("CHEVET_DRAW_SECONDS").ok();
    let wished = wished.map(|text| text.parse().expect("CHEVET_DRAW_SECONDS is a number of seconds"));
    Duration::from_secs(wished.unwrap_or(seconds))
}
