//! Scrolled and moved content, so that a viewer is sent copies instead of pixels.
//!
//! Anchors (places that content itself chooses, see `anchors`) of the new screen are looked for in the old
//! one. Those met again vote for the displacement they tell of; from the voters of the strongest
//! displacements, exact rectangles are grown (`grow`); what saves no tile is dropped, and what remains is
//! put in an order in which it can be applied (`arrange`). A displacement seen before is tried first,
//! which spares the search of the old screen; tiles that change without anything moving are
//! searched ever more seldom (`backoff`).
//!
//! Where a source says what it moved (`told`), rectangles are grown from that before anything is searched for. They are as
//! exact as those found: what was said wrongly saves no tile.

mod anchors;
mod arrange;
mod backoff;
mod grow;
#[cfg(test)]
mod scenes;
mod spans;
#[cfg(test)]
mod tests;
mod told;

pub use told::ToldMoves;

use super::{Framebuffer, Rect, TILE, TileSet};
use anchors::{Anchors, Density, LOWER, Part, WINDOW};
use backoff::BackOff;
use grow::{Displaced, Growth};

/// The most moves that one search returns.
pub const MAX_MOVES: usize = 16;

/// Fewer changed tiles are sent as they are.
const MIN_TILES: usize = 4;
/// Fewer anchors say nothing about a displacement.
const MIN_VOTES: usize = 2;
/// How many displacements are looked into, and how many places for each.
const MAX_DISPLACEMENTS: usize = 24;
const MAX_SEEDS: usize = 12;
/// How many rectangles are weighed against each other.
const MAX_CANDIDATES: usize = 32;
/// Smaller rectangles save no tile.
const MIN_AREA: u64 = TILE as u64 * 8;
/// In how many rows and columns of what a source says it moved a rectangle is begun.
const TOLD_SEEDS: u32 = 3;
/// From so many tiles on, a sample of the old screen is looked through before the rest.
const SAMPLED_TILES: usize = 32;
/// How many displacements are remembered.
const REMEMBERED: usize = 4;

/// The content of `from` in the old screen stands at `(x, y)` in the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub from: Rect,
    pub x: u32,
    pub y: u32,
}

impl Move {
    /// Where the content stands now.
    pub fn target(&self) -> Rect {
        Rect { x: self.x, y: self.y, ..self.from }
    }
}

/// How far content came to the right and down, in pixels.
type Displacement = (i32, i32);

/// Anchors that tell of the same displacement: where in `voters` they are.
struct Ballot {
    displacement: Displacement,
    voters: std::ops::Range<usize>,
}

/// Finds moves between one screen's states. Keeps its memory, what it found last, and which tiles it
/// searched in vain.
pub struct MoveFinder {
    anchors: Anchors,
    backoff: BackOff,
    seek: TileSet,
    voters: Vec<(Displacement, u16)>,
    ballots: Vec<Ballot>,
    seeds: Vec<(u32, u32)>,
    growth: Growth,
    candidates: Vec<Move>,
    /// What was found last, the latest first.
    recent: Vec<Displacement>,
    /// What the sample of the old screen tells of.
    likely: Vec<Displacement>,
}

impl Default for MoveFinder {
    fn default() -> Self {
        Self::new()
    }
}

impl MoveFinder {
    pub fn new() -> Self {
        MoveFinder {
            anchors: Anchors::new(),
            backoff: BackOff::new(),
            seek: TileSet::default(),
            voters: Vec::new(),
            ballots: Vec::new(),
            seeds: Vec::new(),
            growth: Growth::default(),
            candidates: Vec::with_capacity(MAX_CANDIDATES),
            recent: Vec::with_capacity(REMEMBERED + 1),
            likely: Vec::with_capacity(REMEMBERED),
        }
    }

    /// The moves, at most [`MAX_MOVES`], that make tiles of `old` equal to `new`; `changed` are the tiles
    /// that differ. Each is exact: every pixel of its target in `new` is the pixel of its source in `old`.
    /// They may be applied one after another, each as if its source were read whole before its target is
    /// written.
    ///
    /// Screens of different sizes, or a set of another grid, have no moves.
    pub fn find(&mut self, old: &Framebuffer, new: &Framebuffer, changed: &TileSet) -> Vec<Move> {
        self.find_told(old, new, changed, &ToldMoves::default())
    }

    /// The same, where the source says what it moved. That is looked at first, however few tiles changed and however often
    /// they did in vain, and the rest is searched.
    pub fn find_told(
        &mut self,
        old: &Framebuffer,
        new: &Framebuffer,
        changed: &TileSet,
        told: &ToldMoves,
    ) -> Vec<Move> {
        let grid = new.grid();
        let comparable = old.bounds() == new.bounds() && changed.grid_len() == grid.len();
        if !comparable || changed.is_empty() {
            return Vec::new();
        }
        self.candidates.clear();
        let area = changed.iter().fold(Rect::default(), |area, tile| area.union(&grid.rect(tile)));
        // A budget for what is said and one for what is found: who says what is wrong spoils no search.
        self.grow_told(old, new, told, &area, &mut (3 * area.area()));
        if self.search(old, new, &self.unexplained(old, new, changed)) {
            self.grow_candidates(old, new, &area, &mut (3 * area.area()));
        }
        arrange::prune(&mut self.candidates, MAX_MOVES, old, new, changed);
        self.backoff.learn(&self.seek, &self.candidates);
        self.remember();
        self.candidates.to_vec()
    }

    /// Grows rectangles from places in what the source says it moved.
    fn grow_told(
        &mut self,
        old: &Framebuffer,
        new: &Framebuffer,
        told: &ToldMoves,
        area: &Rect,
        budget: &mut u64,
    ) {
        for each in told.list() {
            let target = each.target().intersect(&new.bounds());
            let (dx, dy) = told::displacement(each);
            let place = |start: u32, length: u32, nth: u32| start + length * (2 * nth + 1) / (2 * TOLD_SEEDS);
            self.seeds.clear();
            for row in 0..TOLD_SEEDS {
                let y = place(target.y, target.height, row);
                let columns = (0..TOLD_SEEDS).map(|column| (place(target.x, target.width, column), y));
                self.seeds.extend(columns.filter(|&(x, y)| area.contains(&Rect::new(x, y, 1, 1))));
            }
            self.grow_seeds(&Displaced { old, new, dx, dy }, area, budget);
        }
    }

    /// The changed tiles that are not right by the candidates alone.
    fn unexplained(&self, old: &Framebuffer, new: &Framebuffer, changed: &TileSet) -> TileSet {
        let mut left = changed.clone();
        let targets = self.candidates.iter().map(Move::target);
        for target in targets.clone() {
            for tile in new.grid().tiles_in(&target) {
                if left.contains(tile) && arrange::is_right(&new.grid().rect(tile), targets.clone(), old, new)
                {
                    left.remove(tile);
                }
            }
        }
        left
    }

    /// Looks for displacements of what these tiles show. False if they say nothing of any; then nothing is sought.
    fn search(&mut self, old: &Framebuffer, new: &Framebuffer, tiles: &TileSet) -> bool {
        self.seek.clear();
        if tiles.len() < MIN_TILES {
            return false;
        }
        self.backoff.choose(new.grid(), tiles, &mut self.seek);
        let density = match self.seek.len() < MIN_TILES {
            true => None,
            false => Some(self.anchors.collect(old, new, &self.seek)),
        };
        let Some(density) = density.filter(|_| self.anchors.list().len() >= MIN_VOTES) else {
            self.seek.clear();
            return false;
        };
        self.likely.clone_from(&self.recent);
        if !self.vote_for_likely(old, new) {
            self.vote_by_anchors(old, new, density);
        }
        true
    }

    /// Looks the anchors up in the old screen: in a sample of it, and in the rest only if something moved
    /// and the displacements found so far do not explain it.
    fn vote_by_anchors(&mut self, old: &Framebuffer, new: &Framebuffer, density: Density) {
        self.anchors.look_up(old, &self.seek, Part::Sample, density);
        self.vote();
        if self.seek.len() >= SAMPLED_TILES {
            if self.voters.is_empty() {
                self.ballots.clear();
                return;
            }
            self.likely.clear();
            self.likely.extend(self.ballots.iter().take(REMEMBERED).map(|ballot| ballot.displacement));
            if self.vote_for_likely(old, new) {
                return;
            }
        }
        self.anchors.look_up(old, &self.seek, Part::Rest, density);
        self.vote();
    }

    /// Lets each anchor vote for the first likely displacement that explains it. Returns whether most of
    /// them found one.
    fn vote_for_likely(&mut self, old: &Framebuffer, new: &Framebuffer) -> bool {
        self.voters.clear();
        for (index, anchor) in self.anchors.list().iter().enumerate() {
            let (x, y) = (u32::from(anchor.x), u32::from(anchor.y));
            let explained =
                self.likely.iter().find(|displacement| shows_moved_window(old, new, x, y, **displacement));
            if let Some(displacement) = explained {
                self.voters.push((*displacement, index as u16));
            }
        }
        self.count_votes();
        self.voters.len() * 4 >= self.anchors.list().len() * 3
    }

    /// Lets each anchor vote that was met once.
    fn vote(&mut self) {
        self.voters.clear();
        let displacements = self.anchors.displacements();
        self.voters.extend(displacements.map(|(index, dx, dy)| ((dx, dy), index as u16)));
        self.count_votes();
    }

    /// Sorts the voters into ballots, the strongest first.
    fn count_votes(&mut self) {
        self.voters.sort_unstable();
        self.ballots.clear();
        let mut start = 0;
        for same in self.voters.chunk_by(|a, b| a.0 == b.0) {
            let voters = start..start + same.len();
            start = voters.end;
            if same.len() >= MIN_VOTES && same[0].0 != (0, 0) {
                self.ballots.push(Ballot { displacement: same[0].0, voters });
            }
        }
        self.ballots.sort_unstable_by_key(|ballot| (usize::MAX - ballot.voters.len(), ballot.displacement));
        self.ballots.truncate(MAX_DISPLACEMENTS);
    }

    /// Grows rectangles from voters that no rectangle covers yet.
    fn grow_candidates(&mut self, old: &Framebuffer, new: &Framebuffer, area: &Rect, budget: &mut u64) {
        let ballots = std::mem::take(&mut self.ballots);
        for ballot in &ballots {
            let (dx, dy) = ballot.displacement;
            self.seeds.clear();
            let anchors = self.anchors.list();
            let voters = self.voters[ballot.voters.clone()].iter();
            self.seeds.extend(voters.map(|(_, index)| {
                let anchor = &anchors[usize::from(*index)];
                (u32::from(anchor.x), u32::from(anchor.y))
            }));
            self.grow_seeds(&Displaced { old, new, dx, dy }, area, budget);
        }
        self.ballots = ballots;
    }

    /// Grows rectangles of one displacement from the seeds that none covers yet.
    fn grow_seeds(&mut self, displaced: &Displaced, area: &Rect, budget: &mut u64) {
        for candidate in &self.candidates {
            drop_covered(&mut self.seeds, &candidate.target());
        }
        for _ in 0..MAX_SEEDS {
            if self.seeds.is_empty() || *budget == 0 || self.candidates.len() == MAX_CANDIDATES {
                break;
            }
            // The middle one: outer ones are more likely to sit in something that moved by itself.
            let (x, y) = self.seeds.swap_remove(self.seeds.len() / 2);
            let Some(grown) = displaced.grow(x, y, area, &mut self.growth, budget) else {
                continue;
            };
            let free = self
                .candidates
                .iter()
                .fold(grown, |free, candidate| arrange::clip(&free, &candidate.target(), x, y));
            if free.area() < MIN_AREA {
                drop_covered(&mut self.seeds, &grown);
                continue;
            }
            drop_covered(&mut self.seeds, &free);
            self.candidates.push(Move { from: displaced.source(&free), x: free.x, y: free.y });
            let last = self.candidates.len() - 1;
            let added = self.candidates[last];
            if !arrange::put_in_order(&mut self.candidates) {
                self.candidates.retain(|candidate| *candidate != added);
            }
        }
    }

    /// Moves what has just been found to the front of what is tried first.
    fn remember(&mut self) {
        for candidate in &self.candidates {
            let dx = candidate.x as i32 - candidate.from.x as i32;
            let dy = candidate.y as i32 - candidate.from.y as i32;
            self.recent.retain(|recent| *recent != (dx, dy));
            self.recent.insert(0, (dx, dy));
            self.recent.truncate(REMEMBERED);
        }
    }
}

/// Whether the window of the anchor at `(x, y)` stood in the old screen before this displacement.
fn shows_moved_window(old: &Framebuffer, new: &Framebuffer, x: u32, y: u32, (dx, dy): Displacement) -> bool {
    let (Some(from_x), Some(from_y)) = (x.checked_add_signed(-dx), y.checked_add_signed(-dy)) else {
        return false;
    };
    from_x + WINDOW <= old.width()
        && from_y + LOWER < old.height()
        && [0, LOWER].iter().all(|row| new.row(x, y + row, WINDOW) == old.row(from_x, from_y + row, WINDOW))
}

fn drop_covered(seeds: &mut Vec<(u32, u32)>, rect: &Rect) {
    seeds.retain(|&(x, y)| !rect.contains(&Rect::new(x, y, 1, 1)));
}

/// The oracle of tests and fuzzing: panics unless the moves are exact, can be applied one after another, and
/// are not more than may be sent.
#[cfg(any(test, fuzzing))]
pub fn check_moves(old: &Framebuffer, new: &Framebuffer, moves: &[Move]) {
    assert!(moves.len() <= MAX_MOVES, "{} moves are more than {MAX_MOVES}", moves.len());
    let mut screen = old.clone();
    for m in moves {
        assert!(!m.from.is_empty() && m.from != m.target(), "{m:?} moves nothing");
        assert!(
            new.bounds().contains(&m.from) && new.bounds().contains(&m.target()),
            "{m:?} leaves the screen"
        );
        for row in 0..m.from.height {
            let source = old.row(m.from.x, m.from.y + row, m.from.width);
            assert!(source == new.row(m.x, m.y + row, m.from.width), "row {row} of {m:?} is not exact");
        }
        screen.copy_within(m.from, m.x, m.y);
    }
    for m in moves {
        for y in m.y..m.target().bottom() {
            let same = screen.row(m.x, y, m.from.width) == new.row(m.x, y, m.from.width);
            assert!(same, "row {y} of {m:?} is wrong after all of {moves:?}");
        }
    }
}
