//! The dice for jitter: the machine's, or a simulation's, which throws the same again.

/// A number from 0 (included) to 1 (excluded).
pub(super) fn throw() -> f64 {
    #[cfg(test)]
    if let Some(thrown) = loaded::throw() {
        return thrown;
    }
    rand::random()
}

/// The dice of the present thread's simulation.
#[cfg(test)]
pub(crate) mod loaded {
    use std::cell::RefCell;

    use rand::{Rng as _, rngs::StdRng};

    thread_local! {
        static DICE: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// From now on this thread throws these; none: the machine's again.
    pub(crate) fn load(dice: Option<StdRng>) {
        DICE.set(dice);
    }

    pub(super) fn throw() -> Option<f64> {
        DICE.with_borrow_mut(|dice| dice.as_mut().map(|dice| dice.random()))
    }
}
