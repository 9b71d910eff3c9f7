//! The records as an IHE audit record repository takes them (ATNA, ITI-20): DICOM audit messages in syslog over TLS.
//! What is owed to the repository is the journal from a remembered record on, so nothing is kept twice.

mod codes;
mod cursor;
mod message;
mod repository;
mod tls;

pub use cursor::Cursor;
pub use message::{Sender, frame, xml};
pub use repository::{Repository, Target};
pub use tls::{TlsFiles, TlsFilesError};
