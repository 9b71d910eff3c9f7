//! Links beside the one that is shown: dialling them, letting them attach, and taking one of them over.

use super::{Client, ELSEWHERE_AGAIN, UNANSWERED, hello};
use crate::client::candidate::Candidate;
use crate::client::event::{ClientError, Event};
use crate::client::race::HEAD_START;
use crate::clock;
use crate::link::{Closed, Inbox, Incoming, Link, Road, Target, dial};
use crate::screen::{HashKey, TILE};
use crate::sync::{Attachment, Identity, Micros, Viewer};
use crate::wire::limits::MAX_GATEWAYS;
use crate::wire::{CloseCode, Control, GatewayAddress};
use tokio::task::JoinSet;

/// A second link by way of an edge that came to the gateway which is to be left is dialled again after this long.
const BESIDE_AGAIN: Micros = 250_000;
/// Second links at once; of more, the oldest goes.
const MAX_CANDIDATES: usize = 4;

impl Client {
    /// There is no working link: both roads, QUIC first.
    pub(super) fn dial(&mut self) {
        let now = clock::now_us();
        self.dialled_at = now;
        if let Some(road) = self.race.begin(now) {
            self.dial_by(road);
        }
        self.dial_next(now);
    }

    /// What the race wants dialled by now.
    pub(super) fn dial_next(&mut self, now: Micros) {
        let first = self.link.as_ref().map(|(link, _)| (link.road(), self.flow));
        let others = !self.candidates.is_empty() || !self.dialling.is_empty();
        if let Some(road) = self.race.tick(now, first, others) {
            self.dial_by(road);
        }
    }

    pub(super) fn dial_by(&mut self, road: Road) {
        let target = self.address.target.clone();
        self.dial_at(target, road);
    }

    fn dial_at(&mut self, target: Target, road: Road) {
        self.dialling.spawn(async move {
            let dialled = dial(&target, road).await;
            (target, road, dialled)
        });
    }

    /// The session may be at another gateway: all of them are asked.
    pub(super) fn dial_elsewhere(&mut self, now: Micros) {
        if self.elsewhere_at.is_some_and(|at| now.saturating_sub(at) < ELSEWHERE_AGAIN) {
            return;
        }
        if self.moving && self.others.is_empty() {
            return self.dial_beside(now);
        }
        let known = if self.others.is_empty() { &self.spares } else { &self.others };
        for target in known.clone().into_iter().take(MAX_CANDIDATES) {
            self.dial_other(target, now);
        }
    }

    /// A second link to where this one goes: an edge brings it to the gateway that goes on with the session.
    fn dial_beside(&mut self, now: Micros) {
        self.elsewhere_at = Some(now);
        if self.candidates.is_empty() {
            let road = if self.is_on(Road::WebSocket) { Road::WebSocket } else { Road::Quic };
            self.dial_by(road);
        }
    }

    /// A second link has come to nothing.
    pub(super) fn on_beside_closed(&mut self, road: Road, closed: &Closed) {
        if !self.moving {
            return self.on_dial_failed(road);
        }
        // It may have come to the gateway that is to be left, because the edge had not heard yet.
        if closed.code == CloseCode::GOING_AWAY {
            let early = ELSEWHERE_AGAIN.saturating_sub(BESIDE_AGAIN);
            self.elsewhere_at = Some(clock::now_us().saturating_sub(early));
        }
    }

    fn dial_first_other(&mut self) {
        if let Some(target) = self.others.first().cloned() {
            self.dial_other(target, clock::now_us());
        }
    }

    fn dial_other(&mut self, target: Target, now: Micros) {
        self.elsewhere_at = Some(now);
        if self.candidates.iter().any(|candidate| candidate.target == target) {
            return;
        }
        // The road that works here is likely to work there.
        let quic = target.udp_port.is_some() && !self.is_on(Road::WebSocket) && self.race.offers(Road::Quic);
        self.dial_at(target, if quic { Road::Quic } else { Road::WebSocket });
    }

    /// Whether the gateway that is dialled seems to be gone, long before that is certain.
    pub(super) fn is_unanswered(&mut self, now: Micros) -> bool {
        if self.attachment.input_waiting() == 0 {
            self.waits_since = None;
            return false;
        }
        let since = *self.waits_since.get_or_insert(now);
        let patience = UNANSWERED + 3 * self.attachment.round_trip().unwrap_or(0);
        self.link.is_some() && now.saturating_sub(self.flow.heard.max(since)) > patience
    }

    /// What a link says of other gateways. `shown`: it is the one that is shown, or there is none; `has_it`: it is to the gateway that
    /// has the session.
    pub(super) fn note_gateways(&mut self, message: &Incoming, shown: bool, has_it: bool) {
        match message {
            Incoming::Control(Control::Gateways(gateways)) => {
                let known = gateways.iter().map(|gateway| target_of(gateway, &self.address.target));
                let told = known.filter(|target| *target != self.address.target).collect();
                let mut kept = std::mem::replace(&mut self.others, told);
                // One that lacks the session says where it was; it may come to any that is known, that one not least.
                kept.retain(|target| !has_it && !self.others.contains(target));
                self.others.extend(kept);
                self.others.truncate(MAX_GATEWAYS);
                if shown && !self.attachment.is_attached() {
                    // It does not have the session: the first one does, as far as it knows.
                    self.dial_first_other();
                }
            }
            Incoming::Control(Control::Move) if shown => {
                self.moving = true;
                match self.others.is_empty() {
                    true => self.dial_beside(clock::now_us()),
                    false => self.dial_first_other(),
                }
            }
            _ => {}
        }
    }

    /// The gateway at `target` is the one that is dialled from now on, and the one before is another one.
    pub(super) fn is_at(&mut self, target: Target) {
        self.moving = false;
        if target != self.address.target {
            self.others.retain(|other| *other != target);
            let before = std::mem::replace(&mut self.address.target, target.clone());
            match self.spares.iter_mut().find(|spare| **spare == target) {
                // No gateway has told of others: the one before is spare, too.
                Some(spare) if self.others.is_empty() => *spare = before,
                _ => self.others.push(before),
            }
        }
    }

    pub(super) fn on_dial_failed(&mut self, road: Road) {
        // A gateway that is away altogether says nothing of a road.
        if road == Road::Quic && (self.lost_at.is_none() || self.is_on(Road::WebSocket)) {
            let now = clock::now_us();
            self.race.quic_failed(now);
            self.dial_next(now);
        }
    }

    pub(super) fn is_on(&self, road: Road) -> bool {
        self.link.as_ref().is_some_and(|(link, _)| link.road() == road)
    }

    pub(super) fn stop_dialling(&mut self) {
        self.dialling.abort_all();
        self.dialling = JoinSet::new();
    }

    /// A dialled link is open. The first is shown at once; others must be whole before they are.
    pub(super) fn on_open(&mut self, target: Target, link: Link, inbox: Inbox) {
        if self.link.is_none() {
            return self.adopt(target, link, inbox);
        }
        let now = clock::now_us();
        let attachment = Attachment::new(Viewer::new(HashKey::default(), 0), Identity::default(), now);
        self.candidates.push(Candidate::new(attachment, target, link, inbox, now));
        if self.candidates.len() > MAX_CANDIDATES {
            self.discard(0, "another attempt replaces it");
        }
        self.ask_candidates(now);
    }

    /// Candidates say Attach as soon as the session has named this viewer, or has not for a while.
    pub(super) fn ask_candidates(&mut self, now: Micros) {
        let named = self.attachment.is_attached() || self.attachment.has_token();
        for at in 0..self.candidates.len() {
            let candidate = &self.candidates[at];
            if candidate.asked || !(named || now.saturating_sub(candidate.flow.since) > HEAD_START) {
                continue;
            }
            let wish = self.wish(&self.candidates[at].link);
            let fresh = self.attachment.twin(now);
            let candidate = &mut self.candidates[at];
            candidate.asked = true;
            candidate.attachment = fresh;
            candidate.link.control(&hello());
            let attach = candidate.attachment.attach(wish);
            candidate.link.control(&attach);
            candidate.attachment.ping(now);
            candidate.flush();
        }
    }

    pub(super) fn discard(&mut self, at: usize, reason: &str) {
        let candidate = self.candidates.remove(at);
        candidate.link.close(CloseCode::DONE, reason);
    }

    pub(super) fn discard_all(&mut self, reason: &str) {
        self.stop_dialling();
        while !self.candidates.is_empty() {
            self.discard(0, reason);
        }
    }

    /// The link that is shown has all: nobody else is needed.
    pub(super) fn end_race(&mut self) {
        let Some((link, _)) = &self.link else { return };
        self.race.won(link.road(), clock::now_us());
        if !self.silent && !self.moving {
            self.discard_all("the other road was faster");
        }
    }

    /// This second link is whole: it is shown from now on, and input goes over it.
    pub(super) fn take_over(&mut self, at: usize) -> Result<(), ClientError> {
        let now = clock::now_us();
        let mut candidate = self.candidates.remove(at);
        let taken = self.link.take();
        if let Some((old, _)) = &taken {
            old.close(CloseCode::DONE, "another road is taken");
            if candidate.link.road() == Road::WebSocket {
                // Either it was left, or it had its head start and lost.
                self.race.quic_failed(now);
            }
        }
        self.is_at(candidate.target);
        let replaced = std::mem::replace(&mut self.attachment, candidate.attachment);
        self.attachment.inherit(replaced.into_parts().1);
        self.link = Some((candidate.link, candidate.inbox));
        self.flow = candidate.flow;
        (self.motions, self.silent, self.lost_at) = (0, false, None);
        if let Some(news) = candidate.attached.take() {
            self.on_news(news)?;
        }
        for news in std::mem::take(&mut candidate.held) {
            self.on_news(news)?;
        }
        if let (Some(last), Some(screen)) =
            (candidate.updates.last_mut(), self.attachment.viewer().framebuffer())
        {
            // What the other link had shown since the copy was taken is to be shown anew.
            let (across, down) = (screen.width().div_ceil(TILE), screen.height().div_ceil(TILE));
            last.applied.tiles = (0..across * down).collect();
            last.applied.new_screen = true;
        }
        self.events.extend(candidate.updates.into_iter().map(Event::Updated));
        self.end_race();
        Ok(())
    }
}

fn target_of(gateway: &GatewayAddress, here: &Target) -> Target {
    Target {
        host: gateway.host.clone(),
        udp_port: gateway.udp_port,
        tcp_port: Some(gateway.tcp_port),
        tls: gateway.tls,
        pins: gateway.pins.clone(),
        proxy: here.proxy.clone(),
    }
}
