//! What is heard, in a WAV file: 16 bits a sample, left and right in turn.

use crate::sound::{CHANNELS, Listener, RATE, SoundError};
use crate::wire::SoundPacket;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes of the header, and of samples at the most: the format counts with 32 bits.
const HEAD: u32 = 44;
const MOST: u32 = u32::MAX - HEAD;

#[derive(Debug, thiserror::Error)]
pub enum WaveError {
    #[error("writing what is heard to {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("what is heard cannot be decoded: {0}")]
    Sound(#[from] SoundError),
}

/// Writes what a viewer hears, decoded. What was not played leaves no gap.
pub struct Wave {
    path: PathBuf,
    file: BufWriter<File>,
    listener: Listener,
    bytes: u32,
    samples: Vec<i16>,
}

impl Wave {
    /// A file of its owner alone: what is heard may be about a patient.
    pub fn create(path: &Path) -> Result<Wave, WaveError> {
        let listener = Listener::new()?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let failed = |source| WaveError::File { path: path.to_owned(), source };
        let mut file = BufWriter::new(options.open(path).map_err(failed)?);
        file.write_all(&head(0)).map_err(failed)?;
        Ok(Wave { path: path.to_owned(), file, listener, bytes: 0, samples: Vec::new() })
    }

    /// What comes now counts from another number.
    pub fn begin_anew(&mut self) {
        self.listener.begin_anew();
    }

    /// Appends what a packet brings. Beyond four gigabytes nothing is written any more.
    pub fn hear(&mut self, packet: SoundPacket) -> Result<(), WaveError> {
        self.samples.clear();
        self.listener.take(packet, &mut self.samples)?;
        let bytes: Vec<u8> = self.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let Some(total) = self.bytes.checked_add(bytes.len() as u32).filter(|&total| total <= MOST) else {
            return Ok(());
        };
        self.bytes = total;
        self.file.write_all(&bytes).map_err(|source| WaveError::File { path: self.path.clone(), source })
    }

    /// Says in the file how long it has become.
    pub fn finish(mut self) -> Result<(), WaveError> {
        let finished = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&head(self.bytes)))
            .and_then(|()| self.file.flush());
        finished.map_err(|source| WaveError::File { path: self.path, source })
    }
}

/// The header of a file with so many bytes of samples.
fn head(bytes: u32) -> Vec<u8> {
    let align = CHANNELS as u16 * 2;
    let mut head = Vec::with_capacity(HEAD as usize);
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&(HEAD - 8 + bytes).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt ");
    head.extend_from_slice(&16_u32.to_le_bytes());
    [1, CHANNELS as u16].iter().for_each(|value| head.extend_from_slice(&value.to_le_bytes()));
    [RATE, RATE * u32::from(align)].iter().for_each(|value| head.extend_from_slice(&value.to_le_bytes()));
    [align, 16].iter().for_each(|value| head.extend_from_slice(&value.to_le_bytes()));
    head.extend_from_slice(b"data");
    head.extend_from_slice(&bytes.to_le_bytes());
    head
}
