//! Badges and PINs. A badge's number is no secret: whoever holds the badge for a second has it. It names a user at an enrolled
//! seat, and opens something only within the grace that a PIN began, in the place where it began.

use super::seat::{CLOCK_MS, Nonces, SeatRequest, is_public_key, is_signed};
use super::{Attempts, Identity, Keys, new_id, sha256_hex};
use crate::store::{PinAttempt, Seat, SeatCode, SeatMode, Store, StoreError, User};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How sign-ins by badge are called.
pub const BADGE: &str = "badge";
/// A PIN must follow its tap within this time.
const PIN_MS: i64 = 60_000;
/// No badge has a longer number, in characters.
const LONGEST_NUMBER: usize = 64;

/// Where the grace of a PIN holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraceIn {
    Seat,
    #[default]
    Zone,
    Everywhere,
}

/// What the gateway asks of badges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadgePolicy {
    pub grace_ms: i64,
    pub grace_in: GraceIn,
    /// A sign-in by badge ends without use for this long.
    pub idle_ms: i64,
}

impl Default for BadgePolicy {
    fn default() -> Self {
        BadgePolicy { grace_ms: 480 * 60_000, grace_in: GraceIn::Zone, idle_ms: 10 * 60_000 }
    }
}

/// Why nothing was opened. What is told is the same for all refusals; the reason is for the audit.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    #[error("the badge or the PIN is not right here; after several wrong ones, wait before the next")]
    Refused { reason: &'static str, user: Option<Box<User>>, seat: Option<Box<Seat>> },
    #[error("too many attempts come from here; wait a minute")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the gateway cannot check PINs now: {0}")]
    Broken(String),
}

impl SeatError {
    pub(super) fn refused(reason: &'static str) -> SeatError {
        SeatError::Refused { reason, user: None, seat: None }
    }

    /// A page showed a code that takes no sign-in over.
    pub fn of_claim() -> SeatError {
        SeatError::refused("no sign-in waits for this page")
    }

    /// The seat was revoked while somebody was let in there.
    pub fn of_revoked(seat: &Seat) -> SeatError {
        SeatError::refused("the seat is revoked").of(seat, None)
    }

    fn of(self, at: &Seat, whom: Option<&User>) -> SeatError {
        match self {
            SeatError::Refused { reason, user, seat } => SeatError::Refused {
                reason,
                user: user.or_else(|| whom.cloned().map(Box::new)),
                seat: seat.or_else(|| Some(Box::new(at.clone()))),
            },
            other => other,
        }
    }
}

/// What an enrolled seat signs: which seat, a nonce of the gateway's, its clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub seat: String,
    pub nonce: String,
    pub time: i64,
    pub signature: String,
}

/// What a tap came to.
pub enum Tapped {
    /// Within the grace: the user is let in.
    Open(Box<Opened>),
    /// The PIN is asked for; this says for which tap. It reads the same for badges that nobody has.
    Pin(String),
}

/// Whom a badge lets in, and which one it was.
pub struct Opened {
    pub user: User,
    pub badge: String,
}

/// What stands in the seal between tap and PIN.
#[derive(Serialize, Deserialize)]
struct Waiting {
    seat: String,
    user: String,
    badge: String,
    until: i64,
}

/// What checks seats: nonces, and how much each may ask.
#[derive(Default)]
pub struct Seats {
    nonces: Nonces,
    /// What was not signed by a seat, by address.
    strangers: Attempts,
    /// What was, by seat.
    seats: Attempts<String>,
}

/// A badge's number as it is compared: capitals, without what readers put between digits. `None` if it is none.
pub fn badge_number(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-')).collect();
    let well = (4..=LONGEST_NUMBER).contains(&kept.len()) && kept.bytes().all(|b| b.is_ascii_alphanumeric());
    well.then(|| kept.to_ascii_uppercase())
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    #[error("a PIN has 4 to 12 digits")]
    Shape,
    #[error("this PIN is one of the first that would be tried; choose another")]
    Guessable,
}

/// Whether a PIN may be chosen.
pub fn check_new_pin(pin: &str) -> Result<(), PinError> {
    if !(4..=12).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PinError::Shape);
    }
    let steps: Vec<i16> =
        pin.as_bytes().windows(2).map(|two| i16::from(two[1]) - i16::from(two[0])).collect();
    let even = steps.iter().all(|step| *step == steps[0]) && matches!(steps[0], -1..=1);
    if even { Err(PinError::Guessable) } else { Ok(()) }
}

/// A seat's name as it is kept. `None` if no seat may be called so.
pub fn seat_name(text: &str) -> Option<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (super::is_title(&name) && name.chars().count() <= super::MAX_TITLE / 4).then_some(name)
}

/// An enrolment code is good for so long.
pub const CODE_MS: i64 = 15 * 60_000;

#[derive(Debug, thiserror::Error)]
pub enum SeatCodeError {
    #[error("{0:?} cannot be a seat's name: 1 to 32 characters that can be read")]
    Name(String),
    #[error("{0:?} cannot be a zone's name: 1 to 32 characters that can be read")]
    Zone(String),
    #[error("the seat {0:?} is enrolled: `chevet seat revoke` it first")]
    Enrolled(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a code that lets one workstation enrol as the seat of this name, once.
pub async fn new_seat_code(
    store: &Store,
    name: &str,
    zone: &str,
    mode: SeatMode,
    now_ms: i64,
) -> Result<String, SeatCodeError> {
    let name = seat_name(name).ok_or_else(|| SeatCodeError::Name(name.to_owned()))?;
    let zone = seat_name(zone).ok_or_else(|| SeatCodeError::Zone(zone.to_owned()))?;
    if store.seat_named(&name).await?.is_some_and(|seat| seat.revoked_at.is_none()) {
        return Err(SeatCodeError::Enrolled(name));
    }
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).expect("a running Linux gives random numbers");
    let text = in_letters(&bytes);
    let kept = SeatCode { name, zone, mode: mode.name().into() };
    store.add_seat_code(&code_hash(&text), &kept, now_ms + CODE_MS).await?;
    Ok(text)
}

/// Five bits a character, none of which is mistaken for another, in groups of four.
fn in_letters(bytes: &[u8; 10]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let all = bytes.iter().fold(0u128, |all, byte| all << 8 | u128::from(*byte));
    let letter = |at: u32| char::from(LETTERS[(all >> (75 - 5 * at)) as usize & 31]);
    let grouped =
        (0..16).flat_map(|at| (at > 0 && at % 4 == 0).then_some('-').into_iter().chain([letter(at)]));
    grouped.collect()
}

/// However it was typed.
fn code_hash(code: &str) -> String {
    let kept: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    sha256_hex(kept.to_ascii_uppercase().as_bytes())
}

impl Identity {
    /// A nonce for whoever asks.
    pub fn seat_nonce(&self, now_ms: i64) -> String {
        self.seats.nonces.give(now_ms)
    }

    /// Enrols a workstation by a code that was made for it. It signs the code and its own public key.
    pub async fn enrol(
        &self,
        code: &str,
        public_key: &str,
        signature: &str,
        from: IpAddr,
        now_ms: i64,
    ) -> Result<Seat, SeatError> {
        if !self.seats.strangers.admit(from, now_ms) {
            return Err(SeatError::TooMany);
        }
        let signed = is_signed(public_key, SeatRequest::Enrol, &[code, public_key], 0, signature);
        if !is_public_key(public_key) || !signed {
            return Err(SeatError::refused("the enrolment is not signed by its key"));
        }
        let taken = self.store.take_seat_code(&code_hash(code), now_ms).await?;
        let code = taken.ok_or_else(|| SeatError::refused("no such enrolment code"))?;
        let seat = Seat {
            id: new_id(),
            name: code.name,
            public_key: public_key.to_owned(),
            zone: code.zone,
            mode: code.mode.parse::<SeatMode>().unwrap_or_default(),
            created_at: now_ms,
            revoked_at: None,
            used_at: None,
        };
        match self.store.add_seat(&seat).await {
            Ok(()) => Ok(seat),
            Err(StoreError::Taken(_)) => Err(SeatError::refused("a seat of this name is enrolled")),
            Err(error) => Err(error.into()),
        }
    }

    /// The enrolled seat that signed a request: `parts` follow seat and nonce. Uses the nonce up.
    pub async fn seat_that_signed(
        &self,
        signed: &Signed,
        request: SeatRequest,
        parts: &[&str],
        from: IpAddr,
        now_ms: i64,
    ) -> Result<Seat, SeatError> {
        let checked = self.check_signed(signed, request, parts, now_ms).await;
        match checked {
            // Whoever is no seat has as many attempts as other strangers.
            Err(SeatError::Refused { .. }) if !self.seats.strangers.admit(from, now_ms) => {
                Err(SeatError::TooMany)
            }
            Ok(seat) if !self.seats.seats.admit_as(seat.id.clone(), now_ms) => Err(SeatError::TooMany),
            checked => checked,
        }
    }

    async fn check_signed(
        &self,
        signed: &Signed,
        request: SeatRequest,
        parts: &[&str],
        now_ms: i64,
    ) -> Result<Seat, SeatError> {
        // Before the database is asked: only who was given a nonce makes it work.
        if !self.seats.nonces.is_fresh(&signed.nonce, now_ms) {
            return Err(SeatError::refused("the nonce is not this gateway's, or too old"));
        }
        let seat = self.store.seat(&signed.seat).await?;
        let seat = seat.ok_or_else(|| SeatError::refused("the seat is not enrolled"))?;
        let all: Vec<&str> =
            [signed.seat.as_str(), &signed.nonce].into_iter().chain(parts.iter().copied()).collect();
        if !is_signed(&seat.public_key, request, &all, signed.time, &signed.signature) {
            return Err(SeatError::refused("not signed by the seat's key"));
        }
        if seat.revoked_at.is_some() {
            return Err(SeatError::refused("the seat is revoked").of(&seat, None));
        }
        if (signed.time - now_ms).abs() > CLOCK_MS {
            return Err(SeatError::refused("the seat's clock is more than 5 minutes off").of(&seat, None));
        }
        self.seats.nonces.take(&signed.nonce, now_ms).map_err(|error| error.of(&seat, None))?;
        Ok(seat)
    }

    /// A badge was tapped at a seat.
    pub async fn tap(&self, seat: &Seat, number: &str, now_ms: i64) -> Result<Tapped, SeatError> {
        let hash = self.keys.badge_hash(&badge_number(number).unwrap_or_default());
        let badge = self.store.badge(&hash).await?;
        if let Some(badge) = &badge {
            let place = self.grace_place(seat);
            let grace = self.store.has_grace(&badge.user_id, &badge.id, &place, now_ms).await?;
            let user = if grace { self.store.user(&badge.user_id).await? } else { None };
            if let Some(user) = user.filter(|user| user.enabled) {
                return Ok(Tapped::Open(Box::new(Opened { user, badge: badge.id.clone() })));
            }
        }
        // Badges that nobody has are asked for a PIN too: which ones there are is not told.
        let (user, badge) = badge.map_or_else(|| (new_id(), new_id()), |badge| (badge.user_id, badge.id));
        let waiting = Waiting { seat: seat.id.clone(), user, badge, until: now_ms + PIN_MS };
        let plain = serde_json::to_vec(&waiting).unwrap_or_default();
        Ok(Tapped::Pin(self.keys.seal(&plain, WAITING)))
    }

    /// The PIN of a tap. Takes the time of one hash whatever is wrong.
    pub async fn pin(&self, seat: &Seat, waiting: &str, pin: &str, now_ms: i64) -> Result<Opened, SeatError> {
        let refused = |reason| SeatError::refused(reason).of(seat, None);
        let opened = self.keys.open(waiting, WAITING);
        let opened = opened.and_then(|plain| serde_json::from_slice::<Waiting>(&plain).ok());
        let waiting = opened.ok_or_else(|| refused("no tap before the PIN"))?;
        if waiting.seat != seat.id {
            return Err(refused("the tap was at another seat"));
        }
        if waiting.until <= now_ms {
            return Err(refused("the PIN came too late"));
        }
        let user = self.store.user(&waiting.user).await?;
        let attempt = self.store.begin_pin(&waiting.user, now_ms).await?;
        let (hash, reason) = match attempt {
            PinAttempt::Allowed(hash) => (Some(hash), "wrong PIN"),
            PinAttempt::Wait => (None, "too many wrong PINs"),
            PinAttempt::Blocked => (None, "PIN is blocked after too many wrong ones"),
            PinAttempt::None if user.is_none() => (None, "unknown badge"),
            PinAttempt::None => (None, "user has no PIN"),
        };
        let checked = self.hasher.check(pin, hash).await;
        let right = checked.map_err(|error| SeatError::Broken(error.to_string()))?;
        let whom = user.as_ref();
        if !right {
            // Whoever guesses ends what the right one began.
            self.store.end_grace(&waiting.user).await?;
            return Err(SeatError::refused(reason).of(seat, whom));
        }
        let Some(user) = user.filter(|user| user.enabled) else {
            return Err(refused("user is disabled"));
        };
        // It may have been revoked since the tap.
        self.is_still_good(seat, &user, &waiting.badge).await?;
        let until = now_ms + self.badges.grace_ms;
        self.store.pin_was_right(&user.id, &waiting.badge, &self.grace_place(seat), until).await?;
        Ok(Opened { user, badge: waiting.badge })
    }

    /// Whether a badge has not been revoked meanwhile.
    pub async fn is_still_good(&self, seat: &Seat, user: &User, badge: &str) -> Result<(), SeatError> {
        match self.store.is_badge_of(badge, &user.id).await? {
            true => Ok(()),
            false => Err(SeatError::refused("the badge is revoked").of(seat, Some(user))),
        }
    }

    fn grace_place(&self, seat: &Seat) -> String {
        match self.badges.grace_in {
            GraceIn::Seat => format!("seat {}", seat.id),
            GraceIn::Zone => format!("zone {}", seat.zone),
            GraceIn::Everywhere => "everywhere".into(),
        }
    }
}

const WAITING: &str = "a tap that waits for its PIN";

impl Keys {
    /// What is kept of a badge's number. Without the gateway's secret nobody finds the number by trying all there are.
    pub fn badge_hash(&self, number: &str) -> String {
        self.keyed_hash("badge", number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_has_the_same_number_however_its_reader_writes_it() {
        assert_eq!(badge_number(" 04:a2-2F 91\r\n").as_deref(), Some("04A22F91"));
        for wrong in ["", "123", "04A22F91;", &"1".repeat(65), "é1234"] {
            assert_eq!(badge_number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_enrolment_code_is_the_same_however_it_is_typed() {
        let code = in_letters(&[0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(code.len(), 19, "{code}");
        assert_eq!(code_hash(&code), code_hash(&code.to_lowercase().replace('-', " ")));
        assert_ne!(code_hash(&code), code_hash(&in_letters(&[0xff, 0, 1, 2, 3, 4, 5, 6, 7, 9])));
    }

    #[test]
    fn a_pin_that_would_be_tried_first_cannot_be_chosen() {
        for pin in ["0000", "1234", "987654", "111111"] {
            assert_eq!(check_new_pin(pin), Err(PinError::Guessable), "{pin}");
        }
        for pin in ["123", "12a4", "1234567890123", "١٢٣٤", ""] {
            assert_eq!(check_new_pin(pin), Err(PinError::Shape), "{pin}");
        }
        assert_eq!(check_new_pin("4711"), Ok(()));
    }

    #[test]
    fn what_is_kept_of_a_badge_depends_on_the_gateways_secret() {
        let keys =
            |secret: &[u8]| Keys::new(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret));
        let hash = keys(b"one").badge_hash("04A22F91");
        assert_eq!(hash, keys(b"one").badge_hash("04A22F91"));
        assert_ne!(hash, keys(b"two").badge_hash("04A22F91"));
        assert_ne!(hash, sha256_hex(b"04A22F91"));
    }

    #[test]
    fn a_seats_name_has_single_spaces_and_is_bounded() {
        assert_eq!(seat_name("  Room  12 ").as_deref(), Some("Room 12"));
        assert_eq!(seat_name(" "), None);
        assert_eq!(seat_name(&"x".repeat(33)), None, "a sign-in keeps 32 characters of it");
    }
}
