//! Which update answers which event. Every viewer of a session has tiles of its own and uses them in turn: an update
//! that touches one of them answers the oldest event that still waits there.

use super::timetable::Act;
use crate::screen::{Grid, TileId};
use crate::source::{Layout, keysym_for};
use crate::sync::Micros;
use crate::wire::{Button, InputEvent};
use std::collections::VecDeque;

/// Tiles that a viewer uses in turn, if there are so many: events that wait at once without being taken for each other.
const MOST_TILES: usize = 8;
/// An event that nothing answered for this long never will be.
pub const GIVEN_UP_AFTER: Micros = 10_000_000;

/// One viewer's place in its session, and the events that it waits for.
pub struct Echo {
    grid: Grid,
    tiles: Vec<TileId>,
    next: usize,
    waiting: VecDeque<(TileId, Micros)>,
}

impl Echo {
    /// For viewer `seat` of `seats` in a session of this size.
    pub fn new(width: u32, height: u32, seat: usize, seats: usize) -> Echo {
        let layout = Layout::new(width, height);
        let echoes = layout.echoes();
        let each = (echoes.len() / seats.max(1)).clamp(1, MOST_TILES);
        let tiles = echoes.iter().copied().cycle().skip(seat * each % echoes.len()).take(each).collect();
        Echo { grid: layout.grid(), tiles, next: 0, waiting: VecDeque::new() }
    }

    /// What is to be sent for an act that was scheduled for `at`.
    pub fn act(&mut self, act: Act, at: Micros) -> Vec<InputEvent> {
        let tile = self.tiles[self.next % self.tiles.len()];
        self.next += 1;
        self.waiting.push_back((tile, at));
        let place = self.grid.rect(tile);
        let (x, y) = ((place.x + place.width / 2) as u16, (place.y + place.height / 2) as u16);
        match act {
            Act::Key => {
                let keysym = keysym_for(tile);
                vec![InputEvent::KeyDown { key: 0, keysym }, InputEvent::KeyUp { key: 0, keysym }]
            }
            Act::Click => [true, false]
                .map(|down| InputEvent::PointerButton { button: Button::Left, down, x, y })
                .to_vec(),
            Act::Wheel => vec![InputEvent::Wheel { horizontal: 0, vertical: 120, x, y }],
        }
    }

    /// An update touched these tiles: the scheduled times of the events that it answers.
    pub fn answered(&mut self, touches: impl Fn(TileId) -> bool) -> Vec<Micros> {
        let mut answered = Vec::new();
        let mut seen = Vec::new();
        self.waiting.retain(|&(tile, at)| {
            let answers = !seen.contains(&tile) && touches(tile);
            if answers {
                seen.push(tile);
                answered.push(at);
            }
            !answers
        });
        answered
    }

    /// Events given up for lost: how many.
    pub fn give_up(&mut self, now: Micros) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|&(_, at)| now.saturating_sub(at) < GIVEN_UP_AFTER);
        before - self.waiting.len()
    }

    /// The scheduled times of all that still wait; they are forgotten.
    pub fn forget(&mut self) -> Vec<Micros> {
        self.waiting.drain(..).map(|(_, at)| at).collect()
    }

    /// When the oldest event that waits was scheduled.
    pub fn oldest(&self) -> Option<Micros> {
        self.waiting.front().map(|&(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_of_one_session_have_no_tile_in_common() {
        let mut seen = std::collections::HashSet::new();
        for seat in 0..40 {
            let echo = Echo::new(1920, 1080, seat, 40);
            assert!(echo.tiles.len() >= 4);
            assert!(echo.tiles.iter().all(|tile| seen.insert(*tile)), "seat {seat}");
        }
    }

    #[test]
    fn an_update_answers_the_oldest_event_of_each_tile_that_it_touches() {
        let mut echo = Echo::new(1920, 1080, 0, 60);
        let tiles = echo.tiles.clone();
        for at in 0..=tiles.len() as Micros {
            echo.act(Act::Key, at);
        }
        assert_eq!(echo.answered(|tile| tile == tiles[0]), [0]);
        assert_eq!(echo.answered(|_| true).len(), tiles.len());
        assert!(echo.answered(|_| true).is_empty());
    }

    #[test]
    fn what_is_never_answered_is_given_up() {
        let mut echo = Echo::new(640, 480, 0, 1);
        echo.act(Act::Click, 5);
        echo.act(Act::Wheel, 1_000_000);
        assert_eq!(echo.give_up(GIVEN_UP_AFTER + 5), 1);
        assert_eq!(echo.forget(), [1_000_000]);
    }
}
