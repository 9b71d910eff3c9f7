//! What a viewer has, lacks and gets next; and the viewer's own half. State machines without I/O: times
//! are passed in, bytes are handed out. `scene` is what the session shows, `delivery` what one viewer has been
//! sent of it, `budget` how much may be on the way, `viewer` the other end, `cache` and `proof` what both share.

mod attachment;
mod budget;
mod cache;
mod clocks;
mod delivery;
mod live;
mod motion;
mod pictures;
mod proof;
mod scene;
mod texture;
mod tile_bytes;
mod viewer;

pub use attachment::{Attachment, Exactness, Identity, News, PING_AFTER, SILENT_AFTER};
pub use budget::Budget;
pub use cache::{CacheMirror, TileCache};
pub use clocks::Clocks;
pub use delivery::{Delivery, DeliveryCounters, Pointer};
pub use live::{Learning, NoModel, Teaching};
pub use motion::Region;
pub use pictures::{Fetched, FetchedPicture, OfferedPicture};
pub use proof::root;
pub use scene::{Change, ChangedPart, Scene};
pub use viewer::{Applied, Viewer, ViewerError};

/// A point in time, in microseconds on some monotonic clock.
pub type Micros = u64;
