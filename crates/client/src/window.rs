//! How many requests may be on their way: half as many when the server says that it has too much to do, one more after
//! each round without such a word. Pure.

/// The window. It begins at its ceiling, because a server that has never been slow need not be felt out.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    size: usize,
    ceiling: usize,
    /// Answers since the last change.
    answers: usize,
    /// The server's words of being busy, as far as they were heard.
    busy: u64,
}

impl Window {
    /// A window of so many, for a server that was busy so often by now.
    pub(crate) fn new(ceiling: usize, busy: u64) -> Self {
        let ceiling = ceiling.max(1);
        Window { size: ceiling, ceiling, answers: 0, busy }
    }

    /// How many may be on their way.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// An answer came, until which the server has been busy so often in all.
    pub(crate) fn answered(&mut self, busy: u64) {
        self.answers += 1;
        let is_round = self.answers >= self.size;
        if busy > self.busy {
            // All that were on their way may have met the same moment: one halving a round.
            if is_round || self.size == self.ceiling {
                self.size = (self.size / 2).max(1);
                (self.answers, self.busy) = (0, busy);
            }
        } else if is_round && self.size < self.ceiling {
            self.size += 1;
            self.answers = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(window: &mut Window, count: usize, busy: u64) -> usize {
        (0..count).for_each(|_| window.answered(busy));
        window.size()
    }

    #[test]
    fn a_busy_server_gets_half_as_many_once_a_round() {
        let mut window = Window::new(16, 0);
        assert_eq!(answers(&mut window, 40, 0), 16);
        assert_eq!(answers(&mut window, 1, 16), 8);
        assert_eq!(answers(&mut window, 7, 20), 8, "words about the same moment");
        assert_eq!(answers(&mut window, 1, 20), 4);
        (0..20).for_each(|more| window.answered(30 + more));
        assert_eq!(window.size(), 1, "one is always on its way");
    }

    #[test]
    fn it_grows_by_one_after_each_round_up_to_the_ceiling() {
        let mut window = Window::new(4, 7);
        assert_eq!(answers(&mut window, 1, 8), 2);
        assert_eq!(answers(&mut window, 2, 8), 3);
        assert_eq!(answers(&mut window, 3, 8), 4);
        assert_eq!(answers(&mut window, 100, 8), 4);
    }
}
