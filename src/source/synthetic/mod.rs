//! Sessions that look like work, with no host behind them: a form, a table, a picture. For loading a gateway. Every
//! event is answered by a change of one tile that its sender chose, so that an update says what it answers.

mod layout;
mod page;
mod stack;

pub use layout::Layout;

use super::{Canvas, Painting, Source, SourceEvent, SourceState};
use crate::screen::{Rect, SizeError, TILE, TileId};
use crate::wire::InputEvent;
use page::{INK, LETTER, PAPER, ROW};
use stack::Stack;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

/// A key of this keysym and of those that follow is answered in the tile of that number: Unicode's private use area.
const FIRST_KEYSYM: u32 = 0x0100_e000;
const MOST_TILES: u32 = 6_400;
/// What titles of synthetic sessions begin with: nobody types into a real one by mistake.
pub const TITLE: &str = "Synthetic";
/// How far a notch of the wheel scrolls the table.
const STEP: u32 = 3 * ROW;
const FRAME: Duration = Duration::from_millis(40);

/// The keysym of the key that is answered in this tile.
pub fn keysym_for(tile: TileId) -> u32 {
    FIRST_KEYSYM + tile.min(MOST_TILES - 1)
}

/// What a synthetic session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticConfig {
    pub seed: u64,
    pub width: u32,
    pub height: u32,
    /// The wheel goes through the picture's slices, rather than scrolling the table.
    pub stack: bool,
    /// The picture moves by itself, 25 times a second.
    pub video: bool,
}

/// A synthetic screen as a source. It needs no thread: input draws at once, and only a moving picture has a task.
pub struct SyntheticSource {
    canvas: Arc<Canvas>,
    sheet: Arc<Mutex<Sheet>>,
    video: Option<AbortHandle>,
}

/// What has been drawn so far, beside the pixels.
struct Sheet {
    config: SyntheticConfig,
    layout: Layout,
    /// How often each tile has answered.
    answers: Vec<u32>,
    scrolled: u64,
    slice: u64,
    stack: Option<Arc<Stack>>,
}

impl SyntheticSource {
    /// Draws into `canvas`, which gets the configured size. A moving picture needs tokio's runtime.
    pub fn start(
        canvas: Arc<Canvas>,
        events: &Sender<SourceEvent>,
        config: SyntheticConfig,
    ) -> Result<SyntheticSource, SizeError> {
        let sheet = Sheet::new(config);
        sheet.draw(&mut canvas.lock())?;
        canvas.notify();
        // A new session's queue is empty; one that is gone need not know.
        let _ = events.try_send(SourceEvent::State(SourceState::Live));
        let sheet = Arc::new(Mutex::new(sheet));
        let video = config.video.then(|| {
            let (canvas, sheet) = (canvas.clone(), sheet.clone());
            tokio::spawn(async move {
                let mut frames = tokio::time::interval(FRAME);
                frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
                loop {
                    frames.tick().await;
                    lock(&sheet).turn_slice(&mut canvas.lock());
                    canvas.notify();
                }
            })
            .abort_handle()
        });
        Ok(SyntheticSource { canvas, sheet, video })
    }
}

impl Drop for SyntheticSource {
    fn drop(&mut self) {
        if let Some(video) = &self.video {
            video.abort();
        }
    }
}

fn lock(sheet: &Mutex<Sheet>) -> std::sync::MutexGuard<'_, Sheet> {
    sheet.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source for SyntheticSource {
    fn input(&self, event: InputEvent) {
        let mut sheet = lock(&self.sheet);
        let is_answered = match event {
            InputEvent::KeyDown { keysym, .. } => keysym
                .checked_sub(FIRST_KEYSYM)
                .filter(|tile| *tile < MOST_TILES)
                .is_some_and(|tile| sheet.write(&mut self.canvas.lock(), tile)),
            InputEvent::PointerButton { down: true, x, y, .. } => {
                sheet.press(&mut self.canvas.lock(), u32::from(x), u32::from(y))
            }
            InputEvent::Wheel { vertical, x, y, .. } if vertical != 0 => {
                sheet.wheel(&mut self.canvas.lock(), u32::from(x), u32::from(y))
            }
            _ => false,
        };
        if is_answered {
            self.canvas.notify();
        }
    }

    /// The screen keeps its size: every viewer of it counts on its tiles.
    fn resize(&self, _: u32, _: u32) {}
}

impl Sheet {
    fn new(config: SyntheticConfig) -> Sheet {
        let layout = Layout::new(config.width, config.height);
        let shows_picture = (config.stack || config.video) && !layout.picture.is_empty();
        Sheet {
            config,
            layout,
            answers: vec![0; layout.grid().len()],
            scrolled: 0,
            slice: config.seed,
            stack: shows_picture.then(|| Stack::of(layout.picture.width)),
        }
    }

    /// The page as every session has it, and what is this session's own.
    fn draw(&self, painting: &mut Painting) -> Result<(), SizeError> {
        let SyntheticConfig { seed, width, height, .. } = self.config;
        let page = page::page(width, height)?;
        painting.resize(width, height)?;
        painting.framebuffer.pixels_mut().copy_from_slice(page.pixels());
        page::text(&mut painting.framebuffer, 16, 12, 24, page::mix(seed), 0x00ff_ffff);
        page::rows(&mut painting.framebuffer, &self.layout.table, self.scrolled, seed);
        self.draw_slice(painting);
        Ok(())
    }

    fn draw_slice(&self, painting: &mut Painting) {
        let Some(stack) = &self.stack else { return };
        let place = self.layout.picture;
        for y in 0..place.height {
            let greys = stack.row(self.slice, y);
            let row = painting.framebuffer.row_mut(place.x, place.y + y, place.width);
            row.iter_mut().zip(greys).for_each(|(pixel, &grey)| *pixel = u32::from(grey) * 0x0001_0101);
        }
        painting.add_damage(&place);
    }

    fn turn_slice(&mut self, painting: &mut Painting) {
        self.slice += 1;
        self.draw_slice(painting);
    }

    /// The tile's place and how often it has answered before; `None` if it answers nothing. A dot in its corner
    /// turns, so that the tile changes whatever else is drawn.
    fn answer(&mut self, painting: &mut Painting, tile: TileId) -> Option<(Rect, u32)> {
        if !self.layout.is_echo(tile) {
            return None;
        }
        let answers = &mut self.answers[tile as usize];
        *answers += 1;
        let place = self.layout.grid().rect(tile);
        let dot = Rect::new(place.right() - 1, place.y, 1, 1);
        page::fill(&mut painting.framebuffer, &dot, if answers.is_multiple_of(2) { PAPER } else { INK });
        painting.add_damage(&dot);
        Some((place, *answers - 1))
    }

    /// A letter behind those that the tile holds already, and the caret behind it; a full line starts anew.
    fn write(&mut self, painting: &mut Painting, tile: TileId) -> bool {
        let Some((place, before)) = self.answer(painting, tile) else { return false };
        let letters = (place.width / LETTER.0).saturating_sub(2).max(1);
        let at = before % letters;
        let top = place.y + place.height.saturating_sub(LETTER.1) / 2;
        if at == 0 {
            let line = Rect::new(place.x, top, letters * LETTER.0 + 2, LETTER.1).intersect(&place);
            page::fill(&mut painting.framebuffer, &line, PAPER);
            painting.add_damage(&line);
        }
        let shape = page::mix(self.config.seed ^ u64::from(tile) << 32 ^ u64::from(before));
        // The ground is wiped first: there stood the caret, and whatever the page has.
        let cell = Rect::new(place.x + at * LETTER.0, top, LETTER.0, LETTER.1).intersect(&place);
        let caret = Rect::new(cell.right(), top + 1, 2, LETTER.1 - 2).intersect(&place);
        page::fill(&mut painting.framebuffer, &cell, PAPER);
        if cell.width == LETTER.0 && cell.height == LETTER.1 {
            page::glyph(&mut painting.framebuffer, cell.x, cell.y, shape, INK);
        }
        page::fill(&mut painting.framebuffer, &caret, INK);
        painting.add_damage(&cell.union(&caret));
        true
    }

    /// A button under the pointer that takes another colour.
    fn press(&mut self, painting: &mut Painting, x: u32, y: u32) -> bool {
        let Some((place, before)) = self.answer_at(painting, x, y) else { return false };
        let colour = [0x00cf_e3d4, 0x00d5_def0, 0x00f0_e2c4][before as usize % 3];
        let inset = 8.min(place.width / 3).min(place.height / 3);
        let button = Rect::new(
            place.x + inset,
            place.y + inset,
            place.width - 2 * inset,
            (place.height - 2 * inset).min(20),
        );
        page::fill(&mut painting.framebuffer, &button, colour);
        painting.add_damage(&button);
        true
    }

    fn answer_at(&mut self, painting: &mut Painting, x: u32, y: u32) -> Option<(Rect, u32)> {
        let inside = x < self.config.width && y < self.config.height;
        let tile = inside.then(|| self.layout.grid().tile_at(x, y))?;
        self.answer(painting, tile)
    }

    /// The table or the stack goes on, and a mark of the position changes under the pointer.
    fn wheel(&mut self, painting: &mut Painting, x: u32, y: u32) -> bool {
        let Some((place, before)) = self.answer_at(painting, x, y) else { return false };
        if self.config.stack {
            self.turn_slice(painting);
        } else {
            self.scrolled += u64::from(STEP);
            let table = self.layout.table;
            page::scroll(&mut painting.framebuffer, &table, self.scrolled, STEP, self.config.seed);
            painting.add_damage(&table);
        }
        // The mark goes down the tile's left edge, a step at a time.
        let steps = (place.height.min(TILE) / 4).max(1);
        let track = Rect::new(place.x, place.y, 3.min(place.width), place.height);
        let mark = Rect::new(place.x, place.y + before % steps * 4, track.width, 4).intersect(&place);
        page::fill(
            &mut painting.framebuffer,
            &track,
            if before / steps % 2 == 0 { PAPER } else { 0x00e0_e4ea },
        );
        page::fill(&mut painting.framebuffer, &mark, 0x0024_4c7c);
        painting.add_damage(&track);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Button;
    use proptest::prelude::*;

    fn config(seed: u64, stack: bool) -> SyntheticConfig {
        SyntheticConfig { seed, width: 640, height: 480, stack, video: false }
    }

    fn start(config: SyntheticConfig) -> (SyntheticSource, Arc<Canvas>) {
        let canvas = Arc::new(Canvas::new(1, 1).unwrap());
        let (events, _kept) = tokio::sync::mpsc::channel(4);
        (SyntheticSource::start(canvas.clone(), &events, config).unwrap(), canvas)
    }

    fn event(kind: u8, tile: TileId, layout: &Layout) -> InputEvent {
        let place = layout.grid().rect(tile);
        let (x, y) = (place.x as u16 + 3, place.y as u16 + 3);
        match kind {
            0 => InputEvent::KeyDown { key: 0, keysym: keysym_for(tile) },
            1 => InputEvent::PointerButton { button: Button::Left, down: true, x, y },
            _ => InputEvent::Wheel { horizontal: 0, vertical: 120, x, y },
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn each_event_changes_its_tile_and_all_that_changes_is_damaged(
            stack: bool, events in proptest::collection::vec((0u8..3, 0usize..6), 1..60),
        ) {
            let (source, canvas) = start(config(3, stack));
            let layout = Layout::new(640, 480);
            let echoes = layout.echoes();
            let mut before = canvas.lock().framebuffer.clone();
            for (kind, index) in events {
                let tile = echoes[index * 7 % echoes.len()];
                canvas.lock().damage.clear();
                source.input(event(kind, tile, &layout));
                let painting = canvas.lock();
                let all = crate::screen::TileSet::full(layout.grid().len());
                let changed = crate::screen::find_changes(&before, &painting.framebuffer, &all);
                prop_assert!(changed.contains(tile), "event {kind} left its tile as it was");
                let others = changed.iter().filter(|&other| other != tile && layout.is_echo(other));
                prop_assert_eq!(others.count(), 0, "another's tile changed");
                prop_assert!(changed.iter().all(|tile| painting.damage.contains(tile)));
                before = painting.framebuffer.clone();
            }
        }
    }

    #[test]
    fn one_seed_draws_one_screen_and_another_another() {
        let pixels = |seed| start(config(seed, true)).1.lock().framebuffer.pixels().to_vec();
        assert!(pixels(1) == pixels(1));
        assert!(pixels(1) != pixels(2));
    }

    #[test]
    fn keys_of_real_keyboards_and_tiles_that_do_not_answer_change_nothing() {
        let (source, canvas) = start(config(1, false));
        let before = canvas.lock().framebuffer.clone();
        let table = Layout::new(640, 480).table;
        source.input(InputEvent::KeyDown { key: 4, keysym: 0x61 });
        source.input(InputEvent::KeyDown { key: 4, keysym: keysym_for(TileId::MAX) });
        source.input(InputEvent::Wheel {
            horizontal: 0,
            vertical: 120,
            x: table.x as u16,
            y: table.y as u16,
        });
        assert!(canvas.lock().framebuffer == before);
    }

    #[tokio::test]
    async fn a_moving_picture_moves_by_itself() {
        let (_source, canvas) = start(SyntheticConfig { video: true, ..config(1, false) });
        let before = canvas.lock().framebuffer.clone();
        let moves = async {
            while canvas.lock().framebuffer == before {
                canvas.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), moves).await.expect("the picture stood still");
    }
}
