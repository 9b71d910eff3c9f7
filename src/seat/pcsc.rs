//! Cards and contactless badges at PC/SC readers: the card's own number, as the reader tells it (PC/SC part 3, GET DATA).

use super::Seen;
use pcsc::{Context, Error, PNP_NOTIFICATION, Protocols, ReaderState, Scope, ShareMode, State};
use std::ffi::CStr;
use std::time::Duration;
use tokio::sync::mpsc;

/// GET DATA: the number (UID) of the card in the field.
const GET_UID: [u8; 5] = [0xFF, 0xCA, 0x00, 0x00, 0x00];
const DONE: [u8; 2] = [0x90, 0x00];
/// How often it is looked whether anybody still listens.
const WAKE: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_secs(2);

/// Tells the cards that come and go at all readers, or at those whose name contains `wanted`, on a thread of its own.
pub fn read_cards(wanted: Option<String>, seen: mpsc::Sender<Seen>) -> std::io::Result<()> {
    let run = move || {
        let mut troubled = false;
        while !seen.is_closed() {
            let error = match Context::establish(Scope::User) {
                Ok(context) => {
                    if std::mem::take(&mut troubled) {
                        let _ = seen.blocking_send(Seen::Trouble(None));
                    }
                    watch(&context, wanted.as_deref(), &seen).err()
                }
                Err(error) => Some(error),
            };
            let Some(error) = error else { return };
            // Whatever lay there cannot be seen any more.
            let _ = seen.blocking_send(Seen::Removed);
            if !std::mem::replace(&mut troubled, true) {
                let told = format!("the card readers cannot be asked ({error}); is pcscd running?");
                let _ = seen.blocking_send(Seen::Trouble(Some(told)));
            }
            std::thread::sleep(AGAIN);
        }
    };
    std::thread::Builder::new().name("card readers".into()).spawn(run).map(drop)
}

/// Until nobody listens any more, or pcscd is gone.
fn watch(context: &Context, wanted: Option<&str>, seen: &mpsc::Sender<Seen>) -> Result<(), Error> {
    let mut readers = vec![ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE)];
    while !seen.is_closed() {
        find_readers(context, wanted, &mut readers)?;
        match context.get_status_change(WAKE, &mut readers) {
            Ok(()) => {}
            Err(Error::Timeout) => continue,
            Err(error) => return Err(error),
        }
        for reader in &mut readers {
            let (before, now) = (reader.current_state(), reader.event_state());
            reader.sync_current_state();
            if reader.name() == PNP_NOTIFICATION() {
                continue;
            }
            let (was, is) = (before.contains(State::PRESENT), now.contains(State::PRESENT));
            let told = match (was, is) {
                (false, true) if !now.contains(State::MUTE) => {
                    number(context, reader.name()).map(Seen::Badge)
                }
                (true, false) => Some(Seen::Removed),
                _ => None,
            };
            if let Some(told) = told
                && seen.blocking_send(told).is_err()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Adds readers that were plugged in, and forgets those that are gone.
fn find_readers(
    context: &Context,
    wanted: Option<&str>,
    readers: &mut Vec<ReaderState>,
) -> Result<(), Error> {
    let gone = |reader: &ReaderState| {
        reader.event_state().intersects(State::UNKNOWN | State::IGNORE) && reader.name() != PNP_NOTIFICATION()
    };
    readers.retain(|reader| !gone(reader));
    let names = match context.list_readers_owned() {
        Ok(names) => names,
        Err(Error::NoReadersAvailable) => Vec::new(),
        Err(error) => return Err(error),
    };
    for name in names {
        let is_wanted = wanted.is_none_or(|wanted| name.to_string_lossy().contains(wanted));
        if is_wanted && !readers.iter().any(|reader| reader.name() == name.as_c_str()) {
            readers.push(ReaderState::new(name, State::UNAWARE));
        }
    }
    Ok(())
}

/// A card's number in hexadecimal digits; nothing if it has none, or was taken away too soon.
fn number(context: &Context, reader: &CStr) -> Option<String> {
    let card = match context.connect(reader, ShareMode::Shared, Protocols::ANY) {
        Ok(card) => card,
        Err(error) => {
            tracing::warn!(?reader, %error, "a card could not be spoken to");
            return None;
        }
    };
    let mut room = [0; 64];
    let answer = card.transmit(&GET_UID, &mut room);
    let found = answer.ok().and_then(|answer| {
        let (uid, status) = answer.split_last_chunk::<2>()?;
        (*status == DONE && uid.len() >= 4).then(|| uid.iter().map(|byte| format!("{byte:02X}")).collect())
    });
    if found.is_none() {
        tracing::warn!(?reader, "a card does not tell its number");
    }
    // Not reset: other programs may be speaking to it.
    let _ = card.disconnect(pcsc::Disposition::LeaveCard);
    found
}
