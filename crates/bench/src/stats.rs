//! Medians and spreads.

use std::fmt;

/// Figures of one kind, from several runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The middle one; the mean of the two middle ones of an even number.
    pub(crate) fn median(&self) -> f64 {
        let count = self.0.len();
        if count == 0 {
            return f64::NAN;
        }
        f64::midpoint(self.0[(count - 1) / 2], self.0[count / 2])
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.first().unwrap_or(&f64::NAN), self.0.last().unwrap_or(&f64::NAN));
        let digits = if self.median() < 10.0 { 2 } else { 0 };
        if self.0.len() == 1 {
            return write!(f, "{first:.digits$}");
        }
        write!(f, "{:.digits$} ({first:.digits$}–{last:.digits$})", self.median())
    }
}
