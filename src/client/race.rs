//! Which road is dialled when, which link wins and which is left: the decisions alone, without links and clocks. The
//! page decides by the same rules (`src/web/viewer/viewer.ts`, `roads.ts`).

use crate::link::Road;
use crate::sync::Micros;

/// How much earlier QUIC is tried than WebSocket.
pub const HEAD_START: Micros = 200_000;
/// A link of which nothing was heard for this long gets company.
const SUSPECT_AFTER: Micros = 1_000_000;
/// A link that should bring an update and brings no byte of it for this long is stalled.
const STALLED_AFTER: Micros = 2_000_000;
/// A second link that brings nothing for this long comes to nothing.
const CANDIDATE_PATIENCE: Micros = 4_000_000;
/// A second link beside a working one is given up after this long: two would share one path for ever.
const BESIDE_PATIENCE: Micros = 10_000_000;
/// A viewer that lives on WebSocket tries QUIC again after this long, then after twice that, and so on.
const QUIC_AGAIN: Micros = 30_000_000;
const QUIC_AGAIN_AT_MOST: Micros = 600_000_000;

/// What is seen of a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// When it was opened.
    pub since: Micros,
    /// When anything at all was heard.
    pub heard: Micros,
    /// When an update last moved: bytes of one, or one applied; or when it began to be expected.
    pub progress: Micros,
    /// The session said that pixels will follow.
    pub expects: bool,
    /// An update has begun to arrive and is not whole.
    pub begun: bool,
    /// All that the session has is shown.
    pub whole: bool,
}

impl Flow {
    pub fn open(now: Micros) -> Flow {
        Flow { since: now, heard: now, progress: now, ..Flow::default() }
    }

    fn is_suspect(&self, now: Micros) -> bool {
        now.saturating_sub(self.heard) >= SUSPECT_AFTER || self.is_stalled(now)
    }

    fn is_stalled(&self, now: Micros) -> bool {
        (self.expects || self.begun) && now.saturating_sub(self.progress) > STALLED_AFTER
    }

    /// Whether a second link is given up; `beside` says that the first one works.
    pub fn comes_to_nothing(&self, now: Micros, beside: bool) -> bool {
        let too_long = beside && now.saturating_sub(self.since) > BESIDE_PATIENCE;
        too_long || now.saturating_sub(self.progress.max(self.heard)) > CANDIDATE_PATIENCE
    }
}

/// The roads that there are, and when to dial them.
#[derive(Debug)]
pub struct Race {
    quic: bool,
    websocket: bool,
    socket_due: Option<Micros>,
    quic_again_at: Micros,
    quic_again_after: Micros,
    /// When company was last called for a suspect link.
    company_at: Option<Micros>,
}

impl Race {
    pub fn new(quic: bool, websocket: bool, now: Micros) -> Race {
        Race {
            quic,
            websocket,
            socket_due: None,
            quic_again_at: now,
            quic_again_after: QUIC_AGAIN,
            company_at: None,
        }
    }

    /// There is no working link: the road to dial now. The other follows by itself.
    pub fn begin(&mut self, now: Micros) -> Option<Road> {
        if self.websocket {
            self.socket_due.get_or_insert(if self.quic { now + HEAD_START } else { now });
        }
        self.quic.then_some(Road::Quic)
    }

    /// The road to dial at this moment, if any. `first` is the link that is shown, `others` says that there are
    /// second links or dials under way.
    pub fn tick(&mut self, now: Micros, first: Option<(Road, Flow)>, others: bool) -> Option<Road> {
        if self.socket_due.is_some_and(|due| now >= due) {
            self.socket_due = None;
            let flowing = |flow: Flow| flow.progress > flow.since && now - flow.progress < HEAD_START;
            match first {
                Some((_, flow)) if flow.whole && !flow.is_suspect(now) => {}
                Some((Road::Quic, flow)) if flowing(flow) => self.socket_due = Some(now + HEAD_START),
                _ => return Some(Road::WebSocket),
            }
        }
        let (road, flow) = first?;
        if others {
            return None;
        }
        if flow.is_suspect(now) {
            if self.company_at.is_some_and(|at| now.saturating_sub(at) < STALLED_AFTER) {
                return None;
            }
            self.company_at = Some(now);
            let other = if road == Road::WebSocket { Road::Quic } else { Road::WebSocket };
            return Some(if self.offers(other) { other } else { road });
        }
        let again = road == Road::WebSocket && flow.whole && self.quic && now >= self.quic_again_at;
        again.then(|| {
            // Asked again when this attempt has failed, or not at all.
            self.quic_again_at = now + CANDIDATE_PATIENCE * 2;
            Road::Quic
        })
    }

    pub fn offers(&self, road: Road) -> bool {
        if road == Road::WebSocket { self.websocket } else { self.quic }
    }

    /// The link that is shown is whole: the race is over.
    pub fn won(&mut self, road: Road, now: Micros) {
        self.socket_due = None;
        if road == Road::Quic {
            self.quic_again_after = QUIC_AGAIN;
            self.quic_again_at = now;
        }
    }

    /// QUIC came to nothing, stalled or fell silent while WebSocket worked.
    pub fn quic_failed(&mut self, now: Micros) {
        if let Some(due) = &mut self.socket_due {
            *due = now.min(*due);
        }
        // Several failures within one rest are one failure.
        if now + CANDIDATE_PATIENCE * 2 >= self.quic_again_at {
            self.quic_again_at = now + self.quic_again_after;
            self.quic_again_after = (self.quic_again_after * 2).min(QUIC_AGAIN_AT_MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    fn race() -> Race {
        Race::new(true, true, 0)
    }

    fn whole(heard: Micros) -> Flow {
        Flow { heard, progress: heard, whole: true, ..Flow::default() }
    }

    #[test]
    fn quic_is_dialled_at_once_and_websocket_200_ms_later() {
        let mut race = race();
        assert_eq!(race.begin(0), Some(Road::Quic));
        assert_eq!(race.tick(199_000, None, true), None);
        assert_eq!(race.tick(200_000, None, true), Some(Road::WebSocket));
        assert_eq!(race.tick(300_000, None, true), None);
        let mut only = Race::new(false, true, 0);
        assert_eq!((only.begin(0), only.tick(0, None, false)), (None, Some(Road::WebSocket)));
    }

    #[test]
    fn websocket_is_dialled_at_once_when_quic_fails_and_never_when_quic_was_whole_first() {
        let mut failed = race();
        failed.begin(0);
        failed.quic_failed(50_000);
        assert_eq!(failed.tick(50_000, None, false), Some(Road::WebSocket));
        let mut won = race();
        won.begin(0);
        won.won(Road::Quic, 150_000);
        assert_eq!(won.tick(250_000, Some((Road::Quic, whole(240_000))), false), None);
    }

    #[test]
    fn websocket_waits_while_quic_brings_pixels_and_not_when_it_only_is_open() {
        let mut race = race();
        race.begin(0);
        let flowing = Flow { progress: 150_000, heard: 150_000, expects: true, ..Flow::open(100_000) };
        assert_eq!(race.tick(200_000, Some((Road::Quic, flowing)), false), None);
        assert_eq!(race.tick(400_000, Some((Road::Quic, flowing)), false), Some(Road::WebSocket));
    }

    #[test]
    fn a_link_that_is_heard_and_brings_nothing_of_what_it_owes_is_left_after_two_seconds() {
        let mut race = race();
        let stalled = |now| Flow { expects: true, progress: SECOND, ..whole(now) };
        assert_eq!(race.tick(3 * SECOND, Some((Road::Quic, stalled(3 * SECOND))), false), None);
        let late = 3 * SECOND + 1;
        assert_eq!(race.tick(late, Some((Road::Quic, stalled(late))), false), Some(Road::WebSocket));
        // Once is enough while that attempt is under way, and for a while after it.
        assert_eq!(race.tick(late + 1, Some((Road::Quic, stalled(late))), true), None);
        assert_eq!(race.tick(late + SECOND, Some((Road::Quic, stalled(late + SECOND))), false), None);
        let again = late + 2 * SECOND;
        assert_eq!(race.tick(again, Some((Road::Quic, stalled(again))), false), Some(Road::WebSocket));
        // A link at rest owes nothing.
        let rest = Flow { progress: 0, ..whole(again) };
        assert_eq!(Race::new(true, true, 0).tick(again, Some((Road::Quic, rest)), false), None);
    }

    #[test]
    fn a_link_that_is_not_heard_for_a_second_gets_company_and_a_lone_road_is_dialled_anew() {
        assert_eq!(race().tick(SECOND, Some((Road::Quic, whole(0))), false), Some(Road::WebSocket));
        let mut lone = Race::new(true, false, 0);
        assert_eq!(lone.tick(SECOND, Some((Road::Quic, whole(0))), false), Some(Road::Quic));
    }

    #[test]
    fn on_websocket_quic_is_tried_after_30_s_then_ever_more_rarely() {
        let mut race = race();
        race.quic_failed(0);
        race.quic_failed(SECOND);
        let mut tries = Vec::new();
        for second in 0..400 {
            let now = second * SECOND;
            if race.tick(now, Some((Road::WebSocket, whole(now))), false) == Some(Road::Quic) {
                tries.push(second);
                race.quic_failed(now);
            }
        }
        assert_eq!(tries, [30, 90, 210]);
        race.won(Road::Quic, 400 * SECOND);
        race.quic_failed(401 * SECOND);
        let now = 431 * SECOND;
        assert_eq!(race.tick(now, Some((Road::WebSocket, whole(now))), false), Some(Road::Quic));
    }

    #[test]
    fn a_second_link_is_given_up_when_it_brings_nothing_or_never_wins() {
        let heard = |now| Flow { heard: now, ..Flow::open(0) };
        assert!(!heard(9 * SECOND).comes_to_nothing(10 * SECOND, true));
        assert!(heard(10 * SECOND).comes_to_nothing(10 * SECOND + 1, true));
        assert!(!heard(10 * SECOND).comes_to_nothing(10 * SECOND + 1, false));
        assert!(Flow::open(0).comes_to_nothing(4 * SECOND + 1, false));
    }
}
