//! The viewer's side: connect, decode, present, type. `chevet view` is built on it, and so may be any other
//! program:
//!
//! ```no_run
//! use chevet::client::{Address, Client, Event};
//! use chevet::wire::InputEvent;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let address = Address::find("http://127.0.0.1:4380/#session=desk&ticket=...").await?;
//! let mut client = Client::connect(address).await?;
//! client.input(InputEvent::Text("bonjour".into()));
//! loop {
//!     match client.next().await? {
//!         Event::Updated(update) => {
//!             if let Some(screen) = client.screen() {
//!                 let first_row = screen.row(0, 0, screen.width());
//!                 println!("{} tiles, top left pixel {:06x}", update.applied.tiles.len(), first_row[0]);
//!             }
//!         }
//!         Event::Exact => println!("the screen is the session's, to the pixel"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```

mod address;
mod candidate;
mod card;
mod connection;
mod device;
mod event;
mod headless;
mod http;
mod mirror;
mod nearest;
mod race;
mod report;
mod script;
pub mod seat;
mod signed_in;
mod wave;

pub use address::{Address, AddressError, ask_target, page_of};
pub use card::{CardChoice, CardProblem, PinFrom, SmartCard};
pub use connection::Client;
pub use device::DeviceCode;
pub use event::{ClientError, Event, Roads, Update};
pub use headless::{Headless, HeadlessError, run_headless, write_png};
pub use http::Site;
pub use mirror::{MAGIC, Mirror, MirrorError};
pub use report::Report;
pub use script::{Act, SYNTAX, Script, ScriptError};
pub use signed_in::{HostAsks, HostLogin, SignInFailed, SignedIn};
