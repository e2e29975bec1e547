//! Delta debugging: which items of a list are needed.

/// Leaves out as many of `len` items as it can. `needed` is told which items would stay, by their
/// places in ascending order, and says whether that still fails; what it says yes to is the state
/// to go on from. At the end no single item can be left out, if `needed` always answers alike.
///
/// Large parts are tried first, so that a list in which little matters costs few questions. What is
/// left out is always a run of neighbours: they tend to belong together.
pub(super) fn ddmin(len: usize, mut still_fails: impl FnMut(&[usize]) -> bool) {
    let mut kept: Vec<usize> = (0..len).collect();
    let mut part = kept.len();
    while part > 0 && !kept.is_empty() {
        let mut at = 0;
        let mut dropped = false;
        while at < kept.len() {
            let end = (at + part).min(kept.len());
            let rest: Vec<usize> = kept[..at].iter().chain(&kept[end..]).copied().collect();
            if still_fails(&rest) {
                kept = rest;
                dropped = true;
            } else {
                at = end;
            }
        }
        // Single items go round until none can go; larger parts once.
        if part > 1 {
            part = part.div_ceil(2).min(kept.len().max(1));
        } else if !dropped {
            part = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept, and how many questions that took.
    fn kept(len: usize, fails: impl Fn(&[usize]) -> bool) -> (Vec<usize>, u64) {
        let (mut best, mut asked) = ((0..len).collect(), 0);
        ddmin(len, |rest| {
            asked += 1;
            let yes = fails(rest);
            if yes {
                best = rest.to_vec();
            }
            yes
        });
        (best, asked)
    }

    #[test]
    fn what_is_needed_is_kept_and_nothing_else() {
        assert_eq!(kept(100, |rest| rest.contains(&17) && rest.contains(&90)).0, [17, 90]);
        assert_eq!(kept(7, |_| true).0, [] as [usize; 0]);
        assert_eq!(kept(5, |rest| rest.len() == 5).0, [0, 1, 2, 3, 4]);
        assert_eq!(kept(0, |_| true).0, [] as [usize; 0]);
        assert_eq!(kept(1, |rest| rest.contains(&0)).0, [0]);
        // Any three will do, and an even number never does.
        assert_eq!(kept(9, |rest| rest.len() >= 3 && rest.len() % 2 == 1).0.len() % 2, 1);
    }

    #[test]
    fn few_questions_where_little_matters() {
        let (rest, asked) = kept(1_000, |rest| rest.contains(&500));
        assert_eq!(rest, [500]);
        assert!(asked < 60, "{asked} questions");
    }
}
