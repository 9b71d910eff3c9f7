//! What a session is told from outside: who comes and who must go, and by what right.

use super::marks::{PLAIN, burnt_in};
use super::task::{Inboxes, Task, ViewerId, state_message};
use super::viewer::Viewer;
use super::{Arrival, Grant, Order, ViewerSnapshot, Whom};
use crate::clock;
use crate::codec::{Reach, video};
use crate::link::Road;
use crate::metrics;
use crate::screen::SizeError;
use crate::sync::{Delivery, Micros};
use crate::wire::limits::MAX_VIEWERS;
use crate::wire::{Attached, CloseCode, Control, Token, features};

impl Task {
    pub(super) fn on_order(&mut self, order: Order, inboxes: &mut Inboxes) {
        match order {
            Order::Arrive(arrival) => self.on_arrival(*arrival, inboxes),
            Order::Dismiss { sign_in, code, reason } => self.dismiss(&sign_in, code, &reason),
            Order::Leave(applied) => {
                let everybody: Vec<ViewerId> = self.viewers.keys().copied().collect();
                for id in everybody {
                    self.part(id, CloseCode::GOING_AWAY, "another gateway goes on with this session");
                }
                let _ = applied.send(self.ledger.entries());
            }
            Order::Remember(applied) => self.ledger.remember(applied, clock::now_us()),
            Order::Snapshot(told) => drop(told.send(self.snapshot(Whom::All))),
            Order::End { whom, code, reason, ended } => {
                let concerned = self.snapshot(whom);
                concerned.iter().for_each(|viewer| self.part(viewer.id, code, &reason));
                let _ = ended.send(concerned);
            }
            Order::Move(gateways) => {
                let list = Control::Gateways(gateways);
                for (_, viewer) in self.people().filter(|(_, viewer)| viewer.moves) {
                    viewer.link.control(&list);
                    viewer.link.control(&Control::Move);
                }
            }
            Order::Say { whom, text, told } => drop(told.send(self.say(whom, text))),
            Order::Recorded(recorded) => self.tell_recorded(recorded),
            Order::AskToWatch { wish, answer } => self.ask_to_watch(wish, answer),
        }
    }

    fn on_arrival(&mut self, arrival: Arrival, inboxes: &mut Inboxes) {
        let Arrival { link, inbox, attach, grant } = arrival;
        if !self.admits(&grant) {
            link.close(CloseCode::REFUSED, "the user does not let you watch any more");
            return;
        }
        if let Err(place) = self.take_over(&grant) {
            link.close(CloseCode::TAKEN_OVER, &place);
            return;
        }
        if link.road() != Road::Inside && self.people().count() >= MAX_VIEWERS {
            link.close(CloseCode::LIMIT, &format!("this session has {MAX_VIEWERS} viewers already"));
            return;
        }
        let now = clock::now_us();
        let Ok(picture) = self.picture_for(&grant, now) else {
            link.close(CloseCode::LIMIT, "there is no room for a picture with your mark");
            return;
        };
        // A source that remembers viewers knows those of other gateways.
        let known = |token: &Token| self.ledger.knows(token) || self.source.remembers_viewers();
        let token = attach.token.filter(known).unwrap_or_else(new_token);
        self.ledger.enter(token, now, |token| self.viewers.values().any(|viewer| viewer.token == *token));
        let (width, height) = self.scene.size();
        link.control(&Control::Attached(Attached {
            token,
            key: self.scene.key(),
            width,
            height,
            next_input: self.ledger.safe(&token),
            title: self.title.clone(),
            policy: self.scene.policy(),
        }));
        link.control(&state_message(&self.state));
        if let Some(cursor) = &self.cursor {
            link.control(&Control::Cursor(cursor.clone()));
        }
        if let Some((x, y)) = self.cursor_at {
            link.control(&Control::CursorAt { x, y });
        }
        if self.recorded {
            link.control(&Control::Recorded { recorded: true });
        }
        if attach.width > 0 && attach.height > 0 && grant.may_resize() {
            self.resize(attach.width, attach.height, now);
        }
        let scene = self.marks.scene(&self.scene, picture);
        let decodes_video = video::IS_THERE && attach.features & features::H264 != 0;
        let mut delivery = Delivery::new(scene, attach.cache_bytes, attach.screen.as_ref(), now);
        if attach.features & features::PARTS != 0 {
            let is_far = attach.features & features::FAR != 0;
            delivery.take_parts(if is_far { Reach::Far } else { Reach::Near });
        }
        if attach.features & features::SHORT != 0 {
            delivery.take_short();
        }
        let id = self.next_viewer;
        self.next_viewer += 1;
        tracing::info!(viewer = id, road = link.road().name(), session = self.title, "viewer attached");
        let resumed = !delivery.owes();
        let mut viewer = Viewer::new(link, token, grant, picture, delivery, decodes_video, now);
        if resumed {
            viewer.resumed(now);
        }
        viewer.shows_watchers = attach.features & features::SHARE != 0;
        viewer.moves = attach.features & features::GATEWAYS != 0;
        viewer.takes_clips = attach.features & features::CLIP != 0;
        viewer.plays_sound = attach.features & features::SOUND != 0;
        self.viewers.insert(id, viewer);
        inboxes.0.push((id, inbox));
        self.tell_terms(id, now);
        self.tell_clip_to(id);
        self.tell_sound_to(id);
    }

    /// The picture that viewers of this grant see, which is made if it is not there.
    fn picture_for(&mut self, grant: &Grant, now: Micros) -> Result<u64, SizeError> {
        let Some(who) = burnt_in(grant) else { return Ok(PLAIN) };
        let picture = self.marks.enter(who, &mut self.scene, clock::unix_ms(), now)?;
        self.woke(now);
        Ok(picture)
    }

    /// The newest grant has the session: who held it goes dark and is told where it went. An older one than that is refused,
    /// with the place where the session is.
    fn take_over(&mut self, grant: &Grant) -> Result<(), String> {
        if let Some(holder) = self.held_by.as_ref().filter(|holder| holder.takes_over(grant)) {
            return Err(holder.place());
        }
        let losers: Vec<ViewerId> =
            self.viewers.iter().filter(|(_, v)| grant.takes_over(&v.grant)).map(|(id, _)| *id).collect();
        if !losers.is_empty() {
            metrics::TAKEOVERS.count();
        }
        for id in losers {
            self.part(id, CloseCode::TAKEN_OVER, &grant.place());
        }
        if grant.controls && grant.number > 0 {
            self.held_by = Some(grant.clone());
        }
        Ok(())
    }

    fn dismiss(&mut self, sign_in: &str, code: CloseCode, reason: &str) {
        let concerned =
            self.viewers.iter().filter(|(_, v)| !sign_in.is_empty() && &*v.grant.sign_in == sign_in);
        for id in concerned.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.part(id, code, reason);
        }
    }

    fn snapshot(&self, whom: Whom) -> Vec<ViewerSnapshot> {
        let now = clock::now_us();
        let mut all: Vec<_> = self
            .people()
            .filter(|(id, _)| matches!(whom, Whom::All) || whom == Whom::One(**id))
            .map(|(&id, viewer)| ViewerSnapshot::of(id, viewer, now))
            .collect();
        all.sort_by_key(|viewer| viewer.id);
        all
    }

    /// Who views, and not what records.
    pub(super) fn people(&self) -> impl Iterator<Item = (&ViewerId, &Viewer)> {
        self.viewers.iter().filter(|(_, viewer)| viewer.link.road() != Road::Inside)
    }

    fn tell_recorded(&mut self, recorded: bool) {
        if std::mem::replace(&mut self.recorded, recorded) != recorded {
            self.people().for_each(|(_, viewer)| viewer.link.control(&Control::Recorded { recorded }));
        }
    }

    fn say(&self, whom: Whom, text: String) -> usize {
        let message = Control::Message { text };
        let told = self.people().filter(|(id, _)| matches!(whom, Whom::All) || whom == Whom::One(**id));
        told.map(|(_, viewer)| viewer.link.control(&message)).count()
    }
}

fn new_token() -> Token {
    let mut token = [0; 16];
    getrandom::fill(&mut token).expect("a running Linux gives random numbers");
    Token(token)
}
