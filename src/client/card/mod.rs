//! A smart card in a reader of this machine, by PKCS#11. Its key never leaves it: what is signed is signed there.

mod key;
mod modules;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use key::{CardKey, Kind};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

/// How often it is looked whether the card is still there. Two looks that miss it are not an accident.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Certificates that are read of one card, and those above its own that are shown with it.
const MOST_CERTIFICATES: usize = 64;
const MOST_ABOVE: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum CardProblem {
    #[error(
        "no PKCS#11 module was found: install the one of your card (opensc has many), or name its file with --pkcs11"
    )]
    NoModule,
    #[error("the PKCS#11 module {path} cannot be used: {reason}")]
    Module { path: PathBuf, reason: String },
    #[error("there is no card reader: plug one in, and see that its driver runs (pcscd)")]
    NoReader,
    #[error("there is no card in the reader: insert it")]
    NoCard,
    #[error("no card is called {wanted:?}; there are: {there}")]
    NotThere { wanted: String, there: String },
    #[error("there are several cards; choose one with --token: {0}")]
    Several(String),
    #[error("the card {0} has no certificate for signing in (client authentication)")]
    NoCertificate(String),
    #[error(
        "the card {0} has a certificate for signing in, and no key to it that is RSA or ECDSA P-256 or P-384"
    )]
    NoKey(String),
    #[error("the PIN of {card} is wrong{left}")]
    WrongPin { card: String, left: &'static str },
    #[error("the PIN of {0} is locked after too many wrong ones: whoever issued the card can unlock it")]
    PinLocked(String),
    #[error("the card {0} has no PIN yet, or wants it changed: do that with its own program first")]
    PinUnset(String),
    #[error("one try is left for the PIN of {0}: it is not spent on a PIN from a file; type it")]
    LastTry(String),
    #[error("{0}")]
    Pin(String),
    #[error("the card does not answer ({0}): take it out, insert it again, and retry")]
    Silent(Error),
}

/// Which card, where there are several.
#[derive(Clone, Debug, Default)]
pub struct CardChoice {
    /// The module's file; without it those that p11-kit knows.
    pub module: Option<PathBuf>,
    /// The token's label or serial number.
    pub token: Option<String>,
    /// The slot's number, as its module counts.
    pub slot: Option<u64>,
}

/// Where a PIN comes from.
pub enum PinFrom<'a> {
    /// It is asked for, with the card's name.
    Asked(&'a dyn Fn(&str) -> Result<Zeroizing<String>, String>),
    File(&'a Path),
}

/// A card that was opened with its PIN.
pub struct SmartCard {
    slot: Slot,
    pkcs11: Pkcs11,
    session: Arc<Mutex<Session>>,
    key: Arc<SingleCertAndKey>,
}

struct Found {
    pkcs11: Pkcs11,
    slot: Slot,
    info: TokenInfo,
}

impl Found {
    fn name(&self) -> String {
        shown(&format!("{} ({})", self.info.label().trim(), self.info.serial_number().trim()))
    }
}

impl SmartCard {
    /// Opens the card that is chosen, or the only one. Waits for people and readers.
    pub fn open(choice: &CardChoice, pin: &PinFrom) -> Result<SmartCard, CardProblem> {
        let Found { pkcs11, slot, info } = {
            let found = find(choice)?;
            tracing::debug!(card = found.name(), "a card was found");
            found
        };
        let name = shown(info.label().trim());
        let session = pkcs11.open_ro_session(slot).map_err(CardProblem::Silent)?;
        // No try of the PIN is spent on a card that has nothing to sign in with.
        let certificates = certificates(&session).map_err(CardProblem::Silent)?;
        let Some((own, kind)) = usable(&certificates) else {
            return Err(CardProblem::NoCertificate(name));
        };
        log_in(&pkcs11, slot, &info, &session, pin, &name)?;
        let key = key_of(&session, &own.id).map_err(CardProblem::Silent)?;
        let key = key.ok_or_else(|| CardProblem::NoKey(name.clone()))?;
        let chain = chain_of(own, &certificates);
        let session = Arc::new(Mutex::new(session));
        let key = Arc::new(CardKey::new(session.clone(), key, kind));
        let key = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        Ok(SmartCard { slot, pkcs11, session, key })
    }

    pub(super) fn shows(&self) -> Arc<SingleCertAndKey> {
        self.key.clone()
    }

    /// Resolves once the card is taken out, also if it is put back at once.
    pub async fn removed(&self) {
        let mut missed = 0;
        while missed < 2 {
            tokio::time::sleep(LOOK_EVERY).await;
            let (pkcs11, slot, session) = (self.pkcs11.clone(), self.slot, self.session.clone());
            let there = tokio::task::spawn_blocking(move || is_there(&pkcs11, slot, &session)).await;
            missed = if there.unwrap_or(false) { 0 } else { missed + 1 };
        }
    }
}

/// A session that was opened ends when its card is taken out.
fn is_there(pkcs11: &Pkcs11, slot: Slot, session: &Mutex<Session>) -> bool {
    let session = session.lock().unwrap_or_else(PoisonError::into_inner);
    pkcs11.get_slot_info(slot).is_ok_and(|slot| slot.token_present())
        && pkcs11.get_token_info(slot).is_ok()
        && session.get_session_info().is_ok()
}

/// What a card says of itself, as a terminal may show it.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn open_module(path: &Path) -> Result<Pkcs11, CardProblem> {
    let failed = |error: Error| CardProblem::Module { path: path.to_owned(), reason: error.to_string() };
    let pkcs11 = Pkcs11::new(path).map_err(failed)?;
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(pkcs11),
        Err(error) => Err(failed(error)),
    }
}

fn find(choice: &CardChoice) -> Result<Found, CardProblem> {
    let modules = match &choice.module {
        Some(path) => vec![open_module(path)?],
        None => {
            let paths = modules::installed();
            let opened = paths.iter().filter_map(|path| {
                open_module(path).inspect_err(|error| tracing::debug!(%error, "a module is passed over")).ok()
            });
            opened.collect()
        }
    };
    if modules.is_empty() {
        return Err(CardProblem::NoModule);
    }
    let (mut readers, mut found) = (0, Vec::new());
    for pkcs11 in modules {
        readers += pkcs11.get_all_slots().map_or(0, |slots| slots.len());
        for slot in pkcs11.get_slots_with_token().unwrap_or_default() {
            let Ok(info) = pkcs11.get_token_info(slot) else { continue };
            if info.token_initialized() {
                found.push(Found { pkcs11: pkcs11.clone(), slot, info });
            }
        }
    }
    if found.is_empty() {
        return Err(if readers == 0 { CardProblem::NoReader } else { CardProblem::NoCard });
    }
    let names = |found: &[Found]| found.iter().map(Found::name).collect::<Vec<_>>().join(", ");
    let there = names(&found);
    if let Some(wanted) = &choice.token {
        let is = |text: &str| text.trim() == wanted;
        found.retain(|one| is(one.info.label()) || is(one.info.serial_number()));
    }
    if let Some(slot) = choice.slot {
        found.retain(|one| one.slot.id() == slot);
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            Err(CardProblem::Several(names(&found)))
        }
        (None, _) => {
            let slot = choice.slot.map(|slot| format!("slot {slot}")).unwrap_or_default();
            Err(CardProblem::NotThere { wanted: choice.token.clone().unwrap_or(slot), there })
        }
    }
}

fn log_in(
    pkcs11: &Pkcs11,
    slot: Slot,
    info: &TokenInfo,
    session: &Session,
    pin: &PinFrom,
    name: &str,
) -> Result<(), CardProblem> {
    if !info.login_required() {
        return Ok(());
    }
    if info.user_pin_locked() {
        return Err(CardProblem::PinLocked(name.to_owned()));
    }
    // A reader with keys of its own asks for the PIN itself.
    let typed = match (info.protected_authentication_path(), pin) {
        (true, _) => None,
        (false, PinFrom::File(_)) if info.user_pin_final_try() => {
            return Err(CardProblem::LastTry(name.to_owned()));
        }
        (false, PinFrom::File(path)) => {
            let read = std::fs::read_to_string(path).map(Zeroizing::new);
            let read =
                read.map_err(|error| CardProblem::Pin(format!("reading the PIN in {path:?}: {error}")))?;
            Some(Zeroizing::new(read.lines().next().unwrap_or_default().to_owned()))
        }
        (false, PinFrom::Asked(ask)) => Some(ask(name).map_err(CardProblem::Pin)?),
    };
    // Its memory is wiped when it is dropped.
    let typed = typed.map(|typed| AuthPin::from(typed.as_str()));
    match session.login(UserType::User, typed.as_ref()) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _)) => {
            let now = pkcs11.get_token_info(slot).ok();
            let is = |flag: fn(&TokenInfo) -> bool| now.as_ref().is_some_and(flag);
            if is(TokenInfo::user_pin_locked) {
                return Err(CardProblem::PinLocked(name.to_owned()));
            }
            let left = match (is(TokenInfo::user_pin_final_try), is(TokenInfo::user_pin_count_low)) {
                (true, _) => "; one try is left before it is locked",
                (false, true) => "; few tries are left before it is locked",
                (false, false) => "",
            };
            Err(CardProblem::WrongPin { card: name.to_owned(), left })
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(CardProblem::PinLocked(name.to_owned())),
        Err(Error::Pkcs11(RvError::PinExpired | RvError::UserPinNotInitialized, _)) => {
            Err(CardProblem::PinUnset(name.to_owned()))
        }
        Err(error) => Err(CardProblem::Silent(error)),
    }
}

struct OnCard {
    der: CertificateDer<'static>,
    id: Vec<u8>,
}

fn certificates(session: &Session) -> Result<Vec<OnCard>, Error> {
    let wanted =
        [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::CertificateType(CertificateType::X_509)];
    let mut read = Vec::new();
    for object in session.find_objects(&wanted)?.into_iter().take(MOST_CERTIFICATES) {
        let (mut der, mut id) = (Vec::new(), Vec::new());
        for attribute in session.get_attributes(object, &[AttributeType::Value, AttributeType::Id])? {
            match attribute {
                Attribute::Value(bytes) => der = bytes,
                Attribute::Id(bytes) => id = bytes,
                _ => {}
            }
        }
        read.push(OnCard { der: der.into(), id });
    }
    Ok(read)
}

/// The certificate to sign in with: of those that are for it one that holds now, and of these the newest.
fn usable(certificates: &[OnCard]) -> Option<(&OnCard, Kind)> {
    let mut best = None;
    for one in certificates {
        let Ok((_, certificate)) = X509Certificate::from_der(&one.der) else { continue };
        let usage = certificate.extended_key_usage().ok().flatten();
        let for_clients = usage.is_none_or(|usage| usage.value.client_auth || usage.value.any);
        let signs =
            certificate.key_usage().ok().flatten().is_none_or(|usage| usage.value.digital_signature());
        let Some(kind) = Kind::of(&certificate).filter(|_| for_clients && signs && !certificate.is_ca())
        else {
            continue;
        };
        let rank = (certificate.validity().is_valid(), certificate.validity().not_before.timestamp());
        if best.as_ref().is_none_or(|(before, _, _)| rank > *before) {
            best = Some((rank, one, kind));
        }
    }
    best.map(|(_, one, kind)| (one, kind))
}

fn key_of(session: &Session, id: &[u8]) -> Result<Option<ObjectHandle>, Error> {
    let wanted =
        [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.to_vec()), Attribute::Sign(true)];
    Ok(session.find_objects(&wanted)?.into_iter().next())
}

/// A certificate with those above it that the card carries too.
fn chain_of(own: &OnCard, certificates: &[OnCard]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![own.der.clone()];
    while chain.len() <= MOST_ABOVE {
        let Some(last) = chain.last() else { break };
        let Ok((_, below)) = X509Certificate::from_der(last) else { break };
        let above = certificates.iter().find(|one| {
            let read = X509Certificate::from_der(&one.der);
            read.is_ok_and(|(_, one)| one.is_ca() && one.subject().as_raw() == below.issuer().as_raw())
        });
        match above.map(|one| one.der.clone()) {
            Some(above) if !chain.contains(&above) => chain.push(above),
            _ => break,
        }
    }
    chain
}
