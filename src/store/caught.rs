//! The engine panics where it meets what it does not expect, damage above all. Here that becomes an answer: a panic in a
//! read must not take the reader's thread along, nor one in a write the hub unnoticed.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// Whether a panic of this thread is caught and told by whoever caught it.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`; where it panics, gives what it said.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    let before = CAUGHT.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(before);
    done.map_err(|panic| said(&*panic))
}

/// A panic that is caught here is told once, by its catcher; all others are told as ever.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CAUGHT.get() {
                told(panic);
            }
        }));
    });
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("a panic without words"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_what_it_said() {
        assert_eq!(caught(|| 7), Ok(7));
        let plain = caught(|| -> u8 { panic!("plain") });
        assert_eq!(plain, Err(String::from("plain")));
        let number = 3;
        let written = caught(|| -> u8 { panic!("number {number}") });
        assert_eq!(written, Err(String::from("number 3")));
        let within = caught(|| caught(|| -> u8 { panic!("within") }).is_err() && CAUGHT.get());
        assert_eq!(within, Ok(true), "the outer one still catches");
        assert!(!CAUGHT.get());
    }
}
