//! What a viewer showed, and when. A rehearsal draws the scene once and remembers, frame by frame, the pixels at
//! some of the places that ever change; a frame counts as shown when they are all there.

use crate::pictures::Random;
use crate::scenes::{Material, Program, Scene};
use crate::stage::{Camera, Result, marked};
use chevet::clock;

const PROBES: usize = 2_048;

/// What every frame of a scene looks like.
pub struct Rehearsal {
    pub first: Vec<u32>,
    pub last: Vec<u32>,
    probes: Vec<usize>,
    /// The probes' pixels, frame by frame from the opening on.
    values: Vec<Vec<u32>>,
}

impl Rehearsal {
    pub fn hold(scene: Scene, material: &Material, display: &str, frames: u32) -> Result<Rehearsal> {
        let camera = Camera::open(display)?;
        let mut program = Program::open(scene, material, display)?;
        let first = camera.take()?;
        let (mut before, mut ever) = (first.clone(), vec![false; first.len()]);
        for _ in 0..frames {
            program.draw()?;
            program.finish()?;
            let now = camera.take()?;
            ever.iter_mut()
                .zip(now.iter().zip(&before))
                .for_each(|(ever, (now, before))| *ever |= now != before);
            before = now;
        }
        let last = before;
        let places: Vec<usize> = (0..ever.len()).filter(|&place| ever[place]).collect();
        let mut random = Random::new(1);
        let mut probes: Vec<usize> =
            (0..PROBES).map(|_| places[random.below(places.len() as u64) as usize]).collect();
        probes.sort_unstable();
        let mut program = Program::open(scene, material, display)?;
        let mut values = vec![at(&camera.take()?, &probes)];
        for _ in 0..frames {
            program.draw()?;
            program.finish()?;
            values.push(at(&camera.take()?, &probes));
        }
        Ok(Rehearsal { first, last, probes, values })
    }

    pub fn frames(&self) -> u32 {
        self.values.len() as u32 - 1
    }
}

fn at(screen: &[u32], probes: &[usize]) -> Vec<u32> {
    probes.iter().map(|&place| screen[place]).collect()
}

/// A viewer's watcher.
pub struct Watch {
    rehearsal: std::sync::Arc<Rehearsal>,
    lossy: bool,
    /// The newest frame that was shown whole.
    shown: u32,
    /// When the viewer came to each frame it showed.
    pub shown_at: Vec<(u32, u64)>,
    /// Squared errors at the probes while moving, and of how many components.
    moving_error: (f64, u64),
    pub opened_at: Option<u64>,
    pub updated_at: u64,
    /// When the whole last frame was there, to the pixel.
    pub exact_at: Option<u64>,
    pub updates: u64,
    pub update_bytes: u64,
    screen: Vec<u32>,
}

impl Watch {
    pub fn new(rehearsal: std::sync::Arc<Rehearsal>, lossy: bool) -> Watch {
        Watch {
            rehearsal,
            lossy,
            shown: 0,
            shown_at: Vec::new(),
            moving_error: (0.0, 0),
            opened_at: None,
            updated_at: 0,
            exact_at: None,
            updates: 0,
            update_bytes: 0,
            screen: Vec::new(),
        }
    }

    /// The viewer's screen after an update that was decoded just now.
    pub fn look(&mut self, screen: &[u32]) {
        let now = clock::now_us();
        let rehearsal = self.rehearsal.clone();
        if screen.len() != rehearsal.first.len() {
            return;
        }
        self.updated_at = now;
        if self.opened_at.is_none() && (screen == rehearsal.first || self.lossy) {
            self.opened_at = Some(now);
        }
        let ahead = (marked(screen).wrapping_sub(self.shown)) & 511;
        let marked = self.shown + ahead;
        if ahead < 256 && marked <= rehearsal.frames() {
            let newest = match self.lossy {
                true => {
                    (self.shown..=marked).min_by_key(|&frame| self.error(screen, frame)).unwrap_or(self.shown)
                }
                false if self.error(screen, marked) == 0 => marked,
                false => self.shown,
            };
            if newest > self.shown {
                self.shown = newest;
                self.shown_at.push((newest, now));
                if newest < rehearsal.frames() {
                    self.moving_error.0 += self.error(screen, newest) as f64;
                    self.moving_error.1 += PROBES as u64 * 3;
                }
            }
        }
        if self.exact_at.is_none() && self.shown == rehearsal.frames() && screen == rehearsal.last {
            self.exact_at = Some(now);
        }
        if self.shown == rehearsal.frames() {
            self.screen.clear();
            self.screen.extend_from_slice(screen);
        }
    }

    fn error(&self, screen: &[u32], frame: u32) -> u64 {
        let probes = self.rehearsal.probes.iter().zip(&self.rehearsal.values[frame as usize]);
        probes.map(|(&place, &value)| squared(screen[place], value)).sum()
    }

    /// Of the frames as they were shown while the scene moved; infinite when all were exact.
    pub fn moving_psnr(&self) -> f64 {
        psnr(self.moving_error.0, self.moving_error.1)
    }

    /// Of what changes on the screen, at the end.
    pub fn resting_psnr(&self) -> f64 {
        if self.screen.is_empty() {
            return 0.0;
        }
        let frame = self.rehearsal.frames();
        psnr(self.error(&self.screen, frame) as f64, PROBES as u64 * 3)
    }

    /// For each frame, from its drawing to when it or a later one was shown; what was never shown counts to `end`.
    pub fn latencies(&self, drawn_at: &[u64], end: u64) -> Vec<u64> {
        let latency = |(index, &drawn): (usize, &u64)| {
            let shown = self.shown_at.iter().find(|(shown, _)| *shown > index as u32);
            shown.map_or(end, |(_, at)| *at).saturating_sub(drawn)
        };
        drawn_at.iter().enumerate().map(latency).collect()
    }
}

fn squared(a: u32, b: u32) -> u64 {
    let part = |shift: u32| {
        let difference = i64::from((a >> shift) & 255) - i64::from((b >> shift) & 255);
        (difference * difference) as u64
    };
    part(16) + part(8) + part(0)
}

fn psnr(error: f64, count: u64) -> f64 {
    10.0 * (255.0 * 255.0 * count as f64 / error).log10()
}
