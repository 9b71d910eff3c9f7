//! What was learnt of earlier parts of tiles, at both ends. The session goes on only from what the viewer has acknowledged, so
//! updates still arrive in any order; and it says which models it will never go on from again, so that few are kept.

use crate::codec::{Beginning, ContextModel, Encoder, Reach};
use crate::screen::Framebuffer;
use crate::wire::limits::MAX_MODELS;
use crate::wire::{Live, UpdateHeader};
use std::collections::BTreeMap;

/// The session's half, for one viewer.
#[derive(Default)]
pub struct Teaching {
    /// Of the updates that the viewer was told to keep, and may not have been told to forget.
    models: Vec<Taught>,
    /// The bases of updates on the way, by their numbers.
    on_the_way: BTreeMap<u64, u64>,
    spare: Option<Box<ContextModel>>,
}

struct Taught {
    number: u64,
    /// The viewer surely has it.
    is_had: bool,
    model: Box<ContextModel>,
}

impl Teaching {
    /// Appends the payload of an update with parts, and notes in its header how it was coded.
    pub fn encode(
        &mut self,
        encoder: &mut Encoder,
        framebuffer: &Framebuffer,
        header: &mut UpdateHeader,
        reach: Reach,
        out: &mut Vec<u8>,
    ) {
        // Beside whole tiles, parts are coded as those are.
        let lives = header.parts.len() == header.tiles.len();
        let base = self.base().map(|taught| &*taught.model);
        let beginning = if lives { Beginning::Live(base) } else { Beginning::Alone };
        let stats = encoder.encode_parts(framebuffer, header.places(), reach, beginning, out);
        if stats.learnt && lives {
            let spare = self.spare.take().unwrap_or_default();
            header.live = Some(self.taught(header.number, encoder.learnt(spare)));
        }
    }

    fn base(&self) -> Option<&Taught> {
        self.models.iter().rfind(|taught| taught.is_had).filter(|_| !self.is_stuck())
    }

    /// All that there is room for was dropped on its way, so nothing more would be learnt.
    fn is_stuck(&self) -> bool {
        let full = self.models.len() >= MAX_MODELS && self.models.last().is_some_and(|last| !last.is_had);
        full && self.on_the_way.is_empty()
    }

    /// Update `number` goes on from the base, and taught `model`.
    fn taught(&mut self, number: u64, model: Box<ContextModel>) -> Live {
        let base = self.base().map_or(0, |taught| taught.number);
        let first = match self.models.first() {
            Some(first) if base == 0 && !self.is_stuck() => first.number,
            _ => number,
        };
        let bases = self.on_the_way.values().copied().chain([base]).filter(|base| *base > 0);
        let oldest = bases.min().unwrap_or(first);
        self.forget_below(oldest);
        let kept = self.models.len() < MAX_MODELS;
        self.on_the_way.insert(number, base);
        match kept {
            true => self.models.push(Taught { number, is_had: false, model }),
            false => self.spare = Some(model),
        }
        Live { base, kept, oldest }
    }

    fn forget_below(&mut self, oldest: u64) {
        let kept = self.models.partition_point(|taught| taught.number < oldest);
        self.spare = self.models.drain(..kept).next_back().map(|taught| taught.model).or(self.spare.take());
    }

    /// Whether an update that goes on from another one is on its way. It is not dropped: it may come all the same, after what it
    /// goes on from was said to be forgotten.
    pub fn is_on_its_way(&self, number: u64) -> bool {
        self.on_the_way.get(&number).is_some_and(|base| *base > 0)
    }

    /// The viewer applied an update.
    pub fn acknowledged(&mut self, number: u64) {
        if self.on_the_way.remove(&number).is_some()
            && let Ok(at) = self.models.binary_search_by_key(&number, |taught| taught.number)
        {
            self.models[at].is_had = true;
        }
    }

    /// The viewer will not apply an update, or not decode it.
    pub fn dropped(&mut self, number: u64) {
        self.on_the_way.remove(&number);
    }

    /// What is on the way will not be decoded: the screen began anew.
    pub fn restart(&mut self) {
        self.on_the_way.clear();
    }

    /// Frees what was learnt; the next update begins anew.
    pub fn rest(&mut self) {
        if self.on_the_way.is_empty() {
            (self.models, self.spare) = (Vec::new(), None);
        }
    }
}

/// What a session said of its models cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoModel {
    #[error("it goes on from update {0}, of which nothing is kept")]
    Unknown(u64),
    #[error("{0} models are to be kept, which is more than a viewer holds")]
    TooMany(usize),
}

/// The viewer's half.
#[derive(Default)]
pub struct Learning {
    models: BTreeMap<u64, Box<ContextModel>>,
    /// The highest that was told: nothing below is gone on from, even if it comes later.
    oldest: u64,
    spare: Option<Box<ContextModel>>,
}

impl Learning {
    /// What an update goes on from.
    pub fn beginning(&self, live: Option<&Live>) -> Result<Beginning<'_>, NoModel> {
        Ok(match live {
            None => Beginning::Alone,
            Some(Live { base: 0, .. }) => Beginning::Live(None),
            Some(Live { base, .. }) => {
                Beginning::Live(Some(self.models.get(base).ok_or(NoModel::Unknown(*base))?))
            }
        })
    }

    pub fn spare(&mut self) -> Box<ContextModel> {
        self.spare.take().unwrap_or_default()
    }

    /// Update `number` was decoded, which taught `model`.
    pub fn learnt(
        &mut self,
        number: u64,
        live: &Live,
        model: Option<Box<ContextModel>>,
    ) -> Result<(), NoModel> {
        self.oldest = self.oldest.max(live.oldest);
        let newer = self.models.split_off(&self.oldest);
        let forgotten = std::mem::replace(&mut self.models, newer).into_values().next();
        self.spare = forgotten.or(self.spare.take());
        if let Some(model) = model.filter(|_| live.kept && number >= self.oldest) {
            self.models.insert(number, model);
        }
        match self.models.len() {
            too_many if too_many > MAX_MODELS => Err(NoModel::TooMany(too_many)),
            _ => Ok(()),
        }
    }

    /// A new link: nothing goes on from what an earlier one taught.
    pub fn forget(&mut self) {
        *self = Learning::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The session teaches; the viewer applies, in any order, what is not dropped on its way.
    fn play(steps: &[(u8, u8)]) -> (usize, u64) {
        let (mut teaching, mut learning) = (Teaching::default(), Learning::default());
        let mut on_the_way: Vec<(u64, Live)> = Vec::new();
        let (mut number, mut went_on) = (0, 0);
        for &(step, which) in steps {
            if step < 4 {
                number += 1;
                let live = teaching.taught(number, Box::default());
                went_on += u64::from(live.base > 0);
                on_the_way.push((number, live));
            } else if !on_the_way.is_empty() {
                let (number, live) = on_the_way.remove(usize::from(which) % on_the_way.len());
                if step < 9 {
                    assert!(learning.beginning(Some(&live)).is_ok(), "{live:?} of {number}");
                    learning.learnt(number, &live, Some(Box::default())).unwrap();
                    teaching.acknowledged(number);
                } else {
                    teaching.dropped(number);
                }
            }
            assert!(teaching.models.len() <= MAX_MODELS);
        }
        (learning.models.len(), went_on)
    }

    proptest! {
        #[test]
        fn whatever_is_late_or_dropped_the_viewer_has_what_an_update_goes_on_from(
            steps in prop::collection::vec((0u8..11, any::<u8>()), 0..200),
        ) {
            prop_assert!(play(&steps).0 <= MAX_MODELS);
        }
    }

    #[test]
    fn when_all_that_is_kept_was_dropped_learning_begins_anew() {
        let drop_all: Vec<(u8, u8)> = [(0, 0), (10, 0)].repeat(2 * MAX_MODELS);
        let go_on = [(0, 0), (5, 0)].repeat(5);
        assert_eq!(play(&[&drop_all[..], &go_on].concat()).1, 4);
    }

    #[test]
    fn a_session_that_goes_on_from_nothing_or_has_too_much_kept_is_found_out() {
        let mut learning = Learning::default();
        let unknown = Live { base: 3, kept: true, oldest: 3 };
        assert_eq!(learning.beginning(Some(&unknown)).err(), Some(NoModel::Unknown(3)));
        let mut keep = |number| {
            let live = Live { base: 0, kept: true, oldest: 1 };
            learning.learnt(number, &live, Some(Box::default()))
        };
        assert!((1..=MAX_MODELS as u64).all(|number| keep(number).is_ok()));
        assert_eq!(keep(9), Err(NoModel::TooMany(MAX_MODELS + 1)));
    }
}
