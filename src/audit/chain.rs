//! The chain over the journal's lines. Each line is JSON and carries its number, the hash of the line before it, a seal
//! if there is a key, and its own hash; hashes are over the very bytes that stand in the file, so there is nothing to agree on
//! about how JSON may be written.
//!
//! `{"sequence":7,"previous":"…", …the record… ,"seal":"…","hash":"…"}`

use super::record::Record;
use aws_lc_rs::{constant_time, digest, hmac};
use serde::{Deserialize, Serialize};

/// No line is longer: texts in records are bounded.
pub const MAX_LINE: usize = 64 << 10;
const SEAL: &[u8] = br#","seal":""#;
const HASH: &[u8] = br#","hash":""#;
const DIGITS: usize = 64;

/// What stands in `previous` of the first line of all.
pub const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The key under which lines are sealed: who has it can make lines that pass for the journal's, nobody else.
pub struct SealKey(hmac::Key);

impl SealKey {
    /// From the gateway's secret.
    pub fn derive(secret: &hmac::Key) -> SealKey {
        let key = hmac::sign(secret, b"chevet audit seal");
        SealKey(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    fn seal(&self, body: &[u8]) -> String {
        hex(hmac::sign(&self.0, body).as_ref())
    }
}

/// Where a chain has come to: the next line's number, and the hash that it must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub next: u64,
    pub previous: String,
}

impl Default for Head {
    fn default() -> Self {
        Head { next: 1, previous: FIRST.to_owned() }
    }
}

/// A line that is whole in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub sequence: u64,
    pub previous: String,
    pub hash: String,
    pub record: Record,
}

#[derive(Serialize, Deserialize)]
struct Body<R> {
    sequence: u64,
    previous: String,
    #[serde(flatten)]
    record: R,
}

/// What is wrong with a line, or with where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the line is not one that chevet writes")]
    Form,
    #[error("the line is not what it was when it was written: its hash does not fit")]
    Changed,
    #[error("the line carries no seal, though the key is given")]
    Unsealed,
    #[error("the line was not sealed by the gateway whose key was given")]
    WrongSeal,
    #[error("record {found} stands where {wanted} is due: lines were removed, added or moved")]
    Sequence { wanted: u64, found: u64 },
    #[error(
        "record {0} does not follow the line before it: that one was replaced, or this one comes from another journal"
    )]
    Previous(u64),
}

impl Head {
    /// Writes the next line, its end included, and goes on to the one after it.
    pub fn append(&mut self, record: &Record, seal: Option<&SealKey>, to: &mut Vec<u8>) {
        let body = Body { sequence: self.next, previous: self.previous.clone(), record };
        let start = to.len();
        // Texts and numbers, no maps with keys that are none: this cannot fail.
        serde_json::to_writer(&mut *to, &body).expect("a record is JSON");
        to.pop();
        if let Some(key) = seal {
            let seal = key.seal(&to[start..]);
            to.extend_from_slice(SEAL);
            to.extend_from_slice(seal.as_bytes());
            to.push(b'"');
        }
        let hash = sha256(&to[start..]);
        to.extend_from_slice(HASH);
        to.extend_from_slice(hash.as_bytes());
        to.extend_from_slice(b"\"}\n");
        *self = Head { next: self.next + 1, previous: hash };
    }

    /// Whether an entry is the one that is due; then goes on to the one after it.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Fault> {
        if entry.sequence != self.next {
            return Err(Fault::Sequence { wanted: self.next, found: entry.sequence });
        }
        if entry.previous != self.previous {
            return Err(Fault::Previous(entry.sequence));
        }
        *self = Head::after(entry);
        Ok(())
    }

    /// The head behind an entry.
    pub fn after(entry: &Entry) -> Head {
        Head { next: entry.sequence.saturating_add(1), previous: entry.hash.clone() }
    }
}

/// Reads a line without its end, and checks what it says of itself.
pub fn read(line: &[u8], key: Option<&SealKey>) -> Result<Entry, Fault> {
    if line.len() > MAX_LINE {
        return Err(Fault::Form);
    }
    let open = line.strip_suffix(b"}").ok_or(Fault::Form)?;
    let (body, hash) = field(open, HASH).ok_or(Fault::Form)?;
    if sha256(body) != hash {
        return Err(Fault::Changed);
    }
    let sealed = field(body, SEAL);
    if let Some(key) = key {
        let (said, seal) = sealed.as_ref().ok_or(Fault::Unsealed)?;
        constant_time::verify_slices_are_equal(key.seal(said).as_bytes(), seal.as_bytes())
            .map_err(|_| Fault::WrongSeal)?;
    }
    let mut json = sealed.map_or(body, |(said, _)| said).to_vec();
    json.push(b'}');
    let body: Body<Record> = serde_json::from_slice(&json).map_err(|_| Fault::Form)?;
    Ok(Entry { sequence: body.sequence, previous: body.previous, hash, record: body.record })
}

/// Splits a last field with 64 digits off.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<(&'a [u8], String)> {
    let at = line.len().checked_sub(name.len() + DIGITS + 1)?;
    let (body, field) = line.split_at(at);
    let digits = field.strip_prefix(name)?.strip_suffix(b"\"")?;
    let plain = digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| (body, String::from_utf8_lossy(digits).into_owned()))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
