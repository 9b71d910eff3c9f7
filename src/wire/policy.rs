//! What a session promises of the pixels that its viewers are shown.

/// How a session trades exactness against motion while something moves. Whatever rests is made exact under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// What moves steadily and is no text goes as video until it rests; all else is exact at once.
    #[default]
    Balanced,
    /// Never a lossy pixel, as diagnostic images need: what the path cannot carry is skipped.
    ExactOnly,
    /// Video starts sooner, and goes before everything else.
    Motion,
}

impl Policy {
    pub const ALL: [Policy; 3] = [Policy::Balanced, Policy::ExactOnly, Policy::Motion];

    /// The name in settings and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Balanced => "balanced",
            Policy::ExactOnly => "exact-only",
            Policy::Motion => "motion",
        }
    }

    pub(super) fn number(self) -> u64 {
        match self {
            Policy::Balanced => 0,
            Policy::ExactOnly => 1,
            Policy::Motion => 2,
        }
    }

    /// `None` for a number that this version does not know.
    pub(super) fn of(number: u64) -> Option<Policy> {
        Self::ALL.into_iter().find(|policy| policy.number() == number)
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no policy; there are balanced, exact-only and motion")]
pub struct UnknownPolicy(String);

impl std::str::FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}
