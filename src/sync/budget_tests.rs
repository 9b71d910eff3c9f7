use super::*;

#[test]
fn something_may_always_be_sent_when_nothing_is_on_the_way() {
    let mut budget = Budget::new();
    let sent = budget.sent(1 << 30, 0);
    assert_eq!(budget.room(0), 0);
    budget.acknowledged(&sent, 0, u64::MAX / 2);
    assert!(budget.room(u64::MAX / 2) > 0);
}
