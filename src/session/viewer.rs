use super::Grant;
use super::experience::Watched;
use super::input::Held;
use crate::link::Link;
use crate::metrics;
use crate::sync::{Delivery, FetchedPicture, Micros, Pointer};
use crate::wire::{Control, Path, Token, UpdateHeader};
use bytes::BytesMut;
use std::time::Duration;

/// One attached viewer, as the session sees it.
pub(super) struct Viewer {
    pub link: Link,
    pub token: Token,
    pub grant: Grant,
    /// Which of the session's pictures it sees: the plain one, or one with its mark.
    pub picture: u64,
    pub delivery: Delivery,
    pub pointer: Option<Pointer>,
    pub held: Held,
    pub last_motion: u64,
    pub attached_us: Micros,
    pub heard_at: Micros,
    /// Its proof failed, and its hashes were asked for.
    pub hashes_wanted: bool,
    pub repairs: u64,
    /// The newest update is proven to be the session's screen.
    pub proven: bool,
    proven_once: bool,
    pub watched: Watched,
    pub decodes_video: bool,
    /// It tells its user who watches.
    pub shows_watchers: bool,
    /// It goes on at another gateway when it is told to.
    pub moves: bool,
    /// It has a clipboard.
    pub takes_clips: bool,
    /// A picture that was copied there, as far as it has come.
    pub fetched: FetchedPicture,
    /// The part that it asked for of a picture of the session's, and when.
    pub part_wanted: Option<(u64, u32, Micros)>,
    /// It can play what the session does, and whether it wants to.
    pub plays_sound: bool,
    pub wants_sound: bool,
    pub video_failures: u32,
    /// When it last could not keep step with others of a video.
    pub parted_us: Micros,
    path_told: (Path, Micros),
    _counted: metrics::Attached,
}

impl Viewer {
    pub fn new(
        link: Link,
        token: Token,
        grant: Grant,
        picture: u64,
        delivery: Delivery,
        decodes_video: bool,
        now: Micros,
    ) -> Self {
        let _counted = metrics::Attached::by(link.road());
        metrics::ATTACH.attached.observe(link.age());
        Viewer {
            link,
            token,
            grant,
            picture,
            delivery,
            pointer: None,
            held: Held::default(),
            last_motion: 0,
            attached_us: now,
            heard_at: now,
            hashes_wanted: false,
            repairs: 0,
            proven: false,
            proven_once: false,
            watched: Watched::default(),
            decodes_video,
            shows_watchers: false,
            moves: false,
            takes_clips: false,
            fetched: FetchedPicture::default(),
            part_wanted: None,
            plays_sound: false,
            wants_sound: false,
            video_failures: 0,
            parted_us: 0,
            path_told: (Path::default(), 0),
            _counted,
        }
    }

    /// Sends an update: its header, and what follows it.
    pub fn send(&mut self, header: &UpdateHeader, payload: &[u8], now: Micros) {
        let mut head = Vec::with_capacity(64);
        header.write(&mut head);
        let mut stream = BytesMut::with_capacity(head.len() + payload.len());
        stream.extend_from_slice(&head);
        stream.extend_from_slice(payload);
        self.delivery.sent(header, stream.len(), now);
        self.proven = false;
        metrics::UPDATES.sent(header.video.is_some(), stream.len());
        self.watched.sent(header.number, header.complete || header.caught_up);
        self.link.update(header.number, stream.freeze());
    }

    /// All its input before event `next` is safe.
    pub fn acknowledge_input(&mut self, next: u64) {
        self.link.control(&Control::InputAck { next });
    }

    /// It applied an update.
    pub fn acknowledged(&mut self, update: u64, now: Micros) {
        let (first, tap) = self.watched.acknowledged(update, now);
        if first {
            metrics::ATTACH.screen.observe(self.link.age());
            self.grant.first_screen.came(now);
        }
        if let Some(tap) = tap {
            metrics::TAP.observe(Duration::from_micros(tap));
            if let Some(taps) = &self.grant.taps {
                taps.took(tap);
            }
        }
    }

    /// It came back with the very screen that the session has.
    pub fn resumed(&mut self, now: Micros) {
        self.watched.resumed();
        metrics::ATTACH.screen.observe(self.link.age());
        self.grant.first_screen.came(now);
    }

    /// Its proof of the newest state came.
    pub fn proof(&mut self, agreed: bool, now: Micros) {
        self.proven = agreed;
        metrics::PROOFS.count(agreed);
        if agreed && !std::mem::replace(&mut self.proven_once, true) {
            metrics::ATTACH.exact.observe(self.link.age());
        }
        if agreed {
            self.grant.first_screen.came(now);
        }
    }

    /// The path as the transport measures it, or else as the acknowledgements do.
    pub fn path(&self) -> Path {
        let budget = self.delivery.budget();
        let measured = self
            .link
            .path()
            .unwrap_or(Path { round_trip_us: budget.shortest_round_trip().unwrap_or(0), ..Path::default() });
        Path { bytes_per_second: budget.rate(), in_flight_bytes: budget.in_flight(), ..measured }
    }

    /// Tells the viewer its path, at most once a second and only if it changed so that somebody would care.
    pub fn tell_path(&mut self, now: Micros) {
        let path = self.path();
        let (told, at) = &self.path_told;
        if is_news(told, &path) && now.saturating_sub(*at) >= 1_000_000 {
            self.link.control(&Control::Path(path));
            self.path_told = (path, now);
        }
    }
}

/// Whether a path differs by more than its measurement wavers on a line at rest.
fn is_news(told: &Path, path: &Path) -> bool {
    let differ = |a: u64, b: u64, least: u64| a.abs_diff(b) > (a.max(b) / 8).max(least);
    differ(told.round_trip_us, path.round_trip_us, 1_000)
        || differ(told.bytes_per_second, path.bytes_per_second, 10_000)
        || differ(told.lost_per_million, path.lost_per_million, 500)
        || differ(told.in_flight_bytes, path.in_flight_bytes, 16 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_at_rest_is_no_news_and_one_that_changes_is() {
        let path = Path {
            round_trip_us: 20_000,
            bytes_per_second: 1_000_000,
            lost_per_million: 0,
            in_flight_bytes: 0,
        };
        assert!(!is_news(&path, &Path { round_trip_us: 21_500, ..path }));
        assert!(!is_news(&path, &Path { bytes_per_second: 950_000, ..path }));
        assert!(is_news(&path, &Path { round_trip_us: 40_000, ..path }));
        assert!(is_news(&path, &Path { lost_per_million: 10_000, ..path }));
        assert!(is_news(&Path::default(), &path));
    }
}
