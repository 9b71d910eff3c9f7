//! What is known of a recording without its key: which session, when, who; a small file beside it.

use super::format::Person;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LabelledPerson {
    pub name: String,
    pub title: String,
    pub seat: String,
}

/// Times in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Label {
    pub session: String,
    pub title: String,
    pub began_at: i64,
    /// Absent: it is being written, or the gateway was killed.
    pub ended_at: Option<i64>,
    /// Why it ended.
    pub reason: String,
    /// Who was recorded.
    pub people: Vec<LabelledPerson>,
    /// When the recording itself was removed; the label stays until that is audited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<i64>,
}

/// People in one label.
const MOST_PEOPLE: usize = 64;

impl Label {
    /// Notes somebody who came; whether they are new.
    pub fn meet(&mut self, person: &Person) -> bool {
        let Person { name, title, seat, .. } = person.clone();
        let met = LabelledPerson { name, title, seat };
        let new = met != LabelledPerson::default()
            && !self.people.contains(&met)
            && self.people.len() < MOST_PEOPLE;
        if new {
            self.people.push(met);
        }
        new
    }
}
