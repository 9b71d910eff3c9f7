//! The load tester: viewers by the thousand from one process, each a real one on the wire; what they wait is counted
//! from the time at which they meant to act. And sessions that look like work, to load a gateway with.

mod echo;
mod headers;
mod html;
mod machine;
pub(crate) mod plot;
mod random;
mod report;
mod serve;
mod tally;
mod threshold;
mod timetable;
mod viewer;

pub(crate) use html::{STYLE, escape};
pub use report::Outcome;
pub use serve::{Offer, ServeError, Serving};
pub use tally::Moment;
pub use threshold::{Threshold, ThresholdError};
pub use timetable::Profile;

use crate::client::Address;
use crate::clock;
use crate::link::{DialError, Dialler, Road};
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::task::JoinSet;
use viewer::{Course, live};

/// How long viewers may take to leave.
const FAREWELL: Duration = Duration::from_secs(4);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of the same sessions at one gateway, or at several of one database: whoever one does not let in asks the next.
    pub addresses: Vec<Address>,
    /// Viewers leave after so long, and come anew.
    pub visit: Option<Duration>,
    /// How many sessions there are, if the address names them by a `*`.
    pub sessions: usize,
    pub viewers: usize,
    pub road: Road,
    pub profile: Profile,
    pub seed: u64,
    /// What a viewer's cache holds; without it, viewers only read headers and acknowledge.
    pub cache_bytes: Option<u64>,
    /// The viewers come one after another within this time.
    pub ramp: Duration,
    /// How long is measured, after the ramp.
    pub duration: Duration,
    /// UDP sockets that the viewers share.
    pub sockets: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(
        "the address names one session, {0:?}, and --sessions more: write * where the session's number stands, \
         as in ward-*"
    )]
    NoStar(String),
    #[error("there is no address to dial")]
    NoAddress,
}

/// Runs a plan to its end, or until `stop` resolves. `watch` is told every second.
pub async fn run(
    plan: &Plan,
    mut watch: impl FnMut(&Moment),
    stop: impl Future<Output = ()>,
) -> Result<Outcome, LoadError> {
    let first = plan.addresses.first().ok_or(LoadError::NoAddress)?;
    let sessions = session_names(&first.session, plan.sessions)?;
    let mut diallers = Vec::new();
    for address in &plan.addresses {
        diallers.push(Dialler::new(address.target.clone(), plan.road, plan.sockets).await?);
    }
    let begins_us = clock::now_us();
    let measured_from = begins_us + plan.ramp.as_micros() as u64;
    let course = Arc::new(Course {
        diallers,
        visit_us: plan.visit.map(|visit| visit.as_micros() as u64),
        ticket: first.ticket.clone(),
        sessions,
        viewers: plan.viewers,
        profile: plan.profile,
        seed: plan.seed,
        cache_bytes: plan.cache_bytes,
        begins_us,
        ramp_us: plan.ramp.as_micros() as u64,
        ends_us: measured_from + plan.duration.as_micros() as u64,
        tally: Tally::new(measured_from).into(),
    });
    let mut viewers = JoinSet::new();
    for number in 0..plan.viewers {
        let course = course.clone();
        viewers.spawn(async move { live(&course, number).await });
    }
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.tick().await;
    let mut moments = Vec::new();
    let mut interrupted = false;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            _ = seconds.tick() => {
                let second = (clock::now_us() - begins_us) as f64 / 1e6;
                let moment = course.tally().moment(second);
                watch(&moment);
                moments.push(moment);
                if clock::now_us() > course.ends_us + FAREWELL.as_micros() as u64 {
                    break;
                }
            }
            ended = viewers.join_next() => if ended.is_none() {
                break;
            },
            () = &mut stop => {
                interrupted = true;
                break;
            }
        }
    }
    viewers.shutdown().await;
    // The last goodbyes need a moment to leave.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let seconds = (clock::now_us().min(course.ends_us) - begins_us) as f64 / 1e6;
    let course = Arc::into_inner(course).expect("every viewer has ended");
    let tally = course.tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Outcome { plan: plan.clone(), tally, moments, seconds, interrupted })
}

fn session_names(pattern: &str, sessions: usize) -> Result<Vec<String>, LoadError> {
    match pattern.contains('*') {
        true => Ok((0..sessions).map(|number| pattern.replace('*', &number.to_string())).collect()),
        false if sessions == 1 => Ok(vec![pattern.to_owned()]),
        false => Err(LoadError::NoStar(pattern.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_sessions_numbers() {
        assert_eq!(session_names("ward-*", 3).unwrap(), ["ward-0", "ward-1", "ward-2"]);
        assert_eq!(session_names("desk", 1).unwrap(), ["desk"]);
        assert!(session_names("desk", 2).unwrap_err().to_string().contains("ward-*"));
    }
}
