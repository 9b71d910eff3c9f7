//! Pictures of the session with a mark burnt in, one for each mark that somebody sees: each with hashes, encodings and
//! videos of its own, so that everything that a marked viewer is sent and proves has the mark in it. Nobody else's
//! pixels are touched.

use super::Grant;
use super::encoding::Encoding;
use super::video::{Made, Videos, Viewers};
use crate::mark::Mark;
use crate::policy::Watermark;
use crate::screen::{Framebuffer, SizeError, TileSet};
use crate::sync::{Micros, Scene};
use crate::wire::Policy;
use tokio::sync::mpsc;

/// The picture without a mark.
pub(super) const PLAIN: u64 = 0;

struct Picture {
    number: u64,
    who: String,
    minute: i64,
    mark: Mark,
    /// What the scene takes over from; `None` while that is the same as the scene.
    canvas: Option<Framebuffer>,
    scene: Scene,
    encoding: Encoding,
    videos: Videos,
}

pub(super) struct Marks {
    pictures: Vec<Picture>,
    last: u64,
    made: mpsc::Sender<Made>,
}

/// Whose mark is in what a viewer of this grant is sent; `None`: nobody's.
pub(super) fn burnt_in(grant: &Grant) -> Option<String> {
    let who = grant.mark();
    match grant.allowed.watermark {
        Watermark::BurntIn if Mark::can_write(&who) => Some(who),
        Watermark::BurntIn => Some(format!("{} · {who}", grant.user)),
        Watermark::None | Watermark::Viewer => None,
    }
}

impl Marks {
    pub fn new(made: mpsc::Sender<Made>) -> Self {
        Marks { pictures: Vec::new(), last: PLAIN, made }
    }

    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// The scene that a picture's viewers see.
    pub fn scene<'a>(&'a self, plain: &'a Scene, number: u64) -> &'a Scene {
        let marked = self.pictures.iter().find(|picture| picture.number == number);
        marked.map_or(plain, |picture| &picture.scene)
    }

    /// The same, and what encodes it.
    pub fn parts<'a>(
        &'a mut self,
        plain: (&'a mut Scene, &'a mut Encoding),
        number: u64,
    ) -> (&'a mut Scene, &'a mut Encoding) {
        let marked = self.pictures.iter_mut().find(|picture| picture.number == number);
        marked.map_or(plain, |picture| (&mut picture.scene, &mut picture.encoding))
    }

    /// The picture with this mark: there already, or made of the plain one.
    pub fn enter(
        &mut self,
        who: String,
        plain: &mut Scene,
        unix_ms: i64,
        now: Micros,
    ) -> Result<u64, SizeError> {
        if let Some(known) = self.pictures.iter().find(|picture| picture.who == who) {
            return Ok(known.number);
        }
        let (width, height) = plain.size();
        let mut scene = Scene::new(plain.key(), width, height)?;
        scene.set_policy(plain.policy());
        self.last += 1;
        let mut picture = Picture {
            number: self.last,
            mark: Mark::new(&who, unix_ms),
            minute: unix_ms.div_euclid(60_000),
            who,
            canvas: None,
            scene,
            encoding: Encoding::new(),
            videos: Videos::of_picture(self.last, self.made.clone()),
        };
        picture.follow(plain, &TileSet::full(plain.grid().len()), &mut Viewers::new(), now);
        self.pictures.push(picture);
        Ok(self.last)
    }

    /// Forgets the pictures that nobody sees.
    pub fn keep_seen(&mut self, viewers: &Viewers) {
        self.pictures.retain(|picture| viewers.values().any(|viewer| viewer.picture == picture.number));
    }

    /// Takes over what changed in the plain picture.
    pub fn follow(&mut self, plain: &mut Scene, tiles: &TileSet, viewers: &mut Viewers, now: Micros) {
        self.pictures.iter_mut().for_each(|picture| picture.follow(plain, tiles, viewers, now));
    }

    /// The plain picture has another size: these begin again with it.
    pub fn resize(&mut self, plain: &mut Scene, viewers: &mut Viewers, now: Micros) {
        let (width, height) = plain.size();
        for picture in &mut self.pictures {
            // A size that the plain picture could take, this one can.
            if picture.scene.resize(width, height).is_err() {
                continue;
            }
            picture.canvas = None;
            picture.videos.clear();
            for viewer in viewers.values_mut().filter(|viewer| viewer.picture == picture.number) {
                viewer.delivery.restart(&picture.scene, now);
            }
            picture.follow(plain, &TileSet::full(plain.grid().len()), viewers, now);
        }
    }

    /// Writes the time anew where its minute is over; whether it did.
    pub fn tell_time(&mut self, plain: &mut Scene, viewers: &mut Viewers, unix_ms: i64, now: Micros) -> bool {
        let minute = unix_ms.div_euclid(60_000);
        let mut did = false;
        for picture in self.pictures.iter_mut().filter(|picture| picture.minute != minute) {
            picture.minute = minute;
            picture.mark = Mark::new(&picture.who, unix_ms);
            picture.follow(plain, &TileSet::full(plain.grid().len()), viewers, now);
            did = true;
        }
        did
    }

    pub fn set_policy(&mut self, policy: Policy) {
        for picture in &mut self.pictures {
            picture.scene.set_policy(policy);
            picture.videos.clear();
        }
    }

    pub fn rest(&mut self) {
        for picture in &mut self.pictures {
            picture.encoding.rest(&mut picture.scene);
            picture.canvas = None;
        }
    }

    /// How many rest.
    pub fn rested(&self) -> usize {
        self.pictures.iter().filter(|picture| picture.scene.rested().is_some()).count()
    }

    /// Follows what moves in each picture, and has its videos made; when to ask again.
    pub fn run_videos(&mut self, viewers: &mut Viewers, captured_us: Micros, now: Micros) -> Option<Micros> {
        let mut again = None;
        for Picture { number, scene, videos, .. } in &mut self.pictures {
            let rests_at = scene.look_for_motion(now);
            for viewer in viewers.values_mut().filter(|viewer| viewer.picture == *number) {
                viewer.delivery.follow_motion(scene, now);
            }
            let frame_at = videos.run(scene, viewers, captured_us, now);
            again = again.into_iter().chain(rests_at).chain(frame_at).min();
        }
        again
    }

    /// Sends a frame of a picture's video.
    pub fn send(&mut self, made: Made, viewers: &mut Viewers, now: Micros) {
        let picture = self.pictures.iter_mut().find(|picture| picture.number == made.picture);
        if let Some(picture) = picture {
            picture.videos.send(made, &picture.scene, viewers, now);
        }
    }

    /// A viewer of a picture could not decode a video.
    pub fn video_failed(&mut self, id: u64, video: u64, number: u64, viewers: &mut Viewers, now: Micros) {
        let picture = self.pictures.iter_mut().find(|picture| picture.number == number);
        if let Some(picture) = picture {
            picture.videos.failed(id, video, &picture.scene, viewers, now);
        }
    }
}

impl Picture {
    fn follow(&mut self, plain: &mut Scene, tiles: &TileSet, viewers: &mut Viewers, now: Micros) {
        let canvas = self.canvas.get_or_insert_with(|| self.scene.framebuffer().clone());
        self.mark.burn(plain.framebuffer(), canvas, tiles);
        let Some(change) = self.scene.absorb(canvas, tiles, now) else { return };
        for viewer in viewers.values_mut().filter(|viewer| viewer.picture == self.number) {
            viewer.delivery.changed(&self.scene, &change, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::HashKey;

    #[test]
    fn with_each_minute_the_time_in_a_mark_is_written_anew_and_no_oftener() {
        const BEGUN: i64 = 1_795_608_030_000;
        let (made, _videos) = mpsc::channel(1);
        let mut marks = Marks::new(made);
        let mut plain = Scene::new(HashKey(5), 640, 400).unwrap();
        let number = marks.enter("Anne Roy".into(), &mut plain, BEGUN, 0).unwrap();
        let shown = |marks: &mut Marks, plain: &mut Scene| {
            let mut unused = Encoding::new();
            let (scene, _) = marks.parts((plain, &mut unused), number);
            scene.framebuffer().clone()
        };
        let wanted = |plain: &mut Scene, at: i64| {
            let mut marked = plain.framebuffer().clone();
            let all = TileSet::full(plain.grid().len());
            Mark::new("Anne Roy", at).burn(plain.framebuffer(), &mut marked, &all);
            marked
        };
        let first = wanted(&mut plain, BEGUN);
        assert!(shown(&mut marks, &mut plain) == first);
        assert!(!marks.tell_time(&mut plain, &mut Viewers::new(), BEGUN + 29_999, 1));
        assert!(marks.tell_time(&mut plain, &mut Viewers::new(), BEGUN + 30_000, 2));
        let second = wanted(&mut plain, BEGUN + 30_000);
        assert!(second != first && shown(&mut marks, &mut plain) == second);
        assert!(!marks.tell_time(&mut plain, &mut Viewers::new(), BEGUN + 89_999, 3));
    }
}
