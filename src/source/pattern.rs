//! A screen that draws itself: the same changes for the same seed, with no host behind it. For load and
//! latency benches, and for trying a gateway without a desktop.

use super::{Canvas, Source, SourceEvent, SourceState};
use crate::screen::{Framebuffer, Rect, SizeError};
use crate::wire::InputEvent;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// The side of the block that a key flips, in pixels.
const ECHO_SIDE: u32 = 64;
const BACKGROUND: u32 = 0x00f4_f4f0;
/// A text line's pitch, and how far the text moves a frame, in pixels.
const LINE: u32 = 16;
const SCROLL: u32 = 4;
/// What waits to be drawn; more is not drawn.
const MOST_WAITING: usize = 1_024;

/// What a pattern draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternConfig {
    pub seed: u64,
    /// In pixels.
    pub width: u32,
    pub height: u32,
    /// How often the pattern changes by itself; 0: only input changes it.
    pub frames_per_second: u32,
}

enum Errand {
    /// A key went down: flip the block.
    Flip,
    Resize(u32, u32),
}

/// A pattern as a source. Dropping it ends its thread.
pub struct PatternSource {
    errands: mpsc::SyncSender<Errand>,
}

impl PatternSource {
    /// Draws into `canvas` from now on, which gets the pattern's size.
    ///
    /// # Errors
    /// When no canvas can have that size.
    pub fn start(
        canvas: Arc<Canvas>,
        events: Sender<SourceEvent>,
        config: PatternConfig,
    ) -> Result<PatternSource, SizeError> {
        Framebuffer::new(config.width, config.height)?;
        let (errands, inbox) = mpsc::sync_channel(MOST_WAITING);
        let mut pattern = Pattern { canvas, config, frame: 0, flipped: false };
        pattern.resize(config.width, config.height)?;
        // A new session's queue is empty; one that is gone need not know.
        let _ = events.try_send(SourceEvent::State(SourceState::Live));
        std::thread::spawn(move || pattern.run(&inbox));
        Ok(PatternSource { errands })
    }
}

impl Source for PatternSource {
    fn input(&self, event: InputEvent) {
        let presses = match event {
            InputEvent::KeyDown { .. } => 1,
            InputEvent::Text(text) => text.chars().count(),
            _ => 0,
        };
        for _ in 0..presses {
            // It fails when the thread is gone, or has more to draw than anybody presses by hand.
            let _ = self.errands.try_send(Errand::Flip);
        }
    }

    fn resize(&self, width: u32, height: u32) {
        let _ = self.errands.try_send(Errand::Resize(width, height));
    }
}

struct Pattern {
    canvas: Arc<Canvas>,
    config: PatternConfig,
    frame: u64,
    flipped: bool,
}

impl Pattern {
    fn run(&mut self, inbox: &mpsc::Receiver<Errand>) {
        let period = Duration::from_secs(1).checked_div(self.config.frames_per_second);
        let mut next = Instant::now();
        loop {
            let errand = match period {
                None => inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                Some(_) => inbox.recv_timeout(next.saturating_duration_since(Instant::now())),
            };
            match errand {
                Ok(Errand::Flip) => self.flip(),
                Ok(Errand::Resize(width, height)) => {
                    if let Err(error) = self.resize(width, height) {
                        tracing::debug!(%error, "the pattern stays as it is");
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.frame += 1;
                    self.draw_frame();
                    // A late frame is not made up for by hurrying the next ones.
                    next = (next + period.unwrap_or_default()).max(Instant::now());
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError> {
        let mut painting = self.canvas.lock();
        painting.resize(width, height)?;
        (self.config.width, self.config.height) = (width, height);
        painting.framebuffer.pixels_mut().fill(BACKGROUND);
        drop(painting);
        self.draw_frame();
        self.draw_echo();
        Ok(())
    }

    fn flip(&mut self) {
        self.flipped = !self.flipped;
        self.draw_echo();
    }

    fn draw_echo(&self) {
        let colour = if self.flipped { 0x0020_60c0 } else { 0x00ff_ffff };
        self.fill(Rect::new(0, 0, ECHO_SIDE, ECHO_SIDE), |_, _| colour);
    }

    /// Draws everything that this frame changes.
    fn draw_frame(&self) {
        let Layout { box_path, text, noise } = layout(self.config.width, self.config.height);
        let frame = self.frame;
        let side = box_path.height;
        let reach = u64::from(box_path.width.saturating_sub(side)).max(1);
        let place = (frame * 8 % reach) as u32;
        self.fill(box_path, |x, _| if (place..place + side).contains(&x) { 0x00d0_3030 } else { BACKGROUND });
        let seed = self.config.seed;
        let scrolled = frame.wrapping_mul(SCROLL.into());
        self.fill(text, |x, y| letter_pixel(seed, x, scrolled + u64::from(y)));
        let noise_seed = mix(seed ^ frame.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.fill(noise, |x, y| (mix(noise_seed ^ (u64::from(x) << 32 | u64::from(y))) & 0x00ff_ffff) as u32);
    }

    /// Fills what of a rectangle lies on the screen, pixel by pixel, and tells the session.
    fn fill(&self, rect: Rect, colour: impl Fn(u32, u32) -> u32) {
        let mut painting = self.canvas.lock();
        let rect = rect.intersect(&painting.framebuffer.bounds());
        if rect.is_empty() {
            return;
        }
        for y in 0..rect.height {
            let row = painting.framebuffer.row_mut(rect.x, rect.y + y, rect.width);
            row.iter_mut().zip(0..).for_each(|(pixel, x)| *pixel = colour(x, y));
        }
        painting.add_damage(&rect);
        drop(painting);
        self.canvas.notify();
    }
}

struct Layout {
    box_path: Rect,
    text: Rect,
    noise: Rect,
}

/// A path for the box along the top, text in the left half, noise in the lower right corner.
fn layout(width: u32, height: u32) -> Layout {
    let top = ECHO_SIDE;
    let below = height.saturating_sub(top);
    Layout {
        box_path: Rect::new(top, 0, width.saturating_sub(top), top / 2),
        text: Rect::new(0, top, width / 2, below),
        noise: Rect::new(width / 2 + width / 8, top + below / 2, width / 4, below / 4),
    }
}

/// A pixel of endless writing: letters of strokes on a 3 by 5 raster, in words.
fn letter_pixel(seed: u64, x: u32, y: u64) -> u32 {
    let (line, in_line) = (y / u64::from(LINE), y % u64::from(LINE));
    let (letter, in_letter) = (x / 8, x % 8);
    let shape = mix(seed ^ mix(line << 20 | u64::from(letter)));
    let is_space = shape >> 60 < 3;
    if is_space || in_letter >= 6 || !(3..13).contains(&in_line) {
        return BACKGROUND;
    }
    let stroke = (in_line - 3) / 2 * 3 + u64::from(in_letter / 2);
    if shape >> stroke & 1 == 1 { 0x0018_1820 } else { BACKGROUND }
}

/// Scatters a number's bits (the finaliser of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(seed: u64) -> Pattern {
        let config = PatternConfig { seed, width: 640, height: 480, frames_per_second: 0 };
        let canvas = Arc::new(Canvas::new(1, 1).unwrap());
        let mut pattern = Pattern { canvas, config, frame: 0, flipped: false };
        pattern.resize(640, 480).unwrap();
        pattern
    }

    fn pixels(pattern: &Pattern) -> Vec<u32> {
        pattern.canvas.lock().framebuffer.pixels().to_vec()
    }

    #[test]
    fn one_seed_draws_one_picture_and_another_another() {
        let (mut one, mut same, other) = (pattern(1), pattern(1), pattern(2));
        for _ in 0..5 {
            one.frame += 1;
            one.draw_frame();
        }
        assert_ne!(pixels(&one), pixels(&same));
        same.frame = 5;
        same.draw_frame();
        assert!(pixels(&one) == pixels(&same));
        assert!(pixels(&pattern(1)) != pixels(&other));
        assert!(pixels(&one).iter().all(|pixel| pixel >> 24 == 0));
    }

    #[test]
    fn a_key_flips_the_block_and_nothing_else() {
        let mut pattern = pattern(7);
        let before = pixels(&pattern);
        pattern.flip();
        let after = pixels(&pattern);
        let changed: Vec<usize> = (0..before.len()).filter(|&index| before[index] != after[index]).collect();
        assert_eq!(changed.len(), (ECHO_SIDE * ECHO_SIDE) as usize);
        assert!(changed.iter().all(|index| index % 640 < 64 && index / 640 < 64));
        pattern.flip();
        assert!(pixels(&pattern) == before);
    }

    #[test]
    fn what_a_frame_changes_is_damaged() {
        let mut pattern = pattern(3);
        let before = pixels(&pattern);
        let mut painting = pattern.canvas.lock();
        let tiles = painting.grid().len();
        painting.damage = crate::screen::TileSet::new(tiles);
        drop(painting);
        pattern.frame = 1;
        pattern.draw_frame();
        let after = pixels(&pattern);
        let painting = pattern.canvas.lock();
        let grid = painting.grid();
        for index in (0..before.len()).filter(|&index| before[index] != after[index]) {
            assert!(painting.damage.contains(grid.tile_at(index as u32 % 640, index as u32 / 640)));
        }
    }

    #[test]
    fn a_size_that_no_screen_has_is_refused_and_changes_nothing() {
        let mut pattern = pattern(3);
        assert!(pattern.resize(0, 10).is_err());
        assert_eq!(pattern.canvas.lock().framebuffer.width(), 640);
    }

    #[tokio::test]
    async fn input_wakes_a_pattern_that_draws_nothing_by_itself() {
        let canvas = Arc::new(Canvas::new(1, 1).unwrap());
        let (events, _kept) = tokio::sync::mpsc::channel(4);
        let config = PatternConfig { seed: 1, width: 320, height: 200, frames_per_second: 0 };
        let source = PatternSource::start(Arc::clone(&canvas), events, config).unwrap();
        canvas.changed().await;
        let before = canvas.lock().framebuffer.row(0, 0, 1)[0];
        source.input(InputEvent::KeyDown { key: 4, keysym: 97 });
        canvas.changed().await;
        assert_ne!(canvas.lock().framebuffer.row(0, 0, 1)[0], before);
        source.resize(100, 100);
        canvas.changed().await;
        assert_eq!(canvas.lock().framebuffer.width(), 100);
    }
}
