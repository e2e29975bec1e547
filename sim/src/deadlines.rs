//! When each host wants attention next: a tournament tree, so that the earliest of many is at hand.
//!
//! Deadlines move with nearly every packet. Kept in the event queue they would leave a stale entry
//! behind each time; here each host has one place, changed in O(log hosts) and never searched for.

use tripline_sansio::Instant;

/// One optional instant per host index; [`Instant::MAX`] counts as never.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines {
    /// A complete binary tree in one vector: root at 1, children of `n` at `2n` and `2n + 1`,
    /// leaves from `leaves` on. Each inner node holds the earlier of its children.
    tree: Vec<Instant>,
    /// How many leaves the tree has room for: 0 or a power of two.
    leaves: usize,
}

impl Deadlines {
    /// Makes room for hosts 0 to `hosts - 1`.
    pub(crate) fn grow(&mut self, hosts: usize) {
        if hosts <= self.leaves {
            return;
        }
        let leaves = hosts.next_power_of_two();
        let mut grown = vec![Instant::MAX; 2 * leaves];
        grown[leaves..leaves + self.leaves].copy_from_slice(&self.tree[self.leaves..]);
        for node in (1..leaves).rev() {
            grown[node] = grown[2 * node].min(grown[2 * node + 1]);
        }
        self.tree = grown;
        self.leaves = leaves;
    }

    /// Sets the deadline of the host with this index.
    pub(crate) fn set(&mut self, host: usize, deadline: Option<Instant>) {
        let mut node = self.leaves + host;
        self.tree[node] = deadline.unwrap_or(Instant::MAX);
        while node > 1 {
            node /= 2;
            let earliest = self.tree[2 * node].min(self.tree[2 * node + 1]);
            if self.tree[node] == earliest {
                return;
            }
            self.tree[node] = earliest;
        }
    }

    /// The earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.tree.get(1).copied().filter(|at| *at != Instant::MAX)
    }

    /// The earliest deadline and its host; of equal ones that of the lowest index.
    pub(crate) fn first(&self) -> Option<(Instant, usize)> {
        let earliest = *self.tree.get(1)?;
        if earliest == Instant::MAX {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.tree[node] != earliest {
                node += 1;
            }
        }
        Some((earliest, node - self.leaves))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    #[test]
    fn the_first_is_what_a_search_finds() {
        let mut random = Seed::from_number(1).random("deadlines");
        let mut model: Vec<Option<Instant>> = Vec::new();
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.first(), None);
        for _ in 0..4_000 {
            if model.len() < 37 && random.chance(1, 20) {
                model.push(None);
                deadlines.grow(model.len());
            }
            if model.is_empty() {
                continue;
            }
            let host = usize::try_from(random.below(model.len() as u64)).unwrap();
            let value = random.chance(2, 3).then(|| Instant::from_nanos(random.below(20)));
            model[host] = value;
            deadlines.set(host, value);
            let expected =
                model.iter().enumerate().filter_map(|(host, at)| at.map(|at| (at, host))).min();
            assert_eq!(deadlines.first(), expected);
            assert_eq!(deadlines.earliest(), expected.map(|(at, _)| at));
        }
        assert_eq!(model.len(), 37, "the tree grew several times");
    }
}
