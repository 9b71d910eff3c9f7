//! How long the copy of an account is believed while its home cannot be reached.

/// A home that was heard within this time is not cut off, in milliseconds.
pub const FRESH_MS: i64 = 20_000;
/// Clocks that are set go back by less than this.
const SET_BACK_MS: i64 = 60_000;

/// Whether somebody may sign in by a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// All of its home's changes up to this many milliseconds ago are known.
    Holds {
        age_ms: i64,
    },
    TooOld {
        age_ms: i64,
    },
    /// Its home was never heard to the end, or in a time that has not come yet.
    Unknown,
}

/// What a copy is worth whose home was heard to the end at `pulled_at`, when copies are believed for `lasts_ms` of a cut.
pub fn believe(pulled_at: i64, now_ms: i64, lasts_ms: i64) -> Belief {
    if pulled_at <= 0 || pulled_at > now_ms.saturating_add(SET_BACK_MS) {
        return Belief::Unknown;
    }
    let age_ms = now_ms.saturating_sub(pulled_at).max(0);
    match age_ms <= lasts_ms.max(FRESH_MS) {
        true => Belief::Holds { age_ms },
        false => Belief::TooOld { age_ms },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_time_of_grace_a_copy_holds_only_while_its_home_is_heard() {
        assert_eq!(believe(1_000, 1_000 + FRESH_MS, 0), Belief::Holds { age_ms: FRESH_MS });
        assert_eq!(believe(1_000, 1_001 + FRESH_MS, 0), Belief::TooOld { age_ms: FRESH_MS + 1 });
        assert_eq!(believe(0, 1_000, i64::MAX), Belief::Unknown);
        assert_eq!(believe(200_000, 100_000, i64::MAX), Belief::Unknown);
        assert_eq!(believe(100_500, 100_000, 0), Belief::Holds { age_ms: 0 });
    }

    proptest! {
        #[test]
        fn a_copy_that_was_too_old_is_so_until_its_home_is_heard_again(
            pulled in 1i64..1 << 40, waited in 0i64..1 << 40, more in 0i64..1 << 40, lasts in 0i64..1 << 40,
        ) {
            if let Belief::TooOld { .. } = believe(pulled, pulled + waited, lasts) {
                let still = matches!(believe(pulled, pulled + waited + more, lasts), Belief::TooOld { .. });
                prop_assert!(still);
            }
            prop_assert_eq!(believe(pulled, pulled, lasts), Belief::Holds { age_ms: 0 });
        }

        #[test]
        fn no_times_are_too_odd(pulled: i64, now: i64, lasts: i64) {
            believe(pulled, now, lasts);
        }
    }
}
