//! What sites say to each other, and what is believed of it. No I/O, no clock: times are milliseconds since 1970.
//!
//! A site has its own gateways and its own database. Accounts have a home, the only site that changes them; what other sites
//! have of them are copies.

mod belief;
mod nearest;
mod pages;
mod statement;

pub use belief::{Belief, FRESH_MS, believe};
pub use nearest::Nearest;
pub use pages::{
    Account, AskPage, Change, MOST_BYTES, MOST_CHANGES, MOST_CODES, Page, PageError, Room, UsedCode,
    copy_name,
};
pub use statement::{SPEAKER, STATEMENT, is_site_key, message, proven};
