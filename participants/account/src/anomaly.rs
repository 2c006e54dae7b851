//! How unusual a payment is for its account: one number, made of the amount and of how often it pays. Pure.
//!
//! No database, clock or float. Invariant: all arithmetic is in integers that can't overflow; the same payments give the
//! same score everywhere.

/// From this score on a payment is anomalous.
pub(crate) const ANOMALOUS_FROM: i32 = 60;
/// Earlier payments that are looked at, the newest first.
pub(crate) const EARLIER_MAX: i64 = 50;
/// With fewer earlier payments than this, nobody can say what amount is usual.
const EARLIER_MIN: usize = 5;
/// Points for each spread above the mean.
const POINTS_PER_SPREAD: i128 = 10;
/// Payments in an hour that are never suspicious.
const FREE_PER_HOUR: i64 = 3;
/// Points for each payment in the last hour beyond those.
const POINTS_PER_PAYMENT: i64 = 4;

/// The score of paying `amount` after these earlier payments (all above zero), `last_hour` of which were in the last hour.
///
/// 10 points for each spread by which the amount is above the mean, where the spread is the mean absolute deviation, but
/// at least a tenth of the mean; and 4 for each payment of the last hour after the third. Each part counts up to 60.
pub(crate) fn score(amount: i64, earlier: &[i64], last_hour: i64) -> i32 {
    amount_points(amount, earlier) + rate_points(last_hour)
}

fn amount_points(amount: i64, earlier: &[i64]) -> i32 {
    let Some(count) = i128::try_from(earlier.len()).ok().filter(|_| earlier.len() >= EARLIER_MIN) else { return 0 };
    let mean = earlier.iter().map(|it| i128::from(*it)).sum::<i128>() / count;
    let deviation = earlier.iter().map(|it| (i128::from(*it) - mean).abs()).sum::<i128>() / count;
    let spread = deviation.max(mean / 10).max(1);
    let above = (i128::from(amount) - mean).max(0);
    capped(above * POINTS_PER_SPREAD / spread)
}

fn rate_points(last_hour: i64) -> i32 {
    capped(i128::from((last_hour - FREE_PER_HOUR).max(0)) * i128::from(POINTS_PER_PAYMENT))
}

fn capped(points: i128) -> i32 {
    i32::try_from(points).unwrap_or(ANOMALOUS_FROM).min(ANOMALOUS_FROM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_without_a_past_may_pay_any_amount() {
        assert_eq!(score(i64::MAX, &[], 0), 0);
        assert_eq!(score(i64::MAX, &[100; EARLIER_MIN - 1], 0), 0);
    }

    #[test]
    fn an_amount_counts_by_its_distance_from_the_mean_in_spreads() {
        let earlier = [100, 100, 100, 100, 100];
        assert_eq!(score(100, &earlier, 0), 0);
        assert_eq!(score(1, &earlier, 0), 0, "less than usual is nothing to worry about");
        assert_eq!(score(130, &earlier, 0), 30, "a spread is at least a tenth of the mean");
        assert_eq!(score(159, &earlier, 0), 59);
        assert_eq!(score(160, &earlier, 0), ANOMALOUS_FROM);
        assert_eq!(score(i64::MAX, &earlier, 0), ANOMALOUS_FROM);
        assert_eq!(score(220, &[50, 150, 50, 150, 100], 0), 30, "wide spread, mean 100, deviation 40");
    }

    #[test]
    fn paying_often_counts_and_adds_up_with_the_amount() {
        assert_eq!(score(100, &[100; 5], 3), 0);
        assert_eq!(score(100, &[100; 5], 4), 4);
        assert_eq!(score(130, &[100; 5], 11), 62);
        assert_eq!(score(100, &[], 18), ANOMALOUS_FROM);
        assert_eq!(score(100, &[], i64::MAX), ANOMALOUS_FROM);
    }

    #[test]
    fn the_largest_amounts_do_not_wrap_round() {
        let earlier = [i64::MAX; EARLIER_MAX as usize];
        assert_eq!(score(i64::MAX, &earlier, 0), 0);
        assert_eq!(score(i64::MAX, &[1; EARLIER_MAX as usize], 0), ANOMALOUS_FROM);
    }
}
